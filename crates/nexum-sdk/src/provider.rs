//! alloy's provider over the interface `chain`.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use alloy_eips::Encodable2718 as _;
use alloy_json_rpc::{
    ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, RpcError,
    SerializedRequest,
};
use alloy_network::{Ethereum, Network, NetworkTransactionBuilder as _};
use alloy_provider::{MulticallError, PendingTransactionBuilder, RootProvider, SendableTx};
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut, TransportResult};
use async_trait::async_trait;
use serde_json::value::{RawValue, to_raw_value};
use tower::Service;

use crate::{HostError, HostErrorKind, chain::RpcRequest, executor};

/// A full alloy provider for one chain. Cheap to clone.
///
/// Its methods are those of the trait `alloy::provider::Provider`, which the prelude brings into
/// scope. They are futures: `.await` them in an `async` handler, or give them to
/// [`block_on`](crate::block_on). What is joined goes out as one batch, and so does what
/// a `BatchRequest` gathers.
///
/// `get_accounts`, `send_transaction` and what else a node with accounts would sign are answered
/// with the accounts that the operator gives the module. The n-th transaction that a call sends is
/// one transaction, however often the call is made: note what is to be sent in a
/// [`Journal`](crate::Journal), and send what is noted. The transaction is on its way when
/// `send_transaction` returns. Nothing within a call can wait for its receipt: keep its hash and
/// look at a later event. Other methods that do not read are answered `denied`.
#[derive(Debug, Clone)]
pub struct Provider<N: Network = Ethereum>(RootProvider<N>);

/// The provider for that chain (EIP-155), which the manifest must name.
#[must_use]
pub fn provider(chain_id: u64) -> Provider {
    provider_on(chain_id)
}

/// As [`provider`], for a chain whose blocks and transactions have other fields, such as
/// `AnyNetwork`.
#[must_use]
pub fn provider_on<N: Network>(chain_id: u64) -> Provider<N> {
    let client = RpcClient::new(ChainTransport { chain_id }, false);
    Provider(RootProvider::new(client))
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl<N: Network> alloy_provider::Provider<N> for Provider<N> {
    fn root(&self) -> &RootProvider<N> {
        &self.0
    }

    /// alloy's own starts a task that watches the head, for those who wait for a receipt. Within a
    /// call nothing goes on by itself.
    async fn send_transaction_internal(
        &self,
        transaction: SendableTx<N>,
    ) -> TransportResult<PendingTransactionBuilder<N>> {
        match transaction {
            SendableTx::Builder(mut request) => {
                request.prep_for_submission();
                let asked = self.0.client().request("eth_sendTransaction", (request,));
                Ok(PendingTransactionBuilder::new(self.0.clone(), asked.await?))
            }
            SendableTx::Envelope(signed) => self.send_raw_transaction(&signed.encoded_2718()).await,
        }
    }
}

/// Questions of alloy's, asked through the host.
#[derive(Debug, Clone, Copy)]
struct ChainTransport {
    chain_id: u64,
}

impl Service<RequestPacket> for ChainTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let chain_id = self.chain_id;
        match packet {
            RequestPacket::Single(request) => {
                let asked = ask(chain_id, &request);
                Box::pin(async move {
                    let response = response(&request, asked.await)?;
                    Ok(ResponsePacket::Single(response))
                })
            }
            RequestPacket::Batch(requests) => {
                let asked: Vec<_> = requests
                    .iter()
                    .map(|request| ask(chain_id, request))
                    .collect();
                Box::pin(async move {
                    let answers = Together::new(asked).await;
                    let responses = requests.iter().zip(answers);
                    let responses = responses.map(|(request, answer)| response(request, answer));
                    Ok(ResponsePacket::Batch(responses.collect::<Result<_, _>>()?))
                })
            }
        }
    }
}

fn ask(chain_id: u64, request: &SerializedRequest) -> executor::Asked {
    let params = request.params().map_or("[]", RawValue::get);
    executor::ask(
        chain_id,
        RpcRequest {
            method: request.method().to_owned(),
            params: params.to_owned(),
        },
    )
}

