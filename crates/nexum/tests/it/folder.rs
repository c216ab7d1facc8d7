//! An operator's folder: `nexum-engine.toml`, bundles, the state, and the binary run in it.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nexum_testkit::guests;
use serde_json::Value;
use tempfile::TempDir;

use crate::{engine::Engine, node::CHAIN};

pub(crate) struct Folder(TempDir);

/// What `nexum state inspect --json` says, as far as tests ask.
#[derive(Debug)]
pub(crate) struct State(Value);

impl Folder {
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder in which an engine follows [`CHAIN`] at `url`, logs JSON, and runs a bundle of
    /// each of `fixtures`, from block 1 on.
    pub(crate) fn following(url: &str, fixtures: &[&str]) -> Self {
        let folder = Self::empty();
        for fixture in fixtures {
            folder.bundle(fixture, &manifest(fixture), &component(fixture));
        }
        folder.engine_file("", url, fixtures);
        folder
    }

    /// Writes the engine's file, with `settings` as further lines of `[engine]`.
    pub(crate) fn engine_file(&self, settings: &str, url: &str, bundles: &[&str]) {
        let mut text = "observability = { metrics = \"127.0.0.1:0\", health = \"127.0.0.1:0\" }\n\
             [engine]\nstate_dir = \"state\"\nlog.format = \"json\"\n"
            .to_owned();
        if !settings.is_empty() {
            text += &format!("{settings}\n");
        }
        text += &format!("[[chains.{CHAIN}.endpoints]]\nurl = \"{url}\"\n");
        for bundle in bundles {
            text += &format!("[[modules]]\npath = \"{bundle}\"\n");
        }
        self.write("nexum-engine.toml", text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        // Whatever this user's umask: a state_dir that a group can write to is refused.
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true).mode(0o755);
        folders.create(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds lines to a file that is there.
    pub(crate) fn append(&self, name: &str, lines: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        self.write(name, text + lines);
    }

    pub(crate) fn bundle(&self, name: &str, manifest: &str, component: &Path) {
        guests::bundle(&self.path(name), manifest, component).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexum"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_remove("RUST_BACKTRACE")
            // The width of the help.
            .env_remove("COLUMNS")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn nexum(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts `nexum run` on this folder's `nexum-engine.toml`.
    pub(crate) fn run(&self) -> Engine {
        Engine::start(self.command(&["run"]))
    }

    /// The state of a module while no engine runs.
    pub(crate) fn state(&self, module: &str) -> State {
        let output = self.nexum(&["state", "inspect", module, "--json", "--limit", "0"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        State(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The last block that a module has committed, while an engine runs: what a copy of its file
    /// says. `None` where there is no cursor yet, where it is not after a block, or where the copy
    /// was taken in the middle of a write.
    pub(crate) fn committed(&self, module: &str) -> Option<u64> {
        let file = format!("modules/{module}.redb");
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("modules")).unwrap();
        fs::copy(self.path("state").join(&file), copy.path().join(file)).ok()?;
        let dir = copy.path().to_str().unwrap();
        let output = self.nexum(&["state", "inspect", module, "--json", "--state-dir", dir]);
        let state: Value = serde_json::from_slice(&output.stdout).ok()?;
        let state = State(state);
        state.cursor().filter(|_| state.position() == "after")
    }
}

impl State {
    /// The block of the module's one cursor.
    pub(crate) fn cursor(&self) -> Option<u64> {
        self.0["cursors"][0]["block"].as_u64()
    }

    /// Where the module is to that block: `after` it, `within` it or `before` it.
    pub(crate) fn position(&self) -> &str {
        self.0["cursors"][0]["position"].as_str().unwrap()
    }

    /// The hash of that block.
    pub(crate) fn cursor_hash(&self) -> &str {
        self.0["cursors"][0]["hash"].as_str().unwrap()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.0["entries"].as_array().unwrap().iter();
        entries.map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap();
            (text("key"), text("value"))
        })
    }

    /// A fixture's number under `key`: eight bytes, little-endian.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        let (_, value) = self.entries().find(|(found, _)| *found == key)?;
        let bytes = hex::decode(value.strip_prefix("0x").unwrap()).unwrap();
        Some(u64::from_le_bytes(bytes.try_into().unwrap()))
    }
}

/// The manifest of a fixture that gets every block from block 1 on.
pub(crate) fn manifest(name: &str) -> String {
    let subscription =
        format!("[[subscription]]\nkind = \"block\"\nchain_id = {CHAIN}\nstart = 1\n");
    unsubscribed(name) + &subscription
}

/// The manifest of a fixture that gets these events from block 1 on, each by a subscription of
/// its own.
pub(crate) fn log_manifest(name: &str, events: &[&str]) -> String {
    let subscriptions = events.iter().map(|event| {
        format!(
            "[[subscription]]\nkind = \"log\"\nchain_id = {CHAIN}\nstart = 1\nevent = \"{event}\"\n"
        )
    });
    unsubscribed(name) + &subscriptions.collect::<String>()
}

fn unsubscribed(name: &str) -> String {
    format!(
        "[module]\nname = \"{name}\"\nversion = \"0.1.0\"\n\
         [chains]\nrequired = [{CHAIN}]\n\
         [capabilities]\nrequired = [\"chain\", \"local-store\", \"logging\"]\n"
    )
}

pub(crate) fn component(fixture: &str) -> PathBuf {
    guests::fixture(fixture).unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
