//! A scripted chain behind a real JSON-RPC server, on a runtime of its own, so that a test can be
//! a plain function.

use nexum_testkit::{RpcServer, ScriptedChain};
use tokio::runtime::Runtime;

/// The chain of every test that needs but one.
pub(crate) const CHAIN: u64 = 31337;

pub(crate) struct Node {
    pub(crate) server: RpcServer,
    _runtime: Runtime,
}

impl Node {
    /// A node of [`CHAIN`] whose head is block `head`.
    pub(crate) fn at(head: u64) -> Self {
        Self::serving(CHAIN, head)
    }

    pub(crate) fn serving(chain: u64, head: u64) -> Self {
        let chain = ScriptedChain::new(chain);
        chain.mine(head);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(RpcServer::start(chain)).unwrap();
        Self {
            server,
            _runtime: runtime,
        }
    }

    pub(crate) fn chain(&self) -> &ScriptedChain {
        self.server.chain()
    }

    pub(crate) fn ws(&self) -> String {
        self.server.ws_url()
    }

    pub(crate) fn http(&self) -> String {
        self.server.http_url()
    }
}
