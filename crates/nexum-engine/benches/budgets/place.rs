//! What an engine starts from: bundles and the operator's file, on the disk that the project is
//! built on.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nexum_engine::Engine;
use nexum_manifest::Setup;
use nexum_testkit::guests;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::rig::{self, CHAIN};

/// A folder with an operator's file and its bundles. An engine can start from it again and again.
pub(crate) struct Place {
    dir: TempDir,
    file: String,
}

impl Place {
    /// One chain, on the node at `url`.
    pub(crate) fn new(url: &str) -> Self {
        Self::polling(url, Duration::from_secs(1))
    }

    /// The same with a poll interval.
    pub(crate) fn polling(url: &str, poll: Duration) -> Self {
        let file = format!(
            "[engine]\nstate_dir = \"state\"\nshutdown_grace = \"10ms\"\n\
             [observability]\nmetrics = \"127.0.0.1:0\"\nhealth = \"127.0.0.1:0\"\n\
             [chains.{CHAIN}]\npoll_interval = \"{}ms\"\n\
             [[chains.{CHAIN}.endpoints]]\nurl = \"{url}\"\n",
            poll.as_millis()
        );
        Self {
            dir: rig::folder(),
            file,
        }
    }

    /// A bundle of a fixture, with further lines in its manifest.
    pub(crate) fn bundle(&self, fixture: &str, lines: &str) {
        let component = guests::fixture(fixture).unwrap();
        self.bundle_of(fixture, &component, lines);
    }

    /// A bundle of any component.
    pub(crate) fn bundle_of(&self, folder: &str, component: &Path, lines: &str) {
        let manifest = format!(
            "[module]\nname = \"{folder}\"\nversion = \"0.1.0\"\n\
             [chains]\nrequired = [{CHAIN}]\n\
             [capabilities]\n\
             required = [\"chain\", \"local-store\", \"logging\", \"clock\", \"random\"]\n\
             [[subscription]]\nkind = \"block\"\nchain_id = {CHAIN}\n{lines}"
        );
        guests::bundle(&self.dir.path().join(folder), &manifest, component).unwrap();
    }

    /// Modules of one bundle, each under a name of its own.
    pub(crate) fn modules(&mut self, folder: &str, count: usize) {
        for index in 0..count {
            let entry = format!("[[modules]]\npath = \"{folder}\"\nname = \"{folder}-{index}\"\n");
            self.file.push_str(&entry);
        }
    }

    /// As many bundles of a fixture, each with bytes of its own, and a module of each.
    pub(crate) fn distinct_modules(&mut self, fixture: &str, count: usize) {
        for (index, component) in distinct(fixture, count).iter().enumerate() {
            let path = self.dir.path().join("component.wasm");
            fs::write(&path, component).unwrap();
            let folder = format!("{fixture}-own-{index}");
            self.bundle_of(&folder, &path, "");
            writeln!(self.file, "[[modules]]\npath = \"{folder}\"").unwrap();
        }
    }

    /// Starts an engine.
    pub(crate) fn start(&self, runtime: &Runtime) -> Engine {
        let path = self.engine_file();
        runtime
            .block_on(Engine::start(Setup::load(&path).unwrap()))
            .unwrap()
    }

    /// Waits until the code of so many components is kept: an engine that stops before keeps no
    /// more of it.
    pub(crate) fn wait_for_code(&self, components: usize) {
        let folder = self.dir.path().join("state").join("code");
        wait_until("the code is kept", || {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            // What is still being written has another ending.
            let kept =
                entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "code"));
            kept.count() == components
        });
    }

    /// Writes the operator's file, and answers where it is.
    pub(crate) fn engine_file(&self) -> PathBuf {
        let path = self.dir.path().join("nexum-engine.toml");
        fs::write(&path, &self.file).unwrap();
        path
    }
}

/// Components that do the same and are not the same bytes: each has a section of its own that
/// nothing reads.
pub(crate) fn distinct(fixture: &str, count: usize) -> Vec<Vec<u8>> {
    let component = rig::component(fixture);
    let own = |index: usize| {
        let payload = u32::try_from(index).unwrap().to_le_bytes();
        // A custom section: its kind, its size, the length of its name, its name, what it holds.
        [&component[..], &[0, 8, 3], b"own", &payload[..]].concat()
    };
    (0..count).map(own).collect()
}

/// Waits until it is so, looking as often as a bench can bear.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + rig::PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(rig::LOOK);
    }
}
