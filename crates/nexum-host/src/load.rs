//! From the bytes of a component to something that can be instantiated: compile, check what it
//! imports against what it was granted, link.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexum_manifest::{Capabilities, Capability, Pin, Resources, Sha256, Withheld};
use nexum_types::{ChainId, ChainRpc, HttpFetch, IdentityAccess, ModuleName};
use sha2::Digest as _;
use wasmtime::{
    Config, Engine,
    component::{HasSelf, Linker},
};

use crate::{
    bindings::{self, EventModulePre},
    clock::Clock,
    code::{Code, CodeCache},
    denials::Denials,
    guest::Guest,
    imports,
    kept_code::{self, CodeKey, CompiledCode, KeptCode},
    limits::{FIBER_STACK_BYTES, WASM_STACK_BYTES},
    logging::{LogRate, ModuleLog},
    ticker::Ticker,
    usage::Usage,
    wasi, withheld,
};

pub(crate) const CONTRACT: &str = "nexum:host";

/// The wasm engine, shared by all modules.
pub struct Host {
    engine: Engine,
    /// What code of this engine is of use for, see [`CodeKey`].
    build: Sha256,
    code: CodeCache,
    clock: Arc<dyn Clock>,
    ticker: Arc<Ticker>,
}

/// Why the wasm engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HostSetupError {
    /// The machine lacks what the settings ask for.
    #[error("the wasm engine cannot run on this machine: {0}")]
    Engine(String),
    /// No thread could be started.
    #[error("the epoch thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// What a module is allowed, whatever its bytes say.
#[derive(Clone)]
pub struct ModuleSpec {
    /// The module's name, for its log.
    pub name: ModuleName,
    /// The digest its bytes must have.
    pub pin: Option<Pin>,
    /// Whether it is refused without one.
    pub pin_required: bool,
    /// The interfaces it may import.
    pub capabilities: Capabilities,
    /// The chains it may ask.
    pub chains: BTreeSet<ChainId>,
    /// The chains that it could do with and that are not to be had.
    pub absent_chains: BTreeSet<ChainId>,
    /// What it may use up.
    pub resources: Resources,
    /// How much it may log.
    pub log_rate: LogRate,
    /// Through which it reaches its chains.
    pub chain: Arc<dyn ChainRpc>,
    /// Through which it reaches servers outside.
    pub http: Arc<dyn HttpFetch>,
    /// Through which it reaches its accounts.
    pub identity: Arc<dyn IdentityAccess>,
}

/// Why a component is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not those that are pinned.
    #[error("its sha256 is {found}, and its {} {}", pinned_by(*.pin), .pin.digest())]
    Digest {
        /// What they must have.
        pin: Pin,
        /// What they have.
        found: Sha256,
    },
    /// Nobody has pinned the bytes, and the policy asks for it.
    #[error(
        "neither its manifest nor its entry pins a digest, which policy.require_digest asks for; its sha256 is {found}"
    )]
    Unpinned {
        /// What the bytes have.
        found: Sha256,
    },
    /// The bytes are no component.
    #[error("it is no WebAssembly component but {found}")]
    NotAComponent {
        /// What they are instead.
        found: &'static str,
    },
    /// Compiling it would take more than a component may take.
    #[error("it has more than {most} {what}")]
    TooMuch {
        /// What it has too many of.
        what: &'static str,
        /// How many it may have.
        most: usize,
    },
    /// Compiling it would take longer than a component may take.
    #[error(
        "compiling it would take too long: its functions weigh more than {most} together, and number {function} alone weighs {weight}"
    )]
    TooHeavy {
        /// The number, within its core module, of the function with which it is too much.
        function: u32,
        /// What that one weighs: the square of its branches, times the values that live across them;
        /// and its loops within loops.
        weight: u64,
        /// What all of them may weigh together.
        most: u64,
    },
    /// The bytes do not compile.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// The component imports interfaces that its manifest does not declare.
    #[error("it imports what its manifest does not declare: {}", listed(missing))]
    Undeclared {
        /// Those interfaces.
        missing: BTreeSet<Capability>,
        /// What the manifest declares.
        declared: Capabilities,
    },
    /// The component imports what this engine does not have.
    #[error("it imports {}, which this engine does not have", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// The component was built for another version of the contract.
    #[error("it imports {import}, and this engine has {CONTRACT}@{CONTRACT_VERSION}")]
    OtherVersion {
        /// What it imports.
        import: String,
    },
    /// The component is for another world.
    #[error("it is not built for the world {CONTRACT}/event-module@{CONTRACT_VERSION}: {0}")]
    OtherWorld(String),
}

