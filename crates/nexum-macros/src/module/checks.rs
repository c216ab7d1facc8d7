//! Holds handlers and manifest against each other: each subscription has a handler and each
//! handler a subscription, and the configuration's type takes what the manifest gives.
//!
//! What hangs on types is left to the compiler, as constants that do not evaluate where something
//! is wrong.

use std::collections::BTreeSet;

use nexum_manifest::{LogSubscription, Place, Subscription};
use nexum_types::{ConfigScalar, ConfigValue};
use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{
    handlers::{Handler, Handlers, Kind},
    manifest::File,
    suggestions,
};
use crate::{errors::Errors, types::shown};

/// Reports handlers of a kind that nothing is subscribed for, kinds of subscriptions without a
/// handler, and configuration that is not taken at all.
pub(super) fn subscriptions(handlers: &Handlers, file: &File, errors: &mut Errors) {
    for handler in &handlers.all {
        if !is_served(&handler.kind, file) {
            errors.over(&handler.attribute, unserved(&handler.kind, file));
        }
    }
    let takes = |kind: fn(&Kind) -> bool| {
        handlers
            .find(|of| kind(of) || matches!(of, Kind::Event))
            .is_some()
    };
    let has_block = takes(|kind| matches!(kind, Kind::Block));
    let has_log = takes(|kind| matches!(kind, Kind::Log | Kind::LogOf(_)));
    let has_tick = takes(|kind| matches!(kind, Kind::Tick));
    if handlers.config.is_none()
        && let Some(place) = file.places.config.values().next()
    {
        let message = format!(
            "{place}: there is configuration, which the module does not take: let `#[init]` take \
             it, as in `fn init(settings: &Settings)` with a struct that derives `NexumConfig`, \
             or take it out of the manifest"
        );
        errors.over(&handlers.self_ty, message);
    }
    let mut told = BTreeSet::new();
    for (subscription, place) in placed(file) {
        let (is_taken, what, kind) = match subscription {
            Subscription::Block(_) => (has_block, "blocks", Kind::Block),
            Subscription::Log(_) => (has_log, "logs", Kind::Log),
            Subscription::Cron(_) => (has_tick, "ticks", Kind::Tick),
        };
        if !is_taken && told.insert(what) {
            errors.over(&handlers.self_ty, untaken(place, what, &kind, handlers));
        }
    }
}

fn placed(file: &File) -> impl Iterator<Item = (&Subscription, &Place)> {
    file.manifest
        .subscriptions
        .iter()
        .zip(&file.places.subscriptions)
}

fn logs(file: &File) -> impl Iterator<Item = (&LogSubscription, &Place)> {
    placed(file).filter_map(|(subscription, place)| match subscription {
        Subscription::Log(log) => Some((log, place)),
        Subscription::Block(_) | Subscription::Cron(_) => None,
    })
}

/// Whether the manifest has a subscription of that kind. An event of `sol!` is left to the
/// compiler, which knows its topic.
fn is_served(kind: &Kind, file: &File) -> bool {
    let mut subscriptions = file.manifest.subscriptions.iter();
    match kind {
        Kind::Block => subscriptions.any(|one| matches!(one, Subscription::Block(_))),
        Kind::Log => subscriptions.any(|one| matches!(one, Subscription::Log(_))),
        Kind::LogOf(_) => true,
        Kind::Tick => subscriptions.any(|one| matches!(one, Subscription::Cron(_))),
        Kind::Message => false,
        Kind::Event => subscriptions.next().is_some(),
    }
}

fn unserved(kind: &Kind, file: &File) -> String {
    let (handler, shown) = (kind.shown(), &file.shown);
    if let (Kind::Message, Some(refusal)) = (kind, suggestions::refusal(kind, &file.manifest)) {
        return format!("nothing can call `{handler}`: {refusal}");
    }
    let subscription = suggestions::subscription(kind, &file.manifest);
    let event = match kind {
        Kind::Log => {
            "event = \"Transfer(address indexed from, address indexed to, uint256 value)\"\n"
        }
        _ => "",
    };
    format!("no subscription of {shown} calls `{handler}`: add\n\n{subscription}{event}")
}

