//! Writes the implementations of `NexumConfig` and `ConfigField`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Expr, Lit, spanned::Spanned};

use super::fields::{Default, Field};
use crate::types::is_named;

/// Both implementations.
pub(super) fn config(item: &DeriveInput, fields: &[Field]) -> TokenStream {
    let name = &item.ident;
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    let specs = fields.iter().map(Field::spec);
    let reads = fields.iter().map(Field::read);
    let names = fields.iter().map(|field| &field.name);
    let values = fields.iter().map(Field::local);
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #generics ::nexum_sdk::NexumConfig for #name #arguments #bounds {
            const SCHEMA: ::nexum_sdk::config::Schema =
                ::nexum_sdk::config::Schema::Fields(&[#(#specs),*]);

            fn read(
                reader: &mut ::nexum_sdk::config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                #(#reads)*
                ::core::option::Option::Some(Self { #(#names: #values?),* })
            }
        }

        #[automatically_derived]
        impl #generics ::nexum_sdk::config::ConfigField for #name #arguments #bounds {
            const SHAPE: ::nexum_sdk::config::Shape = ::nexum_sdk::config::Shape::Table(
                <Self as ::nexum_sdk::NexumConfig>::SCHEMA.fields(),
            );

            fn read(
                reader: &mut ::nexum_sdk::config::Reader<'_>,
                key: &'static str,
            ) -> ::nexum_sdk::config::Found<Self> {
                reader.table(key)
            }

            fn missing(
                reader: &mut ::nexum_sdk::config::Reader<'_>,
                key: &'static str,
                _: &str,
            ) -> ::core::option::Option<Self> {
                reader.absent_table(key)
            }
        }
    }
}

/// Implementations that do nothing, where there are errors already.
pub(super) fn placeholder(item: &DeriveInput) -> TokenStream {
    let name = &item.ident;
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    quote_spanned! {Span::mixed_site()=>
        impl #generics ::nexum_sdk::NexumConfig for #name #arguments #bounds {
            const SCHEMA: ::nexum_sdk::config::Schema = ::nexum_sdk::config::Schema::Anything;

            fn read(_: &mut ::nexum_sdk::config::Reader<'_>) -> ::core::option::Option<Self> {
                ::core::option::Option::None
            }
        }

        impl #generics ::nexum_sdk::config::ConfigField for #name #arguments #bounds {
            const SHAPE: ::nexum_sdk::config::Shape = ::nexum_sdk::config::Shape::Table(&[]);

            fn read(
                _: &mut ::nexum_sdk::config::Reader<'_>,
                _: &'static str,
            ) -> ::nexum_sdk::config::Found<Self> {
                ::nexum_sdk::config::Found::Missing
            }
        }
    }
}

impl Field {
    /// The variable that the value is read into.
    fn local(&self) -> syn::Ident {
        let mut name = self.name.clone();
        name.set_span(Span::mixed_site().located_at(name.span()));
        name
    }

    fn spec(&self) -> TokenStream {
        let Self { key, about, ty, .. } = self;
        let required = !self.is_optional && self.default.is_none();
        let shape = if self.parse {
            quote! {
                ::nexum_sdk::config::Shape::Scalar(::nexum_sdk::config::Kinds::TEXT)
            }
        } else {
            let span = Span::mixed_site().located_at(ty.span());
            quote_spanned!(span=> <#ty as ::nexum_sdk::config::ConfigField>::SHAPE)
        };
        quote! {
            ::nexum_sdk::config::FieldSpec {
                key: #key,
                shape: #shape,
                required: #required,
                about: #about,
            }
        }
    }

    fn read(&self) -> TokenStream {
        let Self { key, ty, about, .. } = self;
        let at = Span::mixed_site().located_at(ty.span());
        let read = if self.parse {
            quote_spanned!(at=> reader.parse::<#ty>(#key))
        } else {
            quote_spanned!(at=> <#ty as ::nexum_sdk::config::ConfigField>::read(reader, #key))
        };
        let holds = self.conditions();
        let some = quote!(::core::option::Option::Some);
        let end = match (&self.default, self.is_optional) {
            (_, true) => quote_spanned!(Span::mixed_site()=> found.optional()),
            (Some(Default::OfType), _) => quote_spanned! {at=>
                found.or_else(|| #some(<#ty as ::core::default::Default>::default()))
            },
            (Some(Default::Expr(expr)), _) => {
                let expr = converted(expr);
                quote_spanned!(Span::mixed_site()=> found.or_else(|| #some(#expr)))
            }
            (None, _) if self.parse => quote_spanned! {Span::mixed_site()=>
                found.or_else(|| {
                    reader.report_missing(
                        #key,
                        &::nexum_sdk::config::Shape::Scalar(::nexum_sdk::config::Kinds::TEXT),
                        #about,
                    );
                    ::core::option::Option::None
                })
            },
            (None, _) => quote_spanned! {at=>
                found.or_else(|| {
                    <#ty as ::nexum_sdk::config::ConfigField>::missing(reader, #key, #about)
                })
            },
        };
        let local = self.local();
        quote_spanned! {Span::mixed_site()=>
            let #local = {
                let found = #read;
                #holds
                #end
            };
        }
    }

    fn conditions(&self) -> TokenStream {
        let Self { key, ty, .. } = self;
        let range = self.range.as_ref().map(|range| {
            let words = Self::range_words(range);
            let span = Span::mixed_site().located_at(range.span());
            quote_spanned! {span=>
                let found = reader.within(#key, found, #words, |value: &#ty| {
                    <_ as ::nexum_sdk::config::RangeOf<#ty>>::holds(&(#range), value)
                });
            }
        });
        let non_empty = self.non_empty.then(|| {
            let words = if is_named(ty, "Vec") {
                "must have at least one entry"
            } else {
                "must not be empty"
            };
            let span = Span::mixed_site().located_at(ty.span());
            quote_spanned! {span=>
                let found = reader.within(#key, found, #words, |value: &#ty| {
                    !<#ty as ::nexum_sdk::config::CanBeEmpty>::is_nothing(value)
                });
            }
        });
        quote!(#range #non_empty)
    }
}

/// A text in quotes becomes a `String`.
fn converted(default: &Expr) -> TokenStream {
    match default {
        Expr::Lit(literal) if matches!(literal.lit, Lit::Str(_)) => {
            quote_spanned!(literal.span()=> ::core::convert::From::from(#literal))
        }
        _ => quote!(#default),
    }
}
