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
pub(crate) fn expand(options: TokenStream, item: TokenStream, of: &Crate) -> TokenStream {
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
    let handlers = Handlers::take(&mut block, options.config.clone(), &mut errors);
    let mut written = TokenStream::new();
    if errors.are_none() {
        let file = manifest::load(of, &options, &mut errors);
        if let Some(file) = &file {
            checks::subscriptions(&handlers, file, &mut errors);
        }
        written.extend(write::module(&handlers));
        if errors.are_none()
            && let Some(file) = &file
        {
            written.extend(checks::constants(&handlers, file));
        }
        written.extend(file.map(|file| file.dependency));
    } else {
        manifest::load(of, &options, &mut errors);
    }
    let mut expansion = block.into_token_stream();
    expansion.extend(written);
    expansion.extend(errors.into_tokens());
    expansion
}
