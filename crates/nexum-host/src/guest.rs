//! What the store of one guest instance holds.

use std::{collections::BTreeSet, sync::Arc};

use nexum_types::{CallState, ChainId, ChainRpc, HttpFetch, IdentityAccess, StateError};
use tokio::task::JoinHandle;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::{
    clock::Clock, denials::Denials, limits::MemoryLimit, logging::ModuleLog, usage::Usage,
    withheld::Stub,
};

/// A commit that no cancellation stops, with the state that it was made for.
pub(crate) type Checkpoint = JoinHandle<(CallState, Result<(), StateError>)>;

/// The host's side of one guest instance: everything its imports reach.
pub(crate) struct Guest {
    /// The state that the call in flight sees; there is none between calls.
    pub(crate) state: Option<CallState>,
    /// The checkpoint that is on its way to the disk.
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) chain: Arc<dyn ChainRpc>,
    /// The chains that the manifest names and the operator configures.
    pub(crate) chains: Arc<BTreeSet<ChainId>>,
    /// The chains that the manifest names as optional and the operator does not configure.
    pub(crate) absent_chains: Arc<BTreeSet<ChainId>>,
    pub(crate) http: Arc<dyn HttpFetch>,
    pub(crate) identity: Arc<dyn IdentityAccess>,
    /// Whether the module has the capability `identity`.
    pub(crate) has_identity: bool,
    /// How many transactions the call in flight has sent.
    pub(crate) sends: u32,
    /// Whether the call in flight has had an effect outside that nothing takes back.
    pub(crate) had_effect: bool,
    pub(crate) denials: Arc<Denials>,
    pub(crate) stub: Stub,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Arc<ModuleLog>,
    pub(crate) memory: MemoryLimit,
    pub(crate) usage: Arc<Usage>,
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
