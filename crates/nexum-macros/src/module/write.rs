//! Writes the implementation of `nexum_sdk::Module`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{ReceiverKind, ReturnType, Type, spanned::Spanned};

use super::{
    handlers::{By, Function, Handler, Handlers, Init, Kind},
    parameters::Role,
};

/// What an instance consists of.
struct Instance<'h> {
    handlers: &'h Handlers,
    /// A value of the module's type, since a handler may have a `self`.
    has_value: bool,
    /// The configuration, since a handler takes it.
    keeps_config: bool,
}

/// The implementation and the export.
pub(super) fn module(handlers: &Handlers) -> TokenStream {
    let self_ty = &handlers.self_ty;
    let instance = Instance::of(handlers);
    let ty = instance.ty();
    let init = instance.init();
    let on_event = instance.on_event();
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl ::nexum_sdk::Module for #self_ty {
            type Instance = #ty;

            fn init(
                config: ::nexum_sdk::module::Config,
            ) -> ::nexum_sdk::Result<Self::Instance> {
                #init
            }

            fn on_event(
                instance: &mut Self::Instance,
                event: ::nexum_sdk::Event,
            ) -> ::nexum_sdk::Result<()> {
                #on_event
                ::core::result::Result::Ok(())
            }
        }

        ::nexum_sdk::export!(#self_ty);
    }
}

impl<'h> Instance<'h> {
    fn of(handlers: &'h Handlers) -> Self {
        let has_self = handlers
            .all
            .iter()
            .any(|handler| handler.function.receiver.is_some());
        let init_makes_it = handlers.init.as_ref().is_some_and(|init| init.returns_self);
        Self {
            handlers,
            has_value: has_self || init_makes_it,
            keeps_config: handlers.all.iter().any(Handler::takes_config),
        }
    }

