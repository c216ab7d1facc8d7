//! Signed transactions on their way to a chain. No module reaches this: what goes out was signed
//! under the operator's rules.

use nexum_types::{
    B256, BoxFuture, Broadcast, BroadcastError, Bytes, ChainId, HostError, HostErrorKind,
};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    Chains,
    failure::{self, Failure},
};

const METHOD: &str = "eth_sendRawTransaction";

impl Broadcast for Chains {
    fn broadcast<'a>(
        &'a self,
        chain: ChainId,
        raw: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), BroadcastError>> {
        Box::pin(async move {
            let Some(provider) = self.provider(chain) else {
                let message = format!("chain {chain} is not configured");
                return Err(BroadcastError::Unanswered(HostError::new(
                    failure::DOMAIN,
                    HostErrorKind::Unsupported,
                    message,
                )));
            };
            let unanswered =
                |failure: Failure| BroadcastError::Unanswered(failure.to_host_error(chain));
            let params = to_raw_value(&[raw]).map_err(|_| unanswered(Failure::Malformed))?;
            // Whether it is the transaction's own hash is for whoever computed that to know.
            let read = |json: Box<RawValue>| {
                let hash = serde_json::from_str::<B256>(json.get());
                hash.map(drop).map_err(|_| Failure::Malformed)
            };
            match provider.ask_as((METHOD, params), read).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(BroadcastError::Answered(failure::node_error(
                    &error,
                    provider.secrets(),
                ))),
                Err(failure) => Err(unanswered(failure)),
            }
        })
    }
}
