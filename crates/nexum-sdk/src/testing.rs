//! A host in memory, for unit tests of a module's handlers: no wasm, no network, no clock.
//!
//! [`MockHost`] reads the module's own `nexum.toml`, so that a test meets the subscriptions, the
//! configuration, the capabilities and the quota that the engine would. A scripted chain stands
//! behind `chain`; the state has the engine's transactions. [`MockHost::start`] makes an instance,
//! which is given events by hand ([`Running::dispatch`]) or by a script ([`Running::play`]). As in
//! a mock run of the engine, the genesis block of a chain was there before the module, so block 1
//! is the first that a module can get.
//!
//! ```no_run
//! # use nexum_sdk::{Event, Module, Result, module::Config};
//! # struct PriceAlert;
//! # impl Module for PriceAlert {
//! #     type Instance = Self;
//! #     fn init(_: Config) -> Result<Self> { Ok(Self) }
//! #     fn on_event(_: &mut Self, _: Event) -> Result<()> { Ok(()) }
//! # }
//! use nexum_sdk::testing::MockHost;
//!
//! let host = MockHost::new().config("threshold", 2500);
//! let mut module = host.start::<PriceAlert>().unwrap();
//! module.play("chain 1\nmine 3").unwrap();
//! assert_eq!(host.logs().len(), 1);
//! ```

mod backend;
mod call;
mod chains;
mod memory;
mod observed;
mod route;
mod running;
mod signing;
mod wallet;

