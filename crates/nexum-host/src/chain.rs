//! `nexum:host/chain`: reads from the chains that the manifest names.

use nexum_manifest::Capability;
use nexum_types::{ChainId, HostError, HostErrorKind, RpcRequest};

use crate::{bindings, guest::Guest};

const DOMAIN: &str = "chain";

type Answer<T> = wasmtime::Result<Result<T, bindings::types::HostError>>;

impl bindings::chain::Host for Guest {
    async fn request(&mut self, chain_id: u64, method: String, params: String) -> Answer<String> {
        let chain = ChainId(chain_id);
        let request = RpcRequest { method, params };
        let answer = match self.granted(chain) {
            Ok(()) => self.chain.request(chain, &request).await,
            Err(denied) => Err(denied),
        };
        self.usage.answered(Capability::Chain, &answer);
        Ok(answer.map_err(Into::into))
    }

    async fn request_batch(
        &mut self,
        chain_id: u64,
        requests: Vec<bindings::chain::RpcRequest>,
    ) -> Answer<Vec<bindings::chain::RpcResult>> {
        let chain = ChainId(chain_id);
        let requests: Vec<_> = requests
            .into_iter()
            .map(|request| RpcRequest {
                method: request.method,
                params: request.params,
            })
            .collect();
        let results = match self.granted(chain) {
            Ok(()) => self.chain.request_batch(chain, &requests).await,
            Err(denied) => Err(denied),
        };
        self.usage.answered(Capability::Chain, &results);
        for result in results.iter().flatten() {
            self.usage.answered(Capability::Chain, result);
        }
        Ok(results.map_err(Into::into).map(|results| {
            results
                .into_iter()
                .map(|result| match result {
                    Ok(json) => bindings::chain::RpcResult::Ok(json),
                    Err(error) => bindings::chain::RpcResult::Err(error.into()),
                })
                .collect()
        }))
    }
}

impl Guest {
    fn granted(&self, chain: ChainId) -> Result<(), HostError> {
        if self.chains.contains(&chain) {
            return Ok(());
        }
        let message =
            format!("add {chain} to `required` under [chains] in nexum.toml to ask chain {chain}");
        Err(HostError::new(DOMAIN, HostErrorKind::Denied, message))
    }
}
