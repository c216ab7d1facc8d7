//! `#[derive(NexumConfig)]`: from a struct to the reading of its fields, and to the schema.

mod fields;
mod write;

use proc_macro2::{Span, TokenStream};
use syn::{Data, DeriveInput};

use crate::errors::Errors;
use fields::Field;

/// The expansion. Where anything is wrong it is the errors, and an implementation that keeps the
/// compiler from adding to them.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let fields = fields(&item, &mut errors);
    let mut written = if errors.are_none() {
        write::config(&item, &fields)
    } else {
        write::placeholder(&item)
    };
    written.extend(errors.into_tokens());
    written
}

fn fields(item: &DeriveInput, errors: &mut Errors) -> Vec<Field> {
    let of = match &item.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => {
            errors.at(
                data.enum_token.span,
                "a configuration is a struct; an enum can be a field of one: implement `FromStr` \
                 for it, and write `#[config(parse)]` on the field",
            );
            return Vec::new();
        }
        Data::Union(data) => {
            errors.at(data.union_token.span, "a configuration is a struct");
            return Vec::new();
        }
    };
    let syn::Fields::Named(named) = of else {
        errors.at(
            item.ident.span(),
            "a configuration is a struct with named fields: their names are the keys",
        );
        return Vec::new();
    };
    for attribute in &item.attrs {
        if attribute.path().is_ident("config") {
            errors.over(attribute, "`#[config(…)]` goes on a field");
        }
    }
    let mut fields: Vec<Field> = Vec::new();
    for field in &named.named {
        let field = Field::parse(field, errors);
        if fields.iter().any(|other| other.key == field.key) {
            errors.at(
                field.key_span.unwrap_or_else(Span::call_site),
                format!("two fields have the key `{}`", field.key),
            );
        }
        fields.push(field);
    }
    fields
}
