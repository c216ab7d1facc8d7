//! The fields of a configuration and what their attributes say.

use proc_macro2::Span;
use syn::{Expr, ExprRange, Ident, Lit, LitStr, RangeLimits, Token, Type, meta::ParseNestedMeta};

use crate::{
    errors::Errors,
    types::{first_argument, is_named, shown},
};

/// One field.
pub(super) struct Field {
    pub(super) name: Ident,
    pub(super) key: String,
    pub(super) key_span: Option<Span>,
    is_renamed: bool,
    /// The first sentence of its documentation.
    pub(super) about: String,
    /// Its type; what is within, where it is an `Option`.
    pub(super) ty: Type,
    pub(super) is_optional: bool,
    pub(super) default: Option<Default>,
    pub(super) range: Option<Expr>,
    pub(super) non_empty: bool,
    pub(super) parse: bool,
}

/// What a field is where its key is missing.
pub(super) enum Default {
    /// Its type's default.
    OfType,
    Expr(Expr),
}

impl Field {
    /// Reads a field. What is wrong with its attributes is reported.
    pub(super) fn parse(field: &syn::Field, errors: &mut Errors) -> Self {
        let name = field
            .ident
            .clone()
            .unwrap_or_else(|| Ident::new("unnamed", Span::call_site()));
        let inner = first_argument(&field.ty).filter(|_| is_named(&field.ty, "Option"));
        let text = name.to_string();
        let mut parsed = Self {
            key: text.strip_prefix("r#").unwrap_or(&text).to_owned(),
            key_span: Some(name.span()),
            is_renamed: false,
            name,
            about: about(&field.attrs),
            ty: inner.unwrap_or(&field.ty).clone(),
            is_optional: inner.is_some(),
            default: None,
            range: None,
            non_empty: false,
            parse: false,
        };
        for attribute in &field.attrs {
            if attribute.path().is_ident("config")
                && let Err(error) = attribute.parse_nested_meta(|meta| parsed.take(&meta))
            {
                errors.add(error);
            }
        }
        if let (true, Some(default)) = (parsed.is_optional, &parsed.default) {
            let message = "an `Option` is `None` where the key is missing: take out the default, \
                           or the `Option`";
            match default {
                Default::Expr(expr) => errors.over(expr, message),
                Default::OfType => errors.over(&field.ty, message),
            }
        }
        if let Some(Default::Expr(Expr::Lit(literal))) = &parsed.default
            && matches!(literal.lit, Lit::Str(_))
            && !is_named(&parsed.ty, "String")
        {
            errors.over(
                literal,
                "a text in quotes is the default of a `String`: write an expression of the \
                 field's own type",
            );
        }
        if let (true, Some(range)) = (parsed.parse, &parsed.range) {
            errors.over(
                range,
                "what `FromStr` reads has no range: let `FromStr` refuse what is outside",
            );
        }
        parsed
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let Some(name) = meta.path.get_ident().map(ToString::to_string) else {
            return Err(unknown(meta));
        };
        let is_there = match name.as_str() {
            "default" => self.default.is_some(),
            "range" => self.range.is_some(),
            "non_empty" => self.non_empty,
            "parse" => self.parse,
            "rename" => self.is_renamed,
            _ => return Err(unknown(meta)),
        };
        if is_there {
            return Err(meta.error(format!("`{name}` is there twice")));
        }
        match name.as_str() {
            "default" if meta.input.peek(Token![=]) => {
                self.default = Some(Default::Expr(meta.value()?.parse()?));
            }
            "default" => self.default = Some(Default::OfType),
            "range" => self.range = Some(range(meta)?),
            "non_empty" => self.non_empty = true,
            "parse" => self.parse = true,
            _ => {
                let key: LitStr = meta.value()?.parse()?;
                self.rename(&key)?;
            }
        }
        Ok(())
    }

    fn rename(&mut self, key: &LitStr) -> syn::Result<()> {
        let name = key.value();
        let is_bare = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
        if !is_bare {
            return Err(syn::Error::new_spanned(
                key,
                "a key has 1 to 64 letters, digits, `_` or `-`; for a key in a table, make the \
                 table a struct of its own",
            ));
        }
        self.is_renamed = true;
        self.key = name;
        self.key_span = Some(key.span());
        Ok(())
    }

    /// What the range asks for, in words.
    pub(super) fn range_words(range: &Expr) -> String {
        let Expr::Range(ExprRange {
            start, limits, end, ..
        }) = range
        else {
            return format!("must be within {}", shown(range));
        };
        match (start, limits, end) {
            (Some(start), RangeLimits::Closed(_), Some(end)) => {
                format!("must be from {} to {}", shown(start), shown(end))
            }
            (Some(start), RangeLimits::HalfOpen(_), Some(end)) => {
                format!(
                    "must be at least {} and less than {}",
                    shown(start),
                    shown(end)
                )
            }
            (Some(start), _, None) => format!("must be at least {}", shown(start)),
            (None, RangeLimits::Closed(_), Some(end)) => format!("must be at most {}", shown(end)),
            (None, RangeLimits::HalfOpen(_), Some(end)) => {
                format!("must be less than {}", shown(end))
            }
            (None, _, None) => "can be any".to_owned(),
        }
    }
}

fn range(meta: &ParseNestedMeta<'_>) -> syn::Result<Expr> {
    let range: Expr = meta.value()?.parse()?;
    if let Expr::Lit(literal) = &range {
        let message = match &literal.lit {
            Lit::Str(_) => "a range is written without quotes: `range = 1..=10`",
            _ => "a range has two ends, or one: `range = 1..=10`, `range = 1..`",
        };
        return Err(syn::Error::new_spanned(literal, message));
    }
    Ok(range)
}

fn unknown(meta: &ParseNestedMeta<'_>) -> syn::Error {
    let message = format!(
        "`#[config(…)]` has no `{}`: there are `default`, `default = expr`, `range = 1..=10`, \
         `non_empty`, `parse` and `rename = \"key\"`",
        shown(&meta.path)
    );
    syn::Error::new_spanned(&meta.path, message)
}

/// The first sentence of the documentation, without its full stop.
fn about(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let named = attribute.meta.require_name_value().ok()?;
        let Expr::Lit(literal) = &named.value else {
            return None;
        };
        match &literal.lit {
            Lit::Str(text) if named.path.is_ident("doc") => Some(text.value().trim().to_owned()),
            _ => None,
        }
    });
    // A paragraph ends at an empty line.
    let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    let first = text.split_once(". ").map_or(&*text, |(first, _)| first);
    first.trim_end_matches('.').to_owned()
}
