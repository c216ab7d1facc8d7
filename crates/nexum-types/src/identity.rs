//! The port from a module's `identity` imports to the accounts that it may use.

use crate::{Address, BoxFuture, Bytes, EventId, HostError};

/// Signs on behalf of one module, as far as the operator and its manifest let it.
///
/// Every error has the domain `identity`. A signature has 65 bytes, r ‖ s ‖ v, s in the lower half
/// of the curve's order (EIP-2), v 27 or 28. There is nothing here that signs a bare hash.
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
}
