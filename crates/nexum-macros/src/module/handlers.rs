//! The handlers of an `impl` block: which there are, and that they go together.

use quote::ToTokens;
use syn::{
    Attribute, FnArg, ImplItem, ImplItemFn, ItemImpl, Meta, Path, Receiver, ReceiverKind,
    ReturnType, Type,
};

use super::parameters::{self, Parameters, Role};
use crate::{errors::Errors, types};

/// Everything that a module's block says, once it is known to go together.
pub(super) struct Handlers {
    pub(super) self_ty: Type,
    pub(super) init: Option<Init>,
    /// The type of the configuration; `None` where the module takes none.
    pub(super) config: Option<Type>,
    /// In the order of the block.
    pub(super) all: Vec<Handler>,
}

pub(super) struct Init {
    pub(super) function: Function,
    pub(super) returns_self: bool,
    /// How it takes the configuration, if it does.
    pub(super) config: Option<By>,
}

pub(super) struct Handler {
    pub(super) kind: Kind,
    pub(super) attribute: Attribute,
    pub(super) function: Function,
    /// What its parameters are, without `self`.
    pub(super) roles: Vec<Role>,
}

pub(super) struct Function {
    pub(super) name: syn::Ident,
    pub(super) receiver: Option<Receiver>,
    pub(super) is_async: bool,
    pub(super) returns: ReturnType,
}

/// How a value is passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Value,
    Reference,
}

/// What a handler is for.
#[derive(Clone)]
pub(super) enum Kind {
    Block,
    /// Any log that no handler of an event takes.
    Log,
    /// Logs that are this event of `sol!`.
    LogOf(Path),
    Tick,
    Message,
    /// Whatever comes.
    Event,
}

impl Kind {
    /// The attribute's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Block => "on_block",
            Self::Log | Self::LogOf(_) => "on_log",
            Self::Tick => "on_tick",
            Self::Message => "on_message",
            Self::Event => "on_event",
        }
    }

    /// The attribute, as it is written.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::LogOf(event) => format!("#[on_log({})]", types::shown(event)),
            _ => format!("#[{}]", self.name()),
        }
    }

    fn clashes_with(&self, other: &Self) -> bool {
        self.shown() == other.shown()
    }
}

impl Handlers {
    /// Takes the handlers' attributes out of the block. What does not go together is reported.
    pub(super) fn take(block: &mut ItemImpl, config: Option<Type>, errors: &mut Errors) -> Self {
        if let Some((path, _)) = &block.trait_ {
            errors.over(
                path,
                "`#[nexum::module]` goes on the type's own `impl` block, not on one of a trait",
            );
        }
        if !block.generics.params.is_empty() {
            errors.over(
                &block.generics,
                "a module has no generic parameters: the engine runs one type",
            );
        }
        let mut marked = Vec::new();
        for item in &mut block.items {
            if let ImplItem::Fn(function) = item
                && let Some(mark) = Mark::take(function, errors)
            {
                marked.push((mark, function.clone()));
            }
        }
        let mut handlers = Self {
            self_ty: (*block.self_ty).clone(),
            init: None,
            config,
            all: Vec::new(),
        };
        // Handlers may stand before `#[init]`, which says what the configuration is.
        for (mark, function) in &marked {
            if matches!(mark.what, What::Init) {
                handlers.add_init(mark, function, errors);
            }
        }
        for (mark, function) in &marked {
            if let What::Handler(kind) = &mark.what {
                handlers.add(kind, mark, function, errors);
            }
        }
        handlers.check_together(errors);
        handlers
    }

    fn add_init(&mut self, mark: &Mark, function: &ImplItemFn, errors: &mut Errors) {
        if self.init.is_some() {
            errors.over(
                &mark.attribute,
                "`#[init]` is there twice: an instance begins once",
            );
            return;
        }
        let config = parameters::of_init(function, &mut self.config, errors);
        let function = Function::of(function, errors);
        if let Some(receiver) = &function.receiver {
            errors.over(
                receiver,
                "`#[init]` takes no `self`: it makes the value, and returns `Self`",
            );
        }
        self.init = Some(Init {
            returns_self: returns_self(&function.returns, &self.self_ty),
            function,
            config,
        });
    }

    fn add(&mut self, kind: &Kind, mark: &Mark, function: &ImplItemFn, errors: &mut Errors) {
        if self.all.iter().any(|other| other.kind.clashes_with(kind)) {
            let message = match kind {
                Kind::LogOf(_) => {
                    format!("`{}` is there twice: call one from the other", kind.shown())
                }
                _ => format!(
                    "`{}` is there twice: one handler takes all of them, and can call others",
                    kind.shown()
                ),
            };
            errors.over(&mark.attribute, message);
            return;
        }
        let roles = Parameters {
            kind,
            config: self.config.as_ref(),
        }
        .roles(function, errors);
        self.all.push(Handler {
            kind: kind.clone(),
            attribute: mark.attribute.clone(),
            function: Function::of(function, errors),
            roles,
        });
    }

