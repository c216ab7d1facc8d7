//! The raw limits: a component called by nothing but wasmtime, and writes committed by nothing
//! but redb.

use nexum_store::StoreOptions;
use redb::{Database, Durability, TableDefinition};
use tempfile::TempDir;
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker},
};

mod contract {
    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host",
        world: "nexum:host/event-module",
        imports: { default: trappable },
        exports: { default: async },
    });
}

use contract::{EventModule, EventModulePre, nexum::host::types};

/// As the resources of a module are, unless its manifest says otherwise.
const FUEL: u64 = 1_000_000_000;

/// Instances of one component with nothing behind their imports.
pub(crate) struct Guests(Vec<(Store<()>, EventModule)>);

impl Guests {
    /// Compiles and instantiates under the settings of `nexum_host::Host`.
    pub(crate) async fn new(component: &[u8], count: usize) -> Self {
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .epoch_interruption(true)
            .concurrency_support(false)
            .async_stack_size(1024 * 1024)
            .max_wasm_stack(512 * 1024);
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let pre = EventModulePre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        let mut guests = Vec::with_capacity(count);
        for _ in 0..count {
            let mut store = Store::new(&engine, ());
            store.epoch_deadline_async_yield_and_update(1);
            store.set_fuel(FUEL).unwrap();
            let exports = pre.instantiate_async(&mut store).await.unwrap();
            exports
                .call_init(&mut store, &Vec::new())
                .await
                .unwrap()
                .unwrap();
            guests.push((store, exports));
        }
        Self(guests)
    }

    /// Calls `on-event` of each once.
    pub(crate) async fn call_each(&mut self, event: &types::Event) {
        for (store, exports) in &mut self.0 {
            store.set_fuel(FUEL).unwrap();
            exports.call_on_event(store, event).await.unwrap().unwrap();
        }
    }
}

/// A block as the contract has it.
pub(crate) fn block() -> types::Event {
    types::Event::Block(types::Block {
        chain_id: 1,
        number: 7,
        hash: vec![7; 32],
        parent_hash: vec![6; 32],
        timestamp: 1_700_000_000_000,
    })
}

/// A database with one table of state.
pub(crate) struct Table {
    db: Database,
    _dir: TempDir,
}

impl Table {
    pub(crate) fn new(dir: TempDir) -> Self {
        let db = Database::builder()
            .set_cache_size(StoreOptions::DEFAULT_CACHE_BYTES)
            .create(dir.path().join("raw.redb"))
            .unwrap();
        Self { db, _dir: dir }
    }

    pub(crate) fn commit(&self, writes: &[(String, Vec<u8>)], durability: Durability) {
        const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");
        let mut transaction = self.db.begin_write().unwrap();
        transaction.set_durability(durability).unwrap();
        {
            let mut table = transaction.open_table(STATE).unwrap();
            for (key, value) in writes {
                table.insert(key.as_str(), value.as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}