use std::{
    cell::{Ref, RefCell, RefMut},
    collections::BTreeMap,
    path::Path,
    rc::Rc,
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use nexum_manifest::{ModuleFile, ModuleManifest};
use nexum_types::{CallKey, CallState};
use serde_json::Value;

use crate::{
    ConfigScalar, ConfigValue, HostError, Message, Module, Result, host,
    http::{self, Response},
};
use chains::Chains;
use memory::Memory;
pub use nexum_testkit::{Branch, ChainBlock, NewLog, Script, ScriptError, ScriptedChain};
use observed::Observed;
pub use observed::{Asked, LogLine, Published, Signed, SignedMessage};
pub use running::{Failure, PlayError, Running};
use signing::Accounts;
pub use wallet::SentTransaction;
use wallet::Wallet;

/// The instant at which a mock host begins, in milliseconds since the Unix epoch: the clock then
/// follows the events, and never goes back.
pub const BEGINNING_MS: u64 = 1_700_000_000_000;

/// A host in memory. Clones share it.
#[derive(Clone)]
pub struct MockHost {
    world: Rc<RefCell<World>>,
}

/// Everything a mock host knows.
struct World {
    manifest: ModuleManifest,
    config: BTreeMap<String, ConfigValue>,
    chains: Chains,
    memory: Memory,
    /// The state of the call that is going on.
    call: Option<CallState>,
    /// How many transactions that call has asked for.
    sends: u32,
    now_ms: u64,
    random: u64,
    accounts: Accounts,
    wallet: Wallet,
    http: Vec<HttpRule>,
    stored: BTreeMap<String, Vec<u8>>,
    feeds: BTreeMap<(Address, B256), Vec<u8>>,
    messages: Vec<Message>,
    observed: Observed,
}

struct HttpRule {
    method: String,
    url: String,
    answer: Result<Response>,
}

impl MockHost {
    /// A host for the crate under test: reads `nexum.toml` beside its `Cargo.toml`, which cargo
    /// names to every test it runs.
    ///
    /// # Panics
    ///
    /// Where there is no such file, or it has problems: all of them are shown.
    #[must_use]
    pub fn new() -> Self {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| {
            panic!("CARGO_MANIFEST_DIR is not set: run the test with cargo, or use MockHost::of")
        });
        let path = Path::new(&folder).join("nexum.toml");
        match ModuleFile::load(&path) {
            Ok(file) => Self::with(file.into_manifest()),
            Err(problems) => panic!("{problems:?}"),
        }
    }

    /// A host for a module with this manifest, given as text.
    ///
    /// # Panics
    ///
    /// Where the manifest has problems: all of them are shown.
    #[must_use]
    pub fn of(manifest: &str) -> Self {
        match ModuleFile::parse(Path::new("nexum.toml"), manifest.to_owned()) {
            Ok(file) => Self::with(file.into_manifest()),
            Err(problems) => panic!("{problems:?}"),
        }
    }

    fn with(manifest: ModuleManifest) -> Self {
        let config = manifest.config.0.iter();
        let config = config.map(|(key, value)| (key.clone(), value.into()));
        let world = World {
            config: config.collect(),
            chains: Chains::default(),
            memory: Memory::default(),
            call: None,
            sends: 0,
            now_ms: BEGINNING_MS,
            random: 1,
            accounts: Accounts::default(),
            wallet: Wallet::default(),
            http: Vec::new(),
            stored: BTreeMap::new(),
            feeds: BTreeMap::new(),
            messages: Vec::new(),
            observed: Observed::default(),
            manifest,
        };
        Self {
            world: Rc::new(RefCell::new(world)),
        }
    }

    /// Lays a value over the manifest's `[config]`, as the operator may. Taken by the next
    /// [`MockHost::start`].
    #[must_use]
    pub fn config(self, key: &str, value: impl Into<ConfigValue>) -> Self {
        self.world_mut().config.insert(key.to_owned(), value.into());
        self
    }

    /// The scripted chain of that id, for changes by hand: balances, logs, reorgs. What is mined
    /// on it reaches the module with the next [`Running::settle`]. What the module's `init` is to
    /// find there is set with [`ScriptedChain::at_genesis`] before [`MockHost::start`].
    #[must_use]
    pub fn chain(&self, chain_id: u64) -> ScriptedChain {
        self.world_mut().chains.chain(chain_id)
    }

    /// Answers each call of that function of `contract`, from now on and at any block, with what
    /// `answer` makes of its arguments. An error is a revert with its message as the reason.
    #[must_use]
    pub fn on_call<C: SolCall>(
        self,
        chain_id: u64,
        contract: Address,
        answer: impl Fn(C) -> Result<C::Return> + 'static,
    ) -> Self {
        self.world_mut()
            .chains
            .on_call(chain_id, contract, C::SELECTOR, move |input: &Bytes| {
                let call = C::abi_decode(input)?;
                Ok(C::abi_encode_returns(&answer(call)?).into())
            });
        self
    }

    /// Answers each request of that method with what `answer` makes of its parameters, before the
    /// scripted chain is asked.
    #[must_use]
    pub fn on_request(
        self,
        chain_id: u64,
        method: &str,
        answer: impl Fn(&Value) -> Result<Value> + 'static,
    ) -> Self {
        self.world_mut().chains.on_request(chain_id, method, answer);
        self
    }

    /// Answers requests of that method to exactly this URL. The last one that fits counts.
    #[must_use]
    pub fn on_http(self, method: &str, url: &str, answer: Result<Response>) -> Self {
        self.world_mut().http.push(HttpRule {
            method: method.to_owned(),
            url: url.to_owned(),
            answer,
        });
        self
    }

    /// Gives the module an account more, as the operator does, and answers its address. The keys
    /// are known to everyone: the first is 1, the second 2, and so on.
    #[must_use]
    pub fn add_account(&self) -> Address {
        self.world_mut().accounts.add()
    }

    /// The clock, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.world().now_ms
    }

    /// Lets time go by.
    pub fn advance(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut world = self.world_mut();
        world.now_ms = world.now_ms.saturating_add(ms);
    }

    /// Makes an instance of the module and calls its `init`. Nothing that a failed `init` wrote
    /// is kept.
    ///
    /// # Errors
    ///
    /// What `init` answered, or with what it panicked.
    pub fn start<M: Module>(&self) -> Result<Running<M>, Failure> {
        Running::start(self.clone())
    }

    /// Runs `body` with this host in place, to call host functions outside of a handler: to read
    /// typed state, for one. What it writes is committed.
    ///
    /// # Panics
    ///
    /// Within a call of the module.
    pub fn enter<T>(&self, body: impl FnOnce() -> T) -> T {
        let _installed = host::install(Rc::new(self.clone()));
        self.begin(Some(call::outside()));
        let answer = body();
        self.commit();
        answer
    }

    /// The committed value of a key.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.world().memory.get(key)
    }

    /// The committed keys, in the order of their bytes.
    #[must_use]
    pub fn state_keys(&self) -> Vec<String> {
        self.world().memory.keys()
    }

    /// Every line that the module logged, oldest first.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.world().observed.logs.clone()
    }

    /// Every question that the module asked of a chain, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Asked> {
        self.world().observed.asked.clone()
    }

    /// How many exchanges with endpoints there were: a batch is one.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.world().observed.exchanges
    }

    /// Every HTTP request that the module sent, oldest first.
    #[must_use]
    pub fn http_requests(&self) -> Vec<http::Request> {
        self.world().observed.http.clone()
    }

    /// Every signature that the module had made, oldest first.
    #[must_use]
    pub fn signatures(&self) -> Vec<Signed> {
        self.world().observed.signed.clone()
    }

    /// Every message that the module published, oldest first.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.world().observed.published.clone()
    }

    /// Forgets what was logged, asked, signed and published, and which requests were sent, so far.
    /// Transactions stay: a chain does not forget them.
    pub fn forget(&self) {
        self.world_mut().observed = Observed::default();
    }

    fn world(&self) -> Ref<'_, World> {
        self.world.borrow()
    }

    fn world_mut(&self) -> RefMut<'_, World> {
        self.world.borrow_mut()
    }

    /// Begins an attempt of a call on the committed state.
    fn begin(&self, call: Option<CallKey>) {
        let mut world = self.world_mut();
        assert!(
            world.call.is_none(),
            "a call of the module is going on already"
        );
        let quota = world.manifest.resources.max_state_bytes;
        world.call = Some(CallState::new(world.memory.backend(), quota).of(call));
        world.sends = 0;
    }

    /// Ends a call and keeps what it wrote.
    fn commit(&self) {
        let mut world = self.world_mut();
        if let Some(call) = world.call.take() {
            world.memory.apply(&call.into_writes());
        }
    }

    /// Ends a call and keeps nothing but what it checkpointed.
    fn roll_back(&self) {
        self.world_mut().call = None;
    }
}

