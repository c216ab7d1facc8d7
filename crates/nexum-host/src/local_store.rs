//! `nexum:host/local-store`: the module's state, as the call in flight sees it.

use nexum_manifest::Capability;
use nexum_types::{CallState, HostError, HostErrorKind, StateError};

use crate::{bindings, guest::Guest, trap::StoreFailed};

const DOMAIN: &str = "local-store";

type Answer<T> = wasmtime::Result<Result<T, bindings::types::HostError>>;

impl bindings::local_store::Host for Guest {
    fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        let result = self.call_state()?.get(&key);
        self.answer(result)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        let result = self.call_state()?.set(&key, value);
        self.answer(result)
    }

    fn delete(&mut self, key: String) -> Answer<()> {
        let result = self.call_state()?.delete(&key);
        self.answer(result)
    }

    async fn list_keys(&mut self, prefix: String) -> Answer<Vec<String>> {
        let Some(mut state) = self.state.take() else {
            return Err(no_state());
        };
        // Tens of thousands of keys may be visited, on pages that no memory holds: not on a thread
        // that other modules share.
        let listing = tokio::task::spawn_blocking(move || {
            let result = state.list_keys(&prefix);
            (state, result)
        });
        let (state, result) = listing.await?;
        self.state = Some(state);
        self.answer(result)
    }

    async fn checkpoint(&mut self) -> Answer<()> {
        let Some(mut state) = self.state.take() else {
            return Err(no_state());
        };
        // The disk is waited for on a thread that no other module needs. Where this call is cut
        // off meanwhile, the commit goes on: whoever cut it off waits for it.
        let checkpoint = self.checkpoint.insert(tokio::task::spawn_blocking(move || {
            let result = state.checkpoint();
            (state, result)
        }));
        let ended = checkpoint.await;
        self.checkpoint = None;
        let (state, result) = ended?;
        self.state = Some(state);
        self.answer(result)
    }
}

impl Guest {
    fn call_state(&mut self) -> wasmtime::Result<&mut CallState> {
        self.state.as_mut().ok_or_else(no_state)
    }

    /// What the guest did wrong goes back to it; a failing store ends the call, so that the event is
    /// delivered again instead of being counted as handled.
    fn answer<T>(&self, result: Result<T, StateError>) -> Answer<T> {
        let error = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(StateError::Storage(source)) => return Err(StoreFailed(source).into()),
            Err(error) => error,
        };
        let kind = match &error {
            StateError::QuotaExceeded { .. } | StateError::TooManyChanges => HostErrorKind::Denied,
            StateError::Storage(_) => HostErrorKind::Internal,
            StateError::EmptyKey
            | StateError::KeyTooLong(_)
            | StateError::ValueTooLarge(_)
            | StateError::TooManyKeys => HostErrorKind::InvalidInput,
        };
        let answer = Err(HostError::new(DOMAIN, kind, error.to_string()));
        self.usage.answered(Capability::LocalStore, &answer);
        Ok(answer.map_err(Into::into))
    }
}

/// Guests run only inside a call, and a call always has a state; the exception is a call whose
/// checkpoint was cancelled, and nothing of that guest runs again.
fn no_state() -> wasmtime::Error {
    wasmtime::format_err!("local-store is reachable only while a call is in flight")
}
