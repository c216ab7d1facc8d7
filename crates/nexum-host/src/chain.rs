//! `nexum:host/chain`: reads from the chains that the manifest names, and what a wallet would answer
//! there ([`wallet`](crate::wallet)).

use nexum_manifest::Capability;
use nexum_types::{ChainId, HostError, HostErrorKind, RpcRequest, RpcResult};

use crate::{bindings, guest::Guest, trace::Asked};

const DOMAIN: &str = "chain";
/// The most requests of one batch, as the contract says it.
const MAX_BATCH: usize = 256;

type Answer<T> = wasmtime::Result<Result<T, bindings::types::HostError>>;

impl bindings::chain::Host for Guest {
    async fn request(&mut self, chain_id: u64, method: String, params: String) -> Answer<String> {
        let chain = ChainId(chain_id);
        let request = RpcRequest { method, params };
        let began = self.begins();
        let answer = match self.granted(chain) {
            Ok(()) => match self.answer_for_accounts(chain, &request).await {
                Some(answer) => answer,
                None => self.chain.request(chain, &request).await,
            },
            Err(denied) => Err(denied),
        };
        self.answered(&request.method, &answer);
        self.ended(
            began,
            (Capability::Chain, "request"),
            || Asked::Requests(chain, vec![request]),
            &answer,
        );
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
        let began = self.begins();
        let results = match self.granted(chain) {
            Ok(()) => self.batch(chain, &requests).await,
            Err(denied) => Err(denied),
        };
        self.usage.answered(Capability::Chain, &results);
        for (request, result) in requests.iter().zip(results.iter().flatten()) {
            self.answered(&request.method, result);
        }
        let first_error = match &results {
            Ok(results) => results.iter().find(|result| result.is_err()),
            Err(_) => None,
        };
        let ended =
            first_error.map_or(results.as_ref().map(drop), |error| error.as_ref().map(drop));
        let ended = ended.map_err(Clone::clone);
        self.ended(
            began,
            (Capability::Chain, "request-batch"),
            || Asked::Requests(chain, requests),
            &ended,
        );
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
    /// What is for the chain goes out together. What is for the module's accounts is answered
    /// after it, one by one, in the order of the batch.
    async fn batch(
        &mut self,
        chain: ChainId,
        requests: &[RpcRequest],
    ) -> Result<Vec<RpcResult>, HostError> {
        let is_for_chain = |request: &&RpcRequest| !self.is_for_accounts(&request.method);
        let reads: Vec<_> = requests.iter().filter(is_for_chain).cloned().collect();
        if reads.len() == requests.len() {
            return self.chain.request_batch(chain, requests).await;
        }
        if requests.len() > MAX_BATCH {
            let message = format!(
                "a batch has at most {MAX_BATCH} requests, not {}",
                requests.len()
            );
            return Err(HostError::new(DOMAIN, HostErrorKind::InvalidInput, message));
        }
        let mut answers = match reads.is_empty() {
            true => Vec::new(),
            false => self.chain.request_batch(chain, &reads).await?,
        }
        .into_iter();
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            let own = self.answer_for_accounts(chain, request).await;
            results.push(own.or_else(|| answers.next()).unwrap_or_else(|| {
                let message = "the answer was lost";
                Err(HostError::new(DOMAIN, HostErrorKind::Internal, message))
            }));
        }
        Ok(results)
    }

    fn granted(&self, chain: ChainId) -> Result<(), HostError> {
        if self.chains.contains(&chain) {
            return Ok(());
        }
        if self.absent_chains.contains(&chain) {
            let message =
                format!("chain {chain} is optional, and the operator does not configure it");
            return Err(HostError::new(DOMAIN, HostErrorKind::Unsupported, message));
        }
        let remedy = format!("add {chain} to `required` under [chains] in nexum.toml");
        self.denials.tell(&format!("chain {chain}"), &remedy);
        let message = format!("{remedy} to ask chain {chain}");
        Err(HostError::new(DOMAIN, HostErrorKind::Denied, message))
    }

    /// Counts and tells what was denied.
    fn answered(&self, method: &str, answer: &Result<String, HostError>) {
        let is_of_chain = |error: &HostError| error.domain == DOMAIN;
        if self.is_for_accounts(method) && !answer.as_ref().is_err_and(is_of_chain) {
            // Done where the accounts have answered.
            return;
        }
        self.usage.answered(Capability::Chain, answer);
        // Another denial than of the method has been told.
        if let Err(error) = answer
            && !self.is_for_accounts(method)
            && error.kind == HostErrorKind::Denied
            && error.code != 0
        {
            let remedy = "no manifest grants this method: modules only read from chains";
            self.denials.tell(&format!("the method {method}"), remedy);
        }
    }
}
