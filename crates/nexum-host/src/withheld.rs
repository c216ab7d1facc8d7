//! Stands in for the interfaces that a module declares as optional and does not get: their
//! functions answer `unsupported`, and name the module and the capability.

use std::{collections::BTreeMap, sync::Arc};

use nexum_manifest::{Capability, Withheld};
use nexum_types::{HostError, HostErrorKind};
use wasmtime::component::{HasSelf, Linker};

use crate::{
    bindings::{self, chain, http, identity, local_store, logging, messaging, remote_store},
    denials::Denials,
    guest::Guest,
    usage::Usage,
};

type Answer<T> = wasmtime::Result<Result<T, bindings::types::HostError>>;

/// Answers for every interface that is withheld.
pub(crate) struct Stub {
    pub(crate) withheld: Arc<BTreeMap<Capability, Withheld>>,
    pub(crate) denials: Arc<Denials>,
    pub(crate) usage: Arc<Usage>,
}

impl Stub {
    fn unsupported<T>(&self, capability: Capability) -> Answer<T> {
        let module = self.denials.module();
        let (why, remedy) = match self.withheld.get(&capability) {
            Some(Withheld::Denied) => (
                "the operator denies it",
                format!(
                    "take \"{capability}\" out of `denied_capabilities` under [policy], or let it be: the module can do without"
                ),
            ),
            Some(Withheld::NotHosted) | None => (
                "this engine does not have it",
                "let it be: the module can do without".to_owned(),
            ),
        };
        self.denials
            .tell(&format!("the capability {capability}: {why}"), &remedy);
        self.usage.withheld(capability);
        let message = format!("module {module} does not have the capability {capability}: {why}");
        let error = HostError::new(capability.as_str(), HostErrorKind::Unsupported, message);
        Ok(Err(error.into()))
    }
}

/// Links the stub of one interface. `clock` and `random` cannot be withheld.
pub(crate) fn link(capability: Capability, l: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Data = HasSelf<Stub>;
    match capability {
        Capability::Chain => chain::add_to_linker::<_, Data>(l, |guest| &mut guest.stub),
        Capability::LocalStore => local_store::add_to_linker::<_, Data>(l, |guest| &mut guest.stub),
        Capability::Logging => logging::add_to_linker::<_, Data>(l, |guest| &mut guest.stub),
        Capability::Identity => identity::add_to_linker::<_, Data>(l, |guest| &mut guest.stub),
        Capability::RemoteStore => {
            remote_store::add_to_linker::<_, Data>(l, |guest| &mut guest.stub)
        }
        Capability::Messaging => messaging::add_to_linker::<_, Data>(l, |guest| &mut guest.stub),
        Capability::Http => http::add_to_linker::<_, Data>(l, |guest| &mut guest.stub),
        Capability::Clock | Capability::Random => Ok(()),
    }
}

impl chain::Host for Stub {
    async fn request(&mut self, _: u64, _: String, _: String) -> Answer<String> {
        self.unsupported(Capability::Chain)
    }

    async fn request_batch(
        &mut self,
        _: u64,
        _: Vec<chain::RpcRequest>,
    ) -> Answer<Vec<chain::RpcResult>> {
        self.unsupported(Capability::Chain)
    }
}

impl local_store::Host for Stub {
    fn get(&mut self, _: String) -> Answer<Option<Vec<u8>>> {
        self.unsupported(Capability::LocalStore)
    }

    fn set(&mut self, _: String, _: Vec<u8>) -> Answer<()> {
        self.unsupported(Capability::LocalStore)
    }

    fn delete(&mut self, _: String) -> Answer<()> {
        self.unsupported(Capability::LocalStore)
    }

    async fn list_keys(&mut self, _: String) -> Answer<Vec<String>> {
        self.unsupported(Capability::LocalStore)
    }

    async fn checkpoint(&mut self) -> Answer<()> {
        self.unsupported(Capability::LocalStore)
    }
}

/// It has no way to answer: the lines are dropped, and counted.
impl logging::Host for Stub {
    fn log(&mut self, _: logging::Level, _: String) -> wasmtime::Result<()> {
        self.usage.log_line_dropped();
        Ok(())
    }
}

impl identity::Host for Stub {
    fn accounts(&mut self) -> Answer<Vec<Vec<u8>>> {
        self.unsupported(Capability::Identity)
    }

    async fn sign(&mut self, _: Vec<u8>, _: Vec<u8>) -> Answer<Vec<u8>> {
        self.unsupported(Capability::Identity)
    }

    async fn sign_typed_data(&mut self, _: Vec<u8>, _: String) -> Answer<Vec<u8>> {
        self.unsupported(Capability::Identity)
    }
}

impl remote_store::Host for Stub {
    fn upload(&mut self, _: Vec<u8>) -> Answer<String> {
        self.unsupported(Capability::RemoteStore)
    }

    fn download(&mut self, _: String) -> Answer<Vec<u8>> {
        self.unsupported(Capability::RemoteStore)
    }

    fn read_feed(&mut self, _: Vec<u8>, _: Vec<u8>) -> Answer<Option<Vec<u8>>> {
        self.unsupported(Capability::RemoteStore)
    }

    fn write_feed(&mut self, _: Vec<u8>, _: Vec<u8>) -> Answer<String> {
        self.unsupported(Capability::RemoteStore)
    }
}

impl messaging::Host for Stub {
    fn publish(&mut self, _: String, _: Vec<u8>) -> Answer<()> {
        self.unsupported(Capability::Messaging)
    }

    fn query(
        &mut self,
        _: String,
        _: Option<u64>,
        _: Option<u64>,
        _: Option<u32>,
    ) -> Answer<Vec<bindings::types::Message>> {
        self.unsupported(Capability::Messaging)
    }
}

impl http::Host for Stub {
    async fn fetch(&mut self, _: http::Request) -> Answer<http::Response> {
        self.unsupported(Capability::Http)
    }
}
