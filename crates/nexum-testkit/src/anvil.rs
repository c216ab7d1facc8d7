//! A real node for tests: anvil, started on a free port and killed when dropped.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{RpcCallError, rpc};

/// How long anvil may take until it listens and answers.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// The line of anvil's output that names its address begins with this.
const LISTENING: &str = "Listening on ";

/// A running anvil. Killed when dropped.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    addr: SocketAddr,
}

/// Why there is no anvil.
#[derive(Debug, thiserror::Error)]
pub enum AnvilError {
    /// It is not installed where it is looked for.
    #[error(
        "anvil is not installed: run the tests with `cargo xtask test`, which fetches it, or \
         install it with `npm install @foundry-rs/anvil` and name it in NEXUM_ANVIL or on PATH"
    )]
    Missing,
    /// It could not be started.
    #[error("{path} could not be started")]
    Spawn {
        /// The program.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It ended before it listened.
    #[error("anvil ended before it listened; its arguments were {0:?}")]
    Ended(Vec<String>),
    /// It took too long.
    #[error("anvil did not listen within {START_DEADLINE:?}")]
    Deadline,
    /// It listens and does not answer.
    #[error("anvil listens and does not answer")]
    Silent(#[source] RpcCallError),
}

impl Anvil {
    /// The program that is started.
    pub fn program() -> Result<PathBuf, AnvilError> {
        find().ok_or(AnvilError::Missing)
    }

    /// Starts anvil with further arguments, such as `["--block-time", "1"]`. Its port is a free
    /// one, unless the arguments name one; the last `--port` counts.
    pub async fn start<I>(args: I) -> Result<Self, AnvilError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let args: Vec<String> = args.into_iter().map(Into::into).collect();
        let path = Self::program()?;
        let mut command = Command::new(&path);
        if !args.iter().any(|arg| arg == "--port") {
            command.args(["--port", "0"]);
        }
        command
            .args(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(|source| AnvilError::Spawn { path, source })?;
        // From here on the child is killed whichever way this ends.
        let mut anvil = Self {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let stdout = anvil.child.stdout.take().ok_or(AnvilError::Deadline)?;
        let listening = tokio::time::timeout(START_DEADLINE, address(stdout)).await;
        anvil.addr = listening
            .map_err(|_| AnvilError::Deadline)?
            .ok_or(AnvilError::Ended(args))?;
        anvil
            .rpc("eth_chainId", json!([]))
            .await
            .map_err(AnvilError::Silent)?;
        Ok(anvil)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Its URL for HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its URL for WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// Calls one of its methods.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value, RpcCallError> {
        rpc(&self.http_url(), method, params).await
    }

    /// Mines `count` blocks at once.
    pub async fn mine(&self, count: u64) -> Result<(), RpcCallError> {
        self.rpc("anvil_mine", json!([format!("{count:#x}")]))
            .await
            .map(drop)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // Both fail only where the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until anvil says where it listens, and on until it ends, so that it never blocks on a
/// full pipe. `None`: it ended without a word.
async fn address(stdout: ChildStdout) -> Option<SocketAddr> {
    let (found, address) = oneshot::channel();
    thread::spawn(move || {
        let mut found = Some(found);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let addr = line
                .strip_prefix(LISTENING)
                .and_then(|addr| addr.trim().parse().ok());
            if let (Some(addr), Some(found)) = (addr, found.take_if(|_| addr.is_some())) {
                // The starter has given up: it kills the child, which ends this thread.
                let _ = found.send(addr);
            }
        }
    });
    address.await.ok()
}

/// `NEXUM_ANVIL`, then PATH, then where `cargo xtask test` installs it.
fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("NEXUM_ANVIL") {
        return Some(native(PathBuf::from(named)));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let installed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/node_modules/.bin/anvil");
    env::split_paths(&path)
        .map(|folder| folder.join("anvil"))
        .chain([installed])
        .find(|candidate| candidate.is_file())
        .map(native)
}

/// The program itself where `path` is the npm package's launcher: killing the launcher would
/// leave its child running.
fn native(path: PathBuf) -> PathBuf {
    let Ok(launcher) = fs::canonicalize(&path) else {
        return path;
    };
    if launcher.extension() != Some(OsStr::new("mjs")) {
        return path;
    }
    let scope = launcher
        .parent()
        .and_then(Path::parent)
        .and_then(|scope| fs::read_dir(scope).ok());
    let program = scope.into_iter().flatten().flatten().find_map(|package| {
        let is_platform = package.file_name().to_str()?.starts_with("anvil-");
        let program = package.path().join("bin").join("anvil");
        (is_platform && program.is_file()).then_some(program)
    });
    program.unwrap_or(path)
}