impl Default for MockHost {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MockHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MockHost").finish_non_exhaustive()
    }
}

impl From<&nexum_types::ConfigValue> for ConfigValue {
    fn from(value: &nexum_types::ConfigValue) -> Self {
        use nexum_types::ConfigValue as Written;
        match value {
            Written::String(text) => Self::String(text.clone()),
            Written::Integer(number) => Self::Integer(*number),
            Written::Boolean(truth) => Self::Boolean(*truth),
            Written::List(list) => Self::List(list.iter().map(ConfigScalar::from).collect()),
        }
    }
}

impl From<&nexum_types::ConfigScalar> for ConfigScalar {
    fn from(value: &nexum_types::ConfigScalar) -> Self {
        use nexum_types::ConfigScalar as Written;
        match value {
            Written::String(text) => Self::String(text.clone()),
            Written::Integer(number) => Self::Integer(*number),
            Written::Boolean(truth) => Self::Boolean(*truth),
        }
    }
}

/// The failure of the store, as the engine tells it.
fn state_error(error: &nexum_types::StateError) -> HostError {
    use nexum_types::StateError;
    let kind = match error {
        StateError::QuotaExceeded { .. } | StateError::TooManyChanges => {
            crate::HostErrorKind::Denied
        }
        _ => crate::HostErrorKind::InvalidInput,
    };
    HostError::new(kind, error.to_string()).in_domain("local-store")
}