/// The answers to several questions, once all of them are there.
struct Together {
    asked: Vec<executor::Asked>,
    answers: Vec<Option<Result<String, HostError>>>,
}

impl Together {
    fn new(asked: Vec<executor::Asked>) -> Self {
        let answers = asked.iter().map(|_| None).collect();
        Self { asked, answers }
    }
}

impl Future for Together {
    type Output = Vec<Result<String, HostError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Self { asked, answers } = &mut *self;
        for (asked, answer) in asked.iter_mut().zip(answers.iter_mut()) {
            if answer.is_none()
                && let Poll::Ready(value) = Pin::new(asked).poll(context)
            {
                *answer = Some(value);
            }
        }
        if answers.iter().any(Option::is_none) {
            return Poll::Pending;
        }
        Poll::Ready(answers.drain(..).flatten().collect())
    }
}

/// The response to `request`. A node's own error is a response, with its code and data; any other
/// failure is one of the transport, and keeps the host's error.
fn response(
    request: &SerializedRequest,
    answer: Result<String, HostError>,
) -> Result<Response, TransportError> {
    let payload = match answer {
        Ok(json) => {
            let json = RawValue::from_string(json).map_err(|error| {
                let message = format!("the answer to {} is no JSON: {error}", request.method());
                TransportErrorKind::custom(HostError::internal(message).in_domain("chain"))
            })?;
            ResponsePayload::Success(json)
        }
        Err(error) if is_nodes_own(&error) => ResponsePayload::Failure(ErrorPayload {
            code: error.code.into(),
            message: error.message.into(),
            data: error.data.and_then(|data| to_raw_value(&data).ok()),
        }),
        Err(error) => return Err(TransportErrorKind::custom(error)),
    };
    Ok(Response {
        id: request.id().clone(),
        payload,
    })
}

/// True for what a node answered, which has the node's code. The engine's refusal of a method has
/// a code too, and so has what is wrong with a question to the module's accounts.
fn is_nodes_own(error: &HostError) -> bool {
    error.domain == "chain" && error.code != 0 && error.kind != HostErrorKind::Denied
}

impl From<TransportError> for HostError {
    /// The host's own error where there was one; a node's error with its code and data.
    fn from(error: TransportError) -> Self {
        let chain = |kind, message| HostError::new(kind, message).in_domain("chain");
        match error {
            RpcError::ErrorResp(payload) => {
                let mut error = chain(
                    HostErrorKind::of_node(payload.code),
                    payload.message.into_owned(),
                );
                error.code = i32::try_from(payload.code).unwrap_or_default();
                error.data = payload.data.map(|data| {
                    serde_json::from_str(data.get()).unwrap_or_else(|_| data.get().to_owned())
                });
                error
            }
            RpcError::Transport(
                TransportErrorKind::Custom(error) | TransportErrorKind::NonRetryable(error),
            ) => match error.downcast::<HostError>() {
                Ok(error) => *error,
                Err(error) => chain(HostErrorKind::Internal, error.to_string()),
            },
            // What a node has not got yet it answers with null.
            RpcError::NullResp => chain(
                HostErrorKind::Unavailable,
                "the node knows nothing of what was asked".to_owned(),
            ),
            // The text that did not parse can be of any length.
            RpcError::DeserError { err, .. } => chain(
                HostErrorKind::Internal,
                format!("the answer is not what the method promises: {err}"),
            ),
            other => chain(HostErrorKind::Internal, other.to_string()),
        }
    }
}

impl From<alloy_contract::Error> for HostError {
    /// As from the error beneath; an answer that is none of the function's is `invalid-input`.
    fn from(error: alloy_contract::Error) -> Self {
        match error {
            alloy_contract::Error::TransportError(error) => error.into(),
            other => HostError::invalid_input(other.to_string()).in_domain("chain"),
        }
    }
}

impl From<MulticallError> for HostError {
    fn from(error: MulticallError) -> Self {
        alloy_contract::Error::from(error).into()
    }
}
