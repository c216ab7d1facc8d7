//! `nexum:host/local-store`: the module's state, as the call in flight sees it.

use std::time::Instant;

use nexum_manifest::Capability;
use nexum_types::{CallState, HostError, HostErrorKind, StateError};

use crate::{bindings, guest::Guest, trace::Asked, trap::StoreFailed};

const DOMAIN: &str = "local-store";

type Answer<T> = wasmtime::Result<Result<T, bindings::types::HostError>>;

impl bindings::local_store::Host for Guest {
    fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        let began = self.begins();
        let result = self.call_state()?.get(&key);
        self.answer(result, began, "get", || Asked::Key(key))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        let (began, bytes) = (self.begins(), value.len());
        let result = self.call_state()?.set(&key, value);
        self.answer(result, began, "set", || Asked::Value(key, bytes))
    }

    fn delete(&mut self, key: String) -> Answer<()> {
        let began = self.begins();
        let result = self.call_state()?.delete(&key);
        self.answer(result, began, "delete", || Asked::Key(key))
    }

    async fn list_keys(&mut self, prefix: String) -> Answer<Vec<String>> {
        let began = self.begins();
        let of = began.map(|_| prefix.clone()).unwrap_or_default();
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
        self.answer(result, began, "list-keys", || Asked::Prefix(of))
    }

    async fn checkpoint(&mut self) -> Answer<()> {
        let began = self.begins();
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
        self.answer(result, began, "checkpoint", || Asked::Nothing)
    }
}

impl Guest {
    fn call_state(&mut self) -> wasmtime::Result<&mut CallState> {
        self.state.as_mut().ok_or_else(no_state)
    }

    /// What the guest did wrong goes back to it; a failing store ends the call, so that the event is
    /// delivered again instead of being counted as handled.
    fn answer<T>(
        &self,
        result: Result<T, StateError>,
        began: Option<Instant>,
        function: &'static str,
        asked: impl FnOnce() -> Asked,
    ) -> Answer<T> {
        let name = (Capability::LocalStore, function);
        let error = match result {
            Ok(value) => {
                let answer = Ok(value);
                self.ended(began, name, asked, &answer);
                return Ok(answer.map_err(Into::into));
            }
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
        self.ended(began, name, asked, &answer);
        Ok(answer.map_err(Into::into))
    }
}

/// Guests run only inside a call, and a call always has a state; the exception is a call whose
/// checkpoint was cancelled, and nothing of that guest runs again.
fn no_state() -> wasmtime::Error {
    wasmtime::format_err!("local-store is reachable only while a call is in flight")
}
