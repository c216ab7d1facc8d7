//! A host that keeps what it is told, and answers a chain's questions with the same text.

use std::cell::RefCell;

use nexum_sdk::{
    HostError, Message, Result,
    alloy::primitives::{Address, B256},
    chain::RpcRequest,
    host::Host,
    http::{Request, Response},
    log::Level,
};

#[derive(Default)]
pub(crate) struct Recorder {
    answer: RefCell<String>,
    asked: RefCell<Vec<String>>,
    logged: RefCell<Vec<String>>,
}

impl Recorder {
    /// Answers every question with this JSON from now on.
    pub(crate) fn answer(&self, json: &str) {
        json.clone_into(&mut self.answer.borrow_mut());
    }

    /// The questions so far, each as chain and method.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// The lines so far, each with its level.
    pub(crate) fn logged(&self) -> Vec<String> {
        self.logged.borrow().clone()
    }
}

fn none<T>() -> Result<T> {
    Err(HostError::internal("no test asks for it"))
}

impl Host for Recorder {
    fn chain_request(&self, chain_id: u64, request: &RpcRequest) -> Result<String> {
        let asked = format!("{chain_id} {}", request.method);
        self.asked.borrow_mut().push(asked);
        Ok(self.answer.borrow().clone())
    }

    fn chain_request_batch(&self, _: u64, _: &[RpcRequest]) -> Result<Vec<Result<String>>> {
        none()
    }

    fn store_get(&self, _: &str) -> Result<Option<Vec<u8>>> {
        none()
    }

    fn store_set(&self, _: &str, _: &[u8]) -> Result<()> {
        none()
    }

    fn store_delete(&self, _: &str) -> Result<()> {
        none()
    }

    fn store_list_keys(&self, _: &str) -> Result<Vec<String>> {
        none()
    }

    fn store_checkpoint(&self) -> Result<()> {
        none()
    }

    fn accounts(&self) -> Result<Vec<Address>> {
        none()
    }

    fn sign(&self, _: Address, _: &[u8]) -> Result<Vec<u8>> {
        none()
    }

    fn sign_typed_data(&self, _: Address, _: &str) -> Result<Vec<u8>> {
        none()
    }

    fn upload(&self, _: &[u8]) -> Result<String> {
        none()
    }

    fn download(&self, _: &str) -> Result<Vec<u8>> {
        none()
    }

    fn read_feed(&self, _: Address, _: B256) -> Result<Option<Vec<u8>>> {
        none()
    }

    fn write_feed(&self, _: B256, _: &[u8]) -> Result<String> {
        none()
    }

    fn publish(&self, _: &str, _: &[u8]) -> Result<()> {
        none()
    }

    fn query(
        &self,
        _: &str,
        _: Option<u64>,
        _: Option<u64>,
        _: Option<u32>,
    ) -> Result<Vec<Message>> {
        none()
    }

    fn fetch(&self, _: &Request) -> Result<Response> {
        none()
    }

    fn now_ms(&self) -> u64 {
        0
    }

    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn random_fill(&self, len: u32) -> Vec<u8> {
        vec![0; len as usize]
    }

    fn log(&self, level: Level, message: &str) {
        self.logged.borrow_mut().push(format!("{level} {message}"));
    }
}
