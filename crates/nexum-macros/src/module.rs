//! `#[nexum::module]`: from an `impl` block with handlers, and the manifest, to a module.

mod checks;
mod handlers;
mod manifest;
mod options;
mod parameters;
mod suggestions;
mod write;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::errors::Errors;
pub(crate) use manifest::Crate;
use {handlers::Handlers, options::Options};

/// The expansion. Where anything is wrong it is the block without the handlers' attributes, and
/// the errors.
pub(crate) fn expand(options: TokenStream, item: &TokenStream, of: &Crate) -> TokenStream {
    let mut errors = Errors::default();
    let mut block: syn::ItemImpl = match syn::parse2(item.clone()) {
        Ok(block) => block,
        Err(_) => {
            errors.at(
                proc_macro2::Span::call_site(),
                "`#[nexum::module]` goes on the `impl` block that has the module's handlers",
            );
            let errors = errors.into_tokens();
            return quote!(#item #errors);
        }
    };
    let options = Options::parse(options, &mut errors);
    let config = options.as_ref().and_then(|options| options.config.clone());
    let handlers = Handlers::take(&mut block, config, &mut errors);
    let are_sound = errors.are_none();
    let file = options.and_then(|options| manifest::load(of, &options, &mut errors));
    let mut written = TokenStream::new();
    if are_sound {
        written.extend(write::module(&handlers));
    }
    if are_sound && let Some(file) = file {
        checks::subscriptions(&handlers, &file, &mut errors);
        if errors.are_none() {
            written.extend(checks::constants(&handlers, &file));
        }
        written.extend(file.dependency);
    }
    let mut expansion = block.into_token_stream();
    expansion.extend(written);
    expansion.extend(errors.into_tokens());
    expansion
}