impl LoadError {
    /// What to do about it. `is_configured`: the operator's word on the module stands in the
    /// engine's file, and not in a command.
    #[must_use]
    pub fn remedy(&self, is_configured: bool) -> String {
        match self {
            Self::Digest { pin, found } => {
                let line = match pin {
                    Pin::Manifest(_) => {
                        format!("write component = \"sha256:{found}\" under [module]")
                    }
                    Pin::Operator(_) if is_configured => {
                        format!("write digest = \"sha256:{found}\" here")
                    }
                    Pin::Operator(_) => format!("give the command --digest sha256:{found}"),
                };
                format!("if the component was meant to change, {line}; if not, get the bundle anew")
            }
            Self::Unpinned { found } => {
                let operators = if is_configured {
                    format!("add to its entry:\ndigest = \"sha256:{found}\"")
                } else {
                    format!("give the command\n--digest sha256:{found}")
                };
                format!(
                    "if this is the component you mean to run, {operators}\n\
                     or write under [module] of its manifest:\n\
                     component = \"sha256:{found}\""
                )
            }
            Self::NotAComponent { .. } | Self::Compile(_) => {
                "build the module with --target wasm32-wasip2, and put the result into the bundle as module.wasm".into()
            }
            Self::TooHeavy { .. } => {
                "build it optimised; where one function is generated, as a table of cases is, make several smaller ones of it".into()
            }
            Self::TooMuch { .. } => {
                "no toolchain makes such a component: get the bundle anew, or build it anew".into()
            }
            Self::Undeclared { missing, declared } => declaring(missing, declared),
            Self::UnknownImports(_) => format!(
                "a module can import {CONTRACT}@{CONTRACT_VERSION} ({}) and {}",
                Capability::hosted().map(Capability::as_str).collect::<Vec<_>>().join(", "),
                wasi::PACKAGES.join(", ")
            ),
            Self::OtherVersion { .. } | Self::OtherWorld(_) => format!(
                "build the module for the world event-module of {CONTRACT}@{CONTRACT_VERSION}"
            ),
        }
    }
}

fn pinned_by(pin: Pin) -> &'static str {
    match pin {
        Pin::Manifest(_) => "manifest says",
        Pin::Operator(_) => "entry is pinned to",
    }
}

/// The lines under `[capabilities]` that declare what is missing, too.
fn declaring(missing: &BTreeSet<Capability>, declared: &Capabilities) -> String {
    let (hosted, absent): (BTreeSet<_>, BTreeSet<_>) = missing
        .iter()
        .partition(|capability| capability.is_hosted());
    let required = declared.required.union(&hosted).copied().collect();
    let optional: BTreeSet<_> = declared.optional.union(&absent).copied().collect();
    let mut lines = format!(
        "write under [capabilities]:\nrequired = [{}]",
        listed(&required)
    );
    if !optional.is_empty() {
        lines += &format!("\noptional = [{}]", listed(&optional));
    }
    lines
}

fn listed(capabilities: &BTreeSet<Capability>) -> String {
    let quoted: Vec<_> = capabilities
        .iter()
        .map(|capability| format!("\"{capability}\""))
        .collect();
    quoted.join(", ")
}

pub(crate) const CONTRACT_VERSION: &str = "0.3.0";

