//! The port from a module's `identity` imports to the accounts that it may use.

use crate::{Address, B256, BoxFuture, Bytes, CallOf, ChainId, EventId, HostError};

/// Signs on behalf of one module, as far as the operator and its manifest let it.
///
/// Every error has the domain `identity`. A signature has 65 bytes, r ‖ s ‖ v, s in the lower half
/// of the curve's order (EIP-2), v 27 or 28. There is nothing here that signs a bare hash.
/// [`send_transaction`](Self::send_transaction) also answers with errors of the domain `chain`.
pub trait IdentityAccess: Send + Sync + 'static {
    /// The accounts that the module may use, in the operator's order.
    fn accounts(&self) -> Result<Vec<Address>, HostError>;

    /// Signs a message with the prefix of EIP-191, version 0x45. `event`: what the module is
    /// handling, for the audit; `None` in its `init`.
    fn sign<'a>(
        &'a self,
        account: Address,
        message: &'a [u8],
        event: Option<EventId>,
    ) -> BoxFuture<'a, Result<Bytes, HostError>>;

    /// Signs typed data (EIP-712), given as the JSON that `eth_signTypedData_v4` takes.
    fn sign_typed_data<'a>(
        &'a self,
        account: Address,
        json: &'a str,
        event: Option<EventId>,
    ) -> BoxFuture<'a, Result<Bytes, HostError>>;

    /// Signs a transaction under the operator's rules and sees to it that it lands.
    /// `params` is the text of the parameters of `eth_sendTransaction`.
    ///
    /// One call's transaction is made once, over all attempts of the call: where an earlier one
    /// has come as far as signing it, this answers with that one's hash.
    fn send_transaction<'a>(
        &'a self,
        chain: ChainId,
        params: &'a str,
        of: SendOf,
    ) -> BoxFuture<'a, Result<Sent, HostError>>;
}

/// A transaction that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its hash.
    pub hash: B256,
    /// Whether this call is the first that is answered with it, and not one after an earlier attempt
    /// that came as far.
    pub is_new: bool,
}

/// On behalf of what a transaction is sent.
#[derive(Debug, Clone)]
pub struct SendOf {
    /// The call.
    pub call: CallOf,
    /// How many transactions it has sent before.
    pub index: u32,
    /// What the module is handling, for the audit; `None` in its `init`.
    pub event: Option<EventId>,
}
