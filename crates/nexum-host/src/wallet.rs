//! What a node with accounts of its own would answer to: `eth_accounts`, `personal_sign`,
//! `eth_signTypedData_v4` and `eth_sendTransaction`. Asked through `chain`, they are answered with
//! the accounts that the operator gives the module, and never reach a node.

use nexum_manifest::IdentityMethod;
use nexum_types::{
    Address, Bytes, ChainId, HostError, HostErrorKind, RpcRequest, RpcResult, SendOf,
};
use serde_json::Value;

use crate::guest::Guest;

const DOMAIN: &str = "identity";
/// The JSON-RPC code of parameters that are none.
const INVALID_PARAMS: i32 = -32602;

impl Guest {
    /// The answer to a request that is for the module's accounts; `None` where it is for the
    /// chain, as all are of a module that does not have `identity`.
    pub(crate) async fn answer_for_accounts(
        &mut self,
        chain: ChainId,
        request: &RpcRequest,
    ) -> Option<RpcResult> {
        let method = IdentityMethod::of_request(&request.method)?;
        if !self.has_identity {
            return None;
        }
        let answer = match method {
            IdentityMethod::Accounts => self.identity.accounts().map(|all| json(&all)),
            IdentityMethod::Sign => self.personal_sign(&request.params).await,
            IdentityMethod::SignTypedData => self.typed_data(&request.params).await,
            IdentityMethod::SendTransaction => self.send(chain, &request.params).await,
        };
        match &answer {
            Ok(_) if method != IdentityMethod::Accounts => {
                // It cannot be taken back.
                self.had_effect = true;
            }
            // It may have been signed, and a node may have it.
            Err(error) if method == IdentityMethod::SendTransaction => {
                let is_refusal = matches!(
                    error.kind,
                    HostErrorKind::Denied | HostErrorKind::InvalidInput
                );
                self.had_effect |= error.domain != DOMAIN || !is_refusal;
            }
            _ => {}
        }
        self.asked_identity(method, &answer);
        Some(answer)
    }

    async fn personal_sign(&mut self, params: &str) -> RpcResult {
        let (message, account): (Bytes, Address) = read(params, "[message, account]")?;
        let event = self.log.event();
        let signature = self.identity.sign(account, &message, event).await?;
        self.usage.signed(IdentityMethod::Sign);
        Ok(json(&signature))
    }

    async fn typed_data(&mut self, params: &str) -> RpcResult {
        let (account, data): (Address, Value) = read(params, "[account, typed data]")?;
        let text = match data {
            Value::String(text) => text,
            data => data.to_string(),
        };
        let event = self.log.event();
        let signature = self.identity.sign_typed_data(account, &text, event).await?;
        self.usage.signed(IdentityMethod::SignTypedData);
        Ok(json(&signature))
    }

    async fn send(&mut self, chain: ChainId, params: &str) -> RpcResult {
        // What was sent is counted, and what was not is not: another attempt may fare otherwise.
        let index = self.sends;
        let Some(call) = self.state.as_ref().and_then(nexum_types::CallState::call) else {
            let message = "a call without a name sends no transactions";
            return Err(HostError::new(DOMAIN, HostErrorKind::Internal, message));
        };
        let event = self.log.event();
        let of = SendOf { call, index, event };
        let sent = self.identity.send_transaction(chain, params, of).await?;
        self.sends += 1;
        if sent.is_new {
            self.usage.signed(IdentityMethod::SendTransaction);
        }
        Ok(json(&sent.hash))
    }

    /// Whether a denial of that method has been told by [`answer_for_accounts`](Self::answer_for_accounts).
    pub(crate) fn is_for_accounts(&self, method: &str) -> bool {
        self.has_identity && IdentityMethod::of_request(method).is_some()
    }
}

/// Reads parameters, and says what they are to be.
fn read<T: serde::de::DeserializeOwned>(params: &str, shape: &str) -> Result<T, HostError> {
    serde_json::from_str(params).map_err(|error| {
        let message = format!("the parameters are {shape}: {error}");
        HostError::new(DOMAIN, HostErrorKind::InvalidInput, message).with_code(INVALID_PARAMS)
    })
}

/// The text of a value that is bytes, or a list of such.
fn json(value: &impl serde::Serialize) -> String {
    // Neither fails to be written.
    serde_json::to_string(value).unwrap_or_default()
}
