//! What a handler's parameters are, told by their types.

use quote::ToTokens;
use syn::{FnArg, ImplItemFn, PathSegment, Type};

use super::handlers::{By, Kind};
use crate::{
    errors::Errors,
    types::{first_argument, is_named, last_segment, plain, shown},
};

/// What a parameter is given.
pub(super) enum Role {
    /// The payload: a block, a log, a tick, a message, an event.
    Payload(By),
    /// All logs of an event at once. The type is for errors.
    Logs(By, Box<Type>),
    /// The log as the handler's event.
    Decoded(By),
    /// The provider of the event's chain.
    Provider,
    /// The configuration.
    Config,
}

impl Role {
    fn is_same(&self, other: &Self) -> bool {
        let place = |role: &Self| match role {
            Self::Payload(_) | Self::Logs(..) => 0,
            Self::Decoded(_) => 1,
            Self::Provider => 2,
            Self::Config => 3,
        };
        place(self) == place(other)
    }
}

/// What a handler may take.
pub(super) struct Parameters<'h> {
    pub(super) kind: &'h Kind,
    pub(super) config: Option<&'h Type>,
}

impl Parameters<'_> {
    /// The roles of a function's parameters, in order, without `self`.
    pub(super) fn roles(&self, function: &ImplItemFn, errors: &mut Errors) -> Vec<Role> {
        let mut roles: Vec<Role> = Vec::new();
        for ty in types(function) {
            let Some(role) = self.role(ty) else {
                errors.over(ty, self.refusal(ty));
                continue;
            };
            if roles.iter().any(|other| other.is_same(&role)) {
                let message = format!(
                    "`{}` is given this once: take one of the two out",
                    self.kind.shown()
                );
                errors.over(ty, message);
            }
            roles.push(role);
        }
        roles
    }

    fn role(&self, ty: &Type) -> Option<Role> {
        let (by, inner) = passed(ty);
        if let Kind::LogOf(event) = self.kind
            && same_name(inner, event.segments.last()?)
        {
            return Some(Role::Decoded(by));
        }
        if by == By::Reference && self.config.is_some_and(|config| same_type(inner, config)) {
            return Some(Role::Config);
        }
        match self.kind {
            Kind::Log => {
                if is_named(inner, "Log") {
                    return Some(Role::Payload(by));
                }
                let list = match (by, inner) {
                    (By::Reference, Type::Slice(slice)) => is_named(&slice.elem, "Log"),
                    (By::Value, list) => {
                        is_named(list, "Vec")
                            && first_argument(list).is_some_and(|item| is_named(item, "Log"))
                    }
                    _ => false,
                };
                if list {
                    return Some(Role::Logs(by, Box::new(ty.clone())));
                }
            }
            _ if is_named(inner, self.payload()) => return Some(Role::Payload(by)),
            _ => {}
        }
        let provider = self.has_chain() && by == By::Reference && is_named(inner, "Provider");
        provider.then_some(Role::Provider)
    }

    /// The payload's type.
    fn payload(&self) -> &'static str {
        match self.kind {
            Kind::Block => "Block",
            Kind::Log | Kind::LogOf(_) => "Log",
            Kind::Tick => "Tick",
            Kind::Message => "Message",
            Kind::Event => "Event",
        }
    }

    fn has_chain(&self) -> bool {
        matches!(self.kind, Kind::Block | Kind::Log | Kind::LogOf(_))
    }

    fn refusal(&self, ty: &Type) -> String {
        let handler = self.kind.shown();
        let (_, inner) = passed(ty);
        if is_named(inner, "Provider") && !self.has_chain() {
            let what = self.payload().to_lowercase();
            return match self.kind {
                Kind::Event => format!(
                    "`{handler}` is given no provider, since not every event is of a chain: call \
                     `provider(chain_id)`"
                ),
                _ => format!(
                    "`{handler}` is given no provider, since a {what} is of no chain: call \
                     `provider(chain_id)`"
                ),
            };
        }
        let payload = self.payload();
        let mut takes = match self.kind {
            Kind::LogOf(event) => {
                let event = shown(event);
                format!("`{event}` or `&{event}`, `Log` or `&Log`")
            }
            Kind::Log => "`Log` or `&Log` (or all at once: `Vec<Log>` or `&[Log]`)".to_owned(),
            _ => format!("`{payload}` or `&{payload}`"),
        };
        if self.has_chain() {
            takes.push_str(", `&Provider`");
        }
        match self.config {
            Some(config) => {
                takes.push_str(&format!(", and the configuration `&{}`", shown(config)));
            }
            None => takes.push_str(
                ", and by reference the configuration, whose type `#[init]` takes or \
                 `#[nexum::module(config = …)]` names",
            ),
        }
        format!(
            "`{handler}` cannot take `{}`: there are {takes}; each at most once, in any order",
            shown(ty)
        )
    }
}

/// How `#[init]` takes the configuration. Where nothing names its type yet, this does.
pub(super) fn of_init(
    function: &ImplItemFn,
    config: &mut Option<Type>,
    errors: &mut Errors,
) -> Option<By> {
    let mut taken = None;
    for ty in types(function) {
        let (by, inner) = passed(ty);
        if is_named(inner, "Provider") {
            errors.over(
                ty,
                "`#[init]` is given no provider, since it is of no chain: call \
                 `provider(chain_id)`",
            );
        } else if taken.is_some() {
            errors.over(ty, "`#[init]` takes the configuration, and nothing else");
        } else {
            match config {
                Some(config) if !same_type(inner, config) => {
                    let message = format!(
                        "the configuration is `{}`, as `#[nexum::module(config = …)]` says",
                        shown(config)
                    );
                    errors.over(ty, message);
                }
                Some(_) => {}
                None => *config = Some(inner.clone()),
            }
            taken = Some(by);
        }
    }
    taken
}

fn types(function: &ImplItemFn) -> impl Iterator<Item = &Type> {
    function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    })
}

/// How a type is passed, and which it is. What is passed by `&mut` stays that, and is none that
/// a handler takes.
fn passed(ty: &Type) -> (By, &Type) {
    match plain(ty) {
        Type::Reference(reference) if reference.mutability.is_none() => {
            (By::Reference, plain(&reference.elem))
        }
        ty => (By::Value, ty),
    }
}

fn same_name(ty: &Type, segment: &PathSegment) -> bool {
    last_segment(ty).is_some_and(|of| of.ident == segment.ident && of.arguments.is_none())
}

/// Whether two types are the same by name and arguments. A path may be longer in one place.
fn same_type(one: &Type, other: &Type) -> bool {
    let text = |tokens: &dyn ToTokens| tokens.to_token_stream().to_string();
    match (last_segment(one), last_segment(other)) {
        (Some(one), Some(other)) => text(one) == text(other),
        _ => text(one) == text(other),
    }
}