    fn check_together(&self, errors: &mut Errors) {
        let returns_nothing = self.init.as_ref().is_some_and(|init| !init.returns_self);
        for handler in &self.all {
            let Some(receiver) = &handler.function.receiver else {
                continue;
            };
            if !matches!(receiver.kind, ReceiverKind::Reference(..)) {
                errors.over(
                    receiver,
                    "a handler takes `&self` or `&mut self`: the value stays for the next event",
                );
            } else if returns_nothing {
                errors.over(
                    receiver,
                    format!(
                        "`#[init]` makes no value for `self`: let `{}` return `Self` or \
                         `Result<Self>`, or take `self` out here",
                        self.init
                            .as_ref()
                            .map_or_else(String::new, |init| init.function.name.to_string())
                    ),
                );
            }
        }
        let raw = self
            .all
            .iter()
            .any(|handler| matches!(handler.kind, Kind::Event));
        for handler in &self.all {
            if raw && !matches!(handler.kind, Kind::Event) {
                errors.over(
                    &handler.attribute,
                    format!(
                        "`#[on_event]` takes every event, and leaves none to `{}`: call this \
                         function from there, or take one of them out",
                        handler.kind.shown()
                    ),
                );
            }
        }
        let typed = self.of_events().next();
        if let (Some(typed), Some(plain)) = (typed, self.plain_log())
            && let Some(Role::Logs(_, ty)) = plain
                .roles
                .iter()
                .find(|role| matches!(role, Role::Logs(..)))
        {
            errors.over(
                ty,
                format!(
                    "`#[on_log]` is given what `{}` leaves, one by one and in order: take `Log` \
                     or `&Log`",
                    typed.kind.shown()
                ),
            );
        }
    }

    /// The handlers of events of `sol!`.
    pub(super) fn of_events(&self) -> impl Iterator<Item = &Handler> {
        self.all
            .iter()
            .filter(|handler| matches!(handler.kind, Kind::LogOf(_)))
    }

    /// The handler of any log.
    pub(super) fn plain_log(&self) -> Option<&Handler> {
        self.find(|kind| matches!(kind, Kind::Log))
    }

    pub(super) fn find(&self, kind: impl Fn(&Kind) -> bool) -> Option<&Handler> {
        self.all.iter().find(|handler| kind(&handler.kind))
    }
}

impl Function {
    fn of(function: &ImplItemFn, errors: &mut Errors) -> Self {
        let signature = &function.sig;
        if signature.generics.type_params().next().is_some()
            || signature.generics.const_params().next().is_some()
        {
            errors.over(
                &signature.generics,
                "a handler has no generic parameters: nothing would choose them",
            );
        }
        if let Some(abi) = &signature.abi {
            errors.over(
                abi,
                "a handler is a plain or an `async` function: take this out",
            );
        }
        if !matches!(signature.safety, syn::Safety::Default) {
            errors.over(
                &signature.safety,
                "a handler is a plain or an `async` function: take this out",
            );
        }
        for attribute in &function.attrs {
            if attribute.path().is_ident("cfg") {
                errors.over(
                    attribute,
                    "a handler cannot depend on `cfg`: the manifest's subscriptions do not; put \
                     the condition into its body",
                );
            }
        }
        Self {
            name: signature.ident.clone(),
            receiver: signature.inputs.iter().find_map(|input| match input {
                FnArg::Receiver(receiver) => Some(receiver.clone()),
                FnArg::Typed(_) => None,
            }),
            is_async: signature.asyncness.is_some(),
            returns: signature.output.clone(),
        }
    }
}

/// Whether it is `Self`, the type by its name, or either within one such as `Result<Self>`.
fn returns_self(returns: &ReturnType, self_ty: &Type) -> bool {
    let ReturnType::Type(_, ty) = returns else {
        return false;
    };
    let is_self = |ty: &Type| {
        types::is_named(ty, "Self")
            || ty.to_token_stream().to_string() == self_ty.to_token_stream().to_string()
    };
    is_self(ty) || types::first_argument(ty).is_some_and(is_self)
}

/// One of this macro's attributes on a function.
struct Mark {
    what: What,
    attribute: Attribute,
}

enum What {
    Init,
    Handler(Kind),
}

impl Mark {
    /// Takes the attribute off the function. A second one is reported.
    fn take(function: &mut ImplItemFn, errors: &mut Errors) -> Option<Self> {
        let mut marks = Vec::new();
        function.attrs.retain(|attribute| {
            let is_one = attribute.path().get_ident().is_some_and(|name| {
                [
                    "init",
                    "on_block",
                    "on_log",
                    "on_tick",
                    "on_message",
                    "on_event",
                ]
                .iter()
                .any(|known| name == known)
            });
            if is_one {
                marks.push(attribute.clone());
            }
            !is_one
        });
        let mut marks = marks.into_iter();
        let attribute = marks.next()?;
        for further in marks {
            errors.over(
                &further,
                "a function is one handler: write another that calls this one",
            );
        }
        let what = What::parse(&attribute, errors)?;
        Some(Self { what, attribute })
    }
}

impl What {
    fn parse(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        let name = attribute.path().get_ident()?.to_string();
        let event = match &attribute.meta {
            Meta::Path(_) => None,
            Meta::List(list)
                if name == "on_log"
                    && let Ok(event) = list.parse_args::<Path>() =>
            {
                Some(event)
            }
            Meta::List(_) | Meta::NameValue(_) => {
                let message = match name.as_str() {
                    "on_log" => "`#[on_log]` takes nothing, or one event of `sol!`, such as \
                         `#[on_log(Transfer)]`; each event has a handler of its own"
                        .to_owned(),
                    "init" => {
                        "`#[init]` takes nothing: the configuration is its parameter".to_owned()
                    }
                    _ => format!(
                        "`#[{name}]` takes nothing: what it is called for stands in the manifest"
                    ),
                };
                errors.over(attribute, message);
                return None;
            }
        };
        Some(Self::Handler(match (name.as_str(), event) {
            ("on_block", _) => Kind::Block,
            ("on_log", None) => Kind::Log,
            ("on_log", Some(event)) => Kind::LogOf(event),
            ("on_tick", _) => Kind::Tick,
            ("on_message", _) => Kind::Message,
            ("on_event", _) => Kind::Event,
            _ => return Some(Self::Init),
        }))
    }
}
