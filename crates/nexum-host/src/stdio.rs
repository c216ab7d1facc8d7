//! A guest's standard output and error: lines that end in its log.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::{limits::MAX_LOG_LINE_BYTES, logging::ModuleLog};

/// One standard stream of one guest instance. Clones write to the same line.
#[derive(Clone)]
pub(crate) struct LogStream {
    log: Arc<ModuleLog>,
    level: Level,
    name: &'static str,
    line: Arc<Mutex<Vec<u8>>>,
}

impl LogStream {
    pub(crate) fn new(log: Arc<ModuleLog>, level: Level, name: &'static str) -> Self {
        Self {
            log,
            level,
            name,
            line: Arc::default(),
        }
    }

    /// Logs what has been written without a newline behind it; called when a call ends.
    pub(crate) fn finish_line(&self) {
        let line = mem::take(&mut *self.line.lock().unwrap_or_else(PoisonError::into_inner));
        self.emit(&line);
    }

    fn push(&self, mut bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(newline) = bytes.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(&bytes[..newline]);
            bytes = &bytes[newline + 1..];
            self.emit(&line);
            line.clear();
        }
        line.extend_from_slice(bytes);
        if line.len() >= MAX_LOG_LINE_BYTES {
            let end = whole_characters(&line);
            let rest = line.split_off(end);
            self.emit(&line);
            *line = rest;
        }
    }

    fn emit(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        self.log
            .line(self.level, self.name, &String::from_utf8_lossy(line));
    }
}

/// How much of `bytes` does not end in the middle of a UTF-8 character.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        // An error without a length is a character that has only begun.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LOG_LINE_BYTES)
    }
}

#[async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
