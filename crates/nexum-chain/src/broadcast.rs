//! Signed transactions on their way to a chain. No module reaches this: what goes out was signed
//! under the operator's rules.

use nexum_types::{BoxFuture, Broadcast, BroadcastError, Bytes, ChainId, HostError, HostErrorKind};
use serde_json::value::to_raw_value;

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
            let (answer, is_first) = provider
                .ask_telling((METHOD, params))
                .await
                .map_err(unanswered)?;
            // The hash is known already.
            answer.map(drop).map_err(|error| {
                let error = failure::node_error(&error, provider.secrets());
                match is_first {
                    true => BroadcastError::Answered(error),
                    // One that has not answered may have taken it.
                    false => BroadcastError::Unanswered(error),
                }
            })
        })
    }
}