    fn config_ty(&self) -> TokenStream {
        match &self.handlers.config {
            Some(ty) => quote!(#ty),
            None => quote!(()),
        }
    }

    fn value_ty(&self) -> TokenStream {
        let self_ty = &self.handlers.self_ty;
        if self.has_value {
            quote!(#self_ty)
        } else {
            quote!(())
        }
    }

    fn ty(&self) -> TokenStream {
        let (value, config) = (self.value_ty(), self.config_ty());
        if self.keeps_config {
            quote!(::nexum_sdk::module::Configured<#value, #config>)
        } else {
            value
        }
    }

    fn init(&self) -> TokenStream {
        let config_ty = self.config_ty();
        let read = quote_spanned! {Span::mixed_site()=>
            <#config_ty as ::nexum_sdk::NexumConfig>::from_config(&config)?
        };
        let init = self.handlers.init.as_ref();
        // Not every configuration can be cloned.
        let (before, read) = match init.and_then(|init| init.config) {
            Some(By::Value) if self.keeps_config => (
                quote_spanned!(Span::mixed_site()=> let given = #read;),
                read,
            ),
            Some(By::Value) => {
                let value = self.value(init, &read);
                return quote_spanned!(Span::mixed_site()=> ::core::result::Result::Ok(#value));
            }
            _ => (TokenStream::new(), read),
        };
        let argument = if before.is_empty() {
            quote_spanned!(Span::mixed_site()=> &settings)
        } else {
            quote_spanned!(Span::mixed_site()=> given)
        };
        let value = self.value(init, &argument);
        if !self.keeps_config && self.handlers.config.is_none() {
            return quote_spanned! {Span::mixed_site()=>
                #read;
                ::core::result::Result::Ok(#value)
            };
        }
        let made = if self.keeps_config {
            quote_spanned! {Span::mixed_site()=>
                let module = #value;
                ::core::result::Result::Ok(::nexum_sdk::module::Configured {
                    module,
                    config: settings,
                })
            }
        } else {
            quote_spanned!(Span::mixed_site()=> ::core::result::Result::Ok(#value))
        };
        quote_spanned! {Span::mixed_site()=>
            #before
            let settings = #read;
            #made
        }
    }

    /// The module's value, as an expression.
    fn value(&self, init: Option<&Init>, config: &TokenStream) -> TokenStream {
        let self_ty = &self.handlers.self_ty;
        let Some(init) = init else {
            let receiver = self
                .handlers
                .all
                .iter()
                .find_map(|handler| handler.function.receiver.as_ref());
            return match receiver {
                Some(receiver) => {
                    let span = Span::mixed_site().located_at(receiver.self_token.span());
                    quote_spanned!(span=> <#self_ty as ::nexum_sdk::generated::ByDefault>::by_default())
                }
                None => quote!(()),
            };
        };
        let arguments = init.config.map(|_| config);
        let call = init.function.call(self_ty, arguments);
        let value_ty = self.value_ty();
        let check = if init.returns_self {
            quote!(Begun::<#value_ty>::begun)
        } else {
            quote!(Outcome::outcome)
        };
        init.function.checked(&call, &check)
    }

    fn on_event(&self) -> TokenStream {
        let handlers = self.handlers;
        let uses_value = handlers
            .all
            .iter()
            .any(|handler| handler.function.receiver.is_some());
        let parts = match (uses_value, self.keeps_config) {
            (true, true) => quote_spanned! {Span::mixed_site()=>
                let ::nexum_sdk::module::Configured { module, config } = instance;
            },
            (false, true) => quote_spanned! {Span::mixed_site()=>
                let config = &instance.config;
            },
            (true, false) => quote_spanned!(Span::mixed_site()=> let module = instance;),
            (false, false) => quote_spanned!(Span::mixed_site()=> let _ = instance;),
        };
        if let Some(raw) = handlers.find(|kind| matches!(kind, Kind::Event)) {
            let call = raw.call(
                &handlers.self_ty,
                &quote_spanned!(Span::mixed_site()=> event),
            );
            return quote!(#parts #call);
        }
        let arms: Vec<_> = [
            self.blocks(),
            self.logs(),
            self.simple("Tick"),
            self.simple("Message"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let rest = (arms.len() < 4).then(|| {
            quote_spanned! {Span::mixed_site()=>
                other => ::nexum_sdk::generated::pass_over(&other),
            }
        });
        quote_spanned! {Span::mixed_site()=>
            #parts
            match event {
                #(#arms)*
                #rest
            }
        }
    }

    fn blocks(&self) -> Option<TokenStream> {
        let handler = self.handlers.find(|kind| matches!(kind, Kind::Block))?;
        let chain = handler.chain();
        let call = handler.call(
            &self.handlers.self_ty,
            &quote_spanned!(Span::mixed_site()=> payload),
        );
        Some(quote_spanned! {Span::mixed_site()=>
            ::nexum_sdk::Event::Block(payload) => {
                #chain
                #call
            }
        })
    }

    fn simple(&self, event: &str) -> Option<TokenStream> {
        let handler = self.handlers.find(|kind| match kind {
            Kind::Tick => event == "Tick",
            Kind::Message => event == "Message",
            _ => false,
        })?;
        let event = syn::Ident::new(event, Span::mixed_site());
        let call = handler.call(
            &self.handlers.self_ty,
            &quote_spanned!(Span::mixed_site()=> payload),
        );
        Some(quote_spanned! {Span::mixed_site()=>
            ::nexum_sdk::Event::#event(payload) => {
                #call
            }
        })
    }

    fn logs(&self) -> Option<TokenStream> {
        let self_ty = &self.handlers.self_ty;
        let plain = self.handlers.plain_log();
        let payload = quote_spanned!(Span::mixed_site()=> payload);
        if let Some(all) = plain
            && all.roles.iter().any(|role| matches!(role, Role::Logs(..)))
        {
            let call = all.call(self_ty, &payload);
            let chain = all.takes_provider().then(|| {
                quote_spanned! {Span::mixed_site()=>
                    let ::core::option::Option::Some(chain_id) =
                        payload.first().map(|log| log.chain_id)
                    else {
                        return ::core::result::Result::Ok(());
                    };
                }
            });
            return Some(quote_spanned! {Span::mixed_site()=>
                ::nexum_sdk::Event::Logs(payload) => {
                    #chain
                    #call
                }
            });
        }
        let typed: Vec<_> = self
            .handlers
            .of_events()
            .filter_map(|handler| handler.tried(self_ty))
            .collect();
        let otherwise = match plain {
            Some(plain) => {
                let (chain, call) = (plain.chain(), plain.call(self_ty, &payload));
                quote!(#chain #call)
            }
            None if typed.is_empty() => return None,
            None => quote_spanned! {Span::mixed_site()=>
                ::nexum_sdk::generated::pass_over_log(&payload);
            },
        };
        Some(quote_spanned! {Span::mixed_site()=>
            ::nexum_sdk::Event::Logs(logs) => {
                for payload in logs {
                    #(#typed)*
                    #otherwise
                }
            }
        })
    }
}

impl Handler {
    fn takes_config(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Config))
    }

    fn takes_provider(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Provider))
    }

    /// Notes the chain before the payload is given away.
    fn chain(&self) -> Option<TokenStream> {
        self.takes_provider()
            .then(|| quote_spanned!(Span::mixed_site()=> let chain_id = payload.chain_id;))
    }

    /// Tries the log as the handler's event.
    fn tried(&self, self_ty: &Type) -> Option<TokenStream> {
        let Kind::LogOf(event) = &self.kind else {
            return None;
        };
        let payload = quote_spanned!(Span::mixed_site()=> payload);
        let (chain, call) = (self.chain(), self.call(self_ty, &payload));
        let is_taken = self
            .roles
            .iter()
            .any(|role| matches!(role, Role::Decoded(_)));
        let name = if is_taken {
            quote_spanned!(Span::mixed_site()=> decoded)
        } else {
            quote!(_)
        };
        Some(quote_spanned! {Span::mixed_site()=>
            if let ::core::option::Option::Some(#name) =
                <#event as ::nexum_sdk::generated::LogEvent>::decoded(&payload)
            {
                #chain
                #call
                continue;
            }
        })
    }

    /// The call as a statement that leaves with the handler's error.
    fn call(&self, self_ty: &Type, payload: &TokenStream) -> TokenStream {
        let by = |by: &By, value: &TokenStream| match by {
            By::Value => value.clone(),
            By::Reference => quote!(&#value),
        };
        let arguments = self.roles.iter().map(|role| match role {
            Role::Payload(how) | Role::Logs(how, _) => by(how, payload),
            Role::Decoded(how) => by(how, &quote_spanned!(Span::mixed_site()=> decoded)),
            Role::Provider => quote_spanned! {Span::mixed_site()=>
                &::nexum_sdk::provider_on(chain_id)
            },
            Role::Config => quote_spanned!(Span::mixed_site()=> config),
        });
        let receiver = self.function.receiver.as_ref().map(|receiver| {
            let is_mut = matches!(&receiver.kind, ReceiverKind::Reference(_, _, Some(_)));
            if is_mut {
                quote_spanned!(Span::mixed_site()=> &mut *module)
            } else {
                quote_spanned!(Span::mixed_site()=> &*module)
            }
        });
        let call = self
            .function
            .call(self_ty, receiver.into_iter().chain(arguments));
        let checked = self.function.checked(&call, &quote!(Outcome::outcome));
        quote!(#checked;)
    }
}

impl Function {
    fn call(
        &self,
        self_ty: &Type,
        arguments: impl IntoIterator<Item = impl quote::ToTokens>,
    ) -> TokenStream {
        let name = &self.name;
        let arguments = arguments.into_iter();
        let call = quote!(<#self_ty>::#name(#(#arguments),*));
        if self.is_async {
            quote!(::nexum_sdk::block_on(#call))
        } else {
            call
        }
    }

    /// The value of a call, once what it returned is known to be no error. A type that cannot be
    /// returned is shown where it is written.
    fn checked(&self, call: &TokenStream, check: &TokenStream) -> TokenStream {
        let span = match &self.returns {
            ReturnType::Default => self.name.span(),
            ReturnType::Type(_, ty) => ty.span(),
        };
        let returned = quote_spanned!(Span::mixed_site().located_at(span)=> returned);
        quote_spanned! {Span::mixed_site()=>
            {
                let #returned = #call;
                ::nexum_sdk::generated::#check(#returned)?
            }
        }
    }
}