impl Host {
    /// Where modules get their time from.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sets up the wasm engine. Modules get their time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, HostSetupError> {
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .epoch_interruption(true)
            .concurrency_support(false)
            .async_stack_size(FIBER_STACK_BYTES)
            .max_wasm_stack(WASM_STACK_BYTES);
        let engine =
            Engine::new(&config).map_err(|error| HostSetupError::Engine(format!("{error:#}")))?;
        let ticker = Ticker::start(&engine).map_err(HostSetupError::Thread)?;
        Ok(Self {
            build: kept_code::build_of(&engine),
            engine,
            code: CodeCache::default(),
            clock,
            ticker: Arc::new(ticker),
        })
    }

    /// Compiles, checks and links one component. Takes processor time in proportion to its size,
    /// unless a module of the same bytes is loaded or its code is in `kept`: call it where
    /// blocking is allowed.
    pub fn load(
        &self,
        bytes: &[u8],
        spec: ModuleSpec,
        kept: &dyn KeptCode,
    ) -> Result<Loaded, LoadError> {
        let found = Sha256(sha2::Sha256::digest(bytes).into());
        match spec.pin {
            Some(pin) if pin.digest() != found => return Err(LoadError::Digest { pin, found }),
            None if spec.pin_required => return Err(LoadError::Unpinned { found }),
            _ => {}
        }
        imports::check_kind(bytes)?;
        let key = CodeKey {
            component: found,
            build: self.build,
        };
        let slot = self.code.code_of(found);
        let code = slot.get(&self.engine, key, bytes, kept)?;
        let ty = code.component.component_type();
        let names: BTreeSet<_> = ty.imports(&self.engine).map(|(name, _)| name).collect();
        imports::check(names.into_iter(), &spec.capabilities)?;
        let withheld = spec.capabilities.withheld();
        let granted = spec.capabilities.granted();
        let linker = self
            .linker(&granted, &withheld)
            .map_err(|error| unlinkable(&error))?;
        let pre = linker
            .instantiate_pre(&code.component)
            .map_err(|error| unlinkable(&error))?;
        let pre = EventModulePre::new(pre)
            .map_err(|error| LoadError::OtherWorld(error.root_cause().to_string()))?;
        let usage = Arc::new(Usage::default());
        let denials = Arc::new(Denials::new(spec.name.clone()));
        let log = ModuleLog::new(spec.name, spec.log_rate, Arc::clone(&usage));
        Ok(Loaded {
            pre,
            code,
            _slot: slot,
            resources: spec.resources,
            chains: Arc::new(spec.chains),
            absent_chains: Arc::new(spec.absent_chains),
            withheld: Arc::new(withheld),
            denials,
            chain: spec.chain,
            http: spec.http,
            identity: spec.identity,
            has_identity: granted.contains(&Capability::Identity),
            clock: Arc::clone(&self.clock),
            log: Arc::new(log),
            usage,
            _ticker: Arc::clone(&self.ticker),
        })
    }

    /// Only what is granted is linked, and a stub for what is withheld.
    fn linker(
        &self,
        granted: &BTreeSet<Capability>,
        withheld: &BTreeMap<Capability, Withheld>,
    ) -> wasmtime::Result<Linker<Guest>> {
        let mut linker = Linker::new(&self.engine);
        let l = &mut linker;
        wasi::link(l)?;
        bindings::types::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
        for capability in withheld.keys() {
            withheld::link(*capability, l)?;
        }
        for capability in granted {
            match capability {
                // `granted` has what is hosted only.
                Capability::RemoteStore | Capability::Messaging => {}
                Capability::Http => {
                    bindings::http::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
                }
                Capability::Chain => {
                    bindings::chain::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
                }
                Capability::Identity => {
                    bindings::identity::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
                }
                Capability::LocalStore => {
                    bindings::local_store::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
                }
                Capability::Logging => {
                    bindings::logging::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
                }
                Capability::Clock => {
                    bindings::clock::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
                }
                Capability::Random => {
                    bindings::random::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
                }
            }
        }
        Ok(linker)
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Linking fails only where a component asks for a function, or a type of one, that the
/// interface it names does not have.
fn unlinkable(error: &wasmtime::Error) -> LoadError {
    LoadError::OtherWorld(format!("{error:#}"))
}

/// A component, compiled, checked and linked: instances are made of it.
#[derive(Clone)]
pub struct Loaded {
    pub(crate) pre: EventModulePre<Guest>,
    code: CompiledCode,
    /// While it is there, further modules of the same bytes share the code.
    _slot: Code,
    pub(crate) resources: Resources,
    pub(crate) chains: Arc<BTreeSet<ChainId>>,
    pub(crate) absent_chains: Arc<BTreeSet<ChainId>>,
    pub(crate) withheld: Arc<BTreeMap<Capability, Withheld>>,
    pub(crate) denials: Arc<Denials>,
    pub(crate) chain: Arc<dyn ChainRpc>,
    pub(crate) http: Arc<dyn HttpFetch>,
    pub(crate) identity: Arc<dyn IdentityAccess>,
    pub(crate) has_identity: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Arc<ModuleLog>,
    pub(crate) usage: Arc<Usage>,
    /// Without it a busy guest would never yield, and so outlive every deadline.
    _ticker: Arc<Ticker>,
}

impl Loaded {
    /// Where it gets its time from.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What its instances use up and are denied.
    #[must_use]
    pub fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// What one call, and one instance, may use up.
    #[must_use]
    pub fn resources(&self) -> Resources {
        self.resources
    }

    /// The digest of the bytes that were compiled.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.code.key().component
    }

    /// Its code, to be kept for the next start.
    #[must_use]
    pub fn code(&self) -> &CompiledCode {
        &self.code
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