fn untaken(place: &Place, what: &str, kind: &Kind, handlers: &Handlers) -> String {
    let with_self = handlers.init.as_ref().is_some_and(|init| init.returns_self);
    format!(
        "{place}: this subscription brings {what}, which no handler takes: add\n\n{}",
        suggestions::handler(kind, with_self)
    )
}

/// What the compiler has to check, since it hangs on types.
pub(super) fn constants(handlers: &Handlers, file: &File) -> TokenStream {
    let mut checks = TokenStream::new();
    for handler in handlers.of_events() {
        if let Kind::LogOf(event) = &handler.kind {
            checks.extend(event_check(event, &handler.kind, file));
        }
    }
    checks.extend(reach_checks(handlers));
    let takes_any = |handler: &Handler| matches!(handler.kind, Kind::Log | Kind::Event);
    if handlers.of_events().next().is_some() && !handlers.all.iter().any(takes_any) {
        checks.extend(topic_checks(handlers, file));
    }
    checks.extend(config_checks(handlers, file));
    checks
}

/// That the event has a topic, and that some subscription brings it.
fn event_check(event: &syn::Path, kind: &Kind, file: &File) -> TokenStream {
    let anonymous = format!(
        "`{}` is anonymous: its logs have no topic to tell them by; take them by `#[on_log]`, and \
         decode them there",
        shown(event)
    );
    let panic = panic_over(event, &quote!(#anonymous));
    let named = quote_spanned! {Span::mixed_site()=>
        const _: () = {
            if <#event as ::nexum_sdk::generated::LogEvent>::ANONYMOUS {
                #panic
            }
        };
    };
    if logs(file).any(|(log, _)| log.filter.topics[0].is_empty()) {
        return named;
    }
    let topics = logs(file).flat_map(|(log, _)| &log.filter.topics[0]);
    let topics = topics.map(ToString::to_string);
    let before = format!("no subscription of {} brings `", file.shown);
    let between = format!(
        "`: add\n\n{}event = \"",
        suggestions::subscription(kind, &file.manifest)
    );
    let panic = panic_over(event, &quote!("{}", TEXT.as_str()));
    quote_spanned! {Span::mixed_site()=>
        #named

        const _: () = {
            const SIGNATURE: &str = <#event as ::nexum_sdk::generated::LogEvent>::SIGNATURE;
            const TEXT: ::nexum_sdk::config::Text = ::nexum_sdk::config::Text::new()
                .with(#before)
                .with(SIGNATURE)
                .with(#between)
                .with(SIGNATURE)
                .with("\"\n");
            if !::nexum_sdk::generated::has_topic(
                &[#(::nexum_sdk::alloy::primitives::b256!(#topics)),*],
                &<#event as ::nexum_sdk::generated::LogEvent>::TOPIC,
            ) {
                #panic
            }
        };
    }
}

/// That no event has the logs of one before it: what has the same signature and as many indexed
/// arguments decodes as both, and goes to the first.
fn reach_checks(handlers: &Handlers) -> TokenStream {
    let events = handlers
        .of_events()
        .filter_map(|handler| match &handler.kind {
            Kind::LogOf(event) => Some((event, handler.kind.shown())),
            _ => None,
        });
    let events: Vec<_> = events.collect();
    let mut checks = TokenStream::new();
    for (index, (later, shown)) in events.iter().enumerate() {
        for (earlier, first) in &events[..index] {
            let text = format!(
                "no log reaches `{shown}`: `{first}` takes every log of this signature and with \
                 as many indexed arguments; take one of the two out"
            );
            let panic = panic_over(later, &quote!("{}", #text));
            checks.extend(quote_spanned! {Span::mixed_site()=>
                const _: () = {
                    if ::nexum_sdk::generated::has_topic(
                        &[<#earlier as ::nexum_sdk::generated::LogEvent>::TOPIC],
                        &<#later as ::nexum_sdk::generated::LogEvent>::TOPIC,
                    ) && <#earlier as ::nexum_sdk::generated::LogEvent>::TOPICS
                        == <#later as ::nexum_sdk::generated::LogEvent>::TOPICS
                    {
                        #panic
                    }
                };
            });
        }
    }
    checks
}

/// That some handler takes each topic that a subscription names.
fn topic_checks(handlers: &Handlers, file: &File) -> TokenStream {
    let events = handlers
        .of_events()
        .filter_map(|handler| match &handler.kind {
            Kind::LogOf(event) => Some(event),
            _ => None,
        });
    let events: Vec<_> = events.collect();
    let with_self = handlers.init.as_ref().is_some_and(|init| init.returns_self);
    let mut told = BTreeSet::new();
    let topics = logs(file).flat_map(|(log, place)| {
        let topics = log.filter.topics[0].iter();
        topics.map(move |topic| (topic, place))
    });
    let checks = topics
        .filter(|(topic, _)| told.insert(**topic))
        .map(|(topic, place)| {
            let text = format!(
                "{place}: this subscription brings logs whose first topic is {topic}, which no \
             handler takes: add `#[on_log(…)]` with the event, or\n\n{}",
                suggestions::handler(&Kind::Log, with_self)
            );
            let topic = topic.to_string();
            let panic = panic_over(&handlers.self_ty, &quote!("{}", #text));
            quote_spanned! {Span::mixed_site()=>
                const _: () = {
                    if !::nexum_sdk::generated::has_topic(
                        &[#(<#events as ::nexum_sdk::generated::LogEvent>::TOPIC),*],
                        &::nexum_sdk::alloy::primitives::b256!(#topic),
                    ) {
                        #panic
                    }
                };
            }
        });
    checks.collect()
}

/// That the configuration's type takes what the manifest gives.
fn config_checks(handlers: &Handlers, file: &File) -> TokenStream {
    let Some(ty) = &handlers.config else {
        return TokenStream::new();
    };
    let given = |kind: &str| {
        let kind = syn::Ident::new(kind, Span::mixed_site());
        quote!(::nexum_sdk::config::Given::#kind)
    };
    let checks = file.manifest.config.0.iter().map(|(key, value)| {
        let value = match value {
            ConfigValue::String(_) => given("String"),
            ConfigValue::Integer(_) => given("Integer"),
            ConfigValue::Boolean(_) => given("Boolean"),
            ConfigValue::List(entries) => {
                let list = given("List");
                let entries = entries.iter().map(|entry| match entry {
                    ConfigScalar::String(_) => given("String"),
                    ConfigScalar::Integer(_) => given("Integer"),
                    ConfigScalar::Boolean(_) => given("Boolean"),
                });
                quote!(#list(&[#(#entries),*]))
            }
        };
        let place = file
            .places
            .config
            .get(key)
            .map_or_else(|| file.shown.clone(), Place::to_string);
        let panic = panic_over(ty, &quote!("{}", TEXT.as_str()));
        quote_spanned! {Span::mixed_site()=>
            const _: () = {
                const TEXT: ::nexum_sdk::config::Text = ::nexum_sdk::config::complaint(
                    &<#ty as ::nexum_sdk::NexumConfig>::SCHEMA,
                    #place,
                    #key,
                    #value,
                );
                if !TEXT.is_empty() {
                    #panic
                }
            };
        }
    });
    checks.collect()
}

/// `panic!(…)`, written over those tokens: the compiler shows a panic of a constant where its
/// macro stands.
fn panic_over(over: &impl ToTokens, arguments: &TokenStream) -> TokenStream {
    let hygienic = Span::mixed_site();
    let tokens = over.to_token_stream();
    let first = hygienic.located_at(over.span());
    let last = tokens.into_iter().last();
    let last = hygienic.located_at(last.map_or(first, |token| token.span()));
    let mut group = Group::new(proc_macro2::Delimiter::Parenthesis, arguments.clone());
    group.set_span(last);
    let group = TokenTree::Group(group);
    quote_spanned!(first=> ::core::panic! #group;)
}
