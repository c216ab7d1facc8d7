//! Guests, built from source: the fixtures of `modules/fixtures`, the example modules beside
//! them, and bundles made of either.
//!
//! All of them are built together, once in a process. Cargo knows what is fresh and locks the
//! target folder, so a second process waits for the first and then builds nothing. The first
//! caller's thread blocks for the build, and other callers for the first.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, OnceLock},
};

use serde::Deserialize;

/// What guests are built for.
const TARGET: &str = "wasm32-wasip2";

/// Settings of the outer build that would change the inner one, which has a target and a profile
/// of its own, or at the least have it build everything anew.
const OUTER_VARIABLES: [&str; 5] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];
const OUTER_PREFIXES: [&str; 3] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"];

/// The component of a fixture: of `modules/fixtures/examples/counter.rs` for `counter`.
pub fn fixture(name: &str) -> Result<PathBuf, GuestError> {
    find("fixture", name, &built()?.fixtures)
}

/// The component of a module: of `modules/balance-watch` for `balance-watch`.
pub fn module(name: &str) -> Result<PathBuf, GuestError> {
    find("module", name, &built()?.modules)
}

/// Makes the folder `dir` a bundle of `manifest`, the text of its `nexum.toml`, and a copy of
/// the component at `component`. Creates the folder if need be, and answers `dir`.
pub fn bundle(dir: &Path, manifest: &str, component: &Path) -> Result<PathBuf, GuestError> {
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(dir.join("nexum.toml"), manifest))
        .and_then(|()| fs::copy(component, dir.join("module.wasm")))
        .map(|_| dir.to_owned())
        .map_err(|source| GuestError::Bundle {
            dir: dir.to_owned(),
            component: component.to_owned(),
            source,
        })
}

/// Why there is no guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The guests could not be built.
    #[error(transparent)]
    Build(#[from] Arc<BuildError>),
    /// There is no guest of this name.
    #[error("there is no {kind} `{name}`; there are: {}", known.join(", "))]
    Unknown {
        /// `fixture` or `module`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The bundle could not be written.
    #[error("cannot write a bundle of {} to {}", component.display(), dir.display())]
    Bundle {
        /// The bundle's folder.
        dir: PathBuf,
        /// The component that was to go into it.
        component: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

/// Why the guests could not be built. All callers in a process get the same one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no standard library for what guests are built for.
    #[error("the target {TARGET} is not installed; run `rustup target add {TARGET}`")]
    TargetMissing,
    /// Cargo could not be started.
    #[error("cannot start `{}` to build the guests", cargo.display())]
    Start {
        /// The program.
        cargo: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Cargo failed.
    #[error("building the guests of {} failed ({status}):\n{output}", manifest.display())]
    Failed {
        /// The manifest of the guests' workspace.
        manifest: PathBuf,
        /// How cargo ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// Cargo said something that is not understood.
    #[error("cannot read what cargo built: {line}")]
    Message {
        /// The line.
        line: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The components by name.
#[derive(Debug, Default)]
struct Guests {
    fixtures: BTreeMap<String, PathBuf>,
    modules: BTreeMap<String, PathBuf>,
}

fn built() -> Result<&'static Guests, Arc<BuildError>> {
    static GUESTS: OnceLock<Result<Guests, Arc<BuildError>>> = OnceLock::new();
    GUESTS
        .get_or_init(|| build().map_err(Arc::new))
        .as_ref()
        .map_err(Arc::clone)
}

fn find(
    kind: &'static str,
    name: &str,
    guests: &BTreeMap<String, PathBuf>,
) -> Result<PathBuf, GuestError> {
    guests
        .get(name)
        .cloned()
        .ok_or_else(|| GuestError::Unknown {
            kind,
            name: name.to_owned(),
            known: guests.keys().cloned().collect(),
        })
}

fn build() -> Result<Guests, BuildError> {
    let manifest = workspace().join("modules").join("Cargo.toml");
    let cargo = PathBuf::from(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let mut command = Command::new(&cargo);
    command
        .args([
            "build",
            "--release",
            "--locked",
            "--workspace",
            "--lib",
            "--examples",
        ])
        .args([
            "--target",
            TARGET,
            "--message-format",
            "json-render-diagnostics",
        ])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target_dir())
        // Cargo looks for its configuration from here on upwards.
        .current_dir(workspace().join("modules"))
        .stdin(Stdio::null());
    for name in outer_variables() {
        command.env_remove(name);
    }

    let output = command
        .output()
        .map_err(|source| BuildError::Start { cargo, source })?;
    if output.status.success() {
        return collect(&String::from_utf8_lossy(&output.stdout));
    }
    if target_is_missing() {
        return Err(BuildError::TargetMissing);
    }
    Err(BuildError::Failed {
        manifest,
        status: output.status,
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The root of the host's workspace, which holds that of the guests.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// Where guests are built: under the target folder of the host's workspace, but not in it, since
/// the cargo that runs a test may hold the lock of that.
pub fn target_dir() -> PathBuf {
    let outer = env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
    // A relative folder is taken from the workspace's root, where cargo is mostly called.
    workspace()
        .join(outer.unwrap_or_else(|| "target".into()))
        .join("guests")
}

fn outer_variables() -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        OUTER_VARIABLES.contains(&&*name)
            || OUTER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// True where the compiler says that its library for [`TARGET`] is in a folder that is not there.
fn target_is_missing() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|dir| !Path::new(dir.trim()).is_dir())
}

/// A line of cargo's JSON messages, as far as it matters here.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        manifest_path: PathBuf,
        target: Target,
        filenames: Vec<PathBuf>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

fn collect(messages: &str) -> Result<Guests, BuildError> {
    let mut guests = Guests::default();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).map_err(|source| BuildError::Message {
                line: line.to_owned(),
                source,
            })?;
        let Message::CompilerArtifact {
            manifest_path,
            target,
            filenames,
        } = message
        else {
            continue;
        };
        let is_component = |file: &PathBuf| file.extension().is_some_and(|ext| ext == "wasm");
        let Some(component) = filenames.into_iter().find(is_component) else {
            continue;
        };
        let is_kind = |wanted: &str| target.kind.iter().any(|kind| kind == wanted);
        if is_kind("example") {
            guests.fixtures.insert(target.name, component);
        } else if is_kind("cdylib")
            && let Some(folder) = manifest_path.parent().and_then(Path::file_name)
        {
            guests
                .modules
                .insert(folder.to_string_lossy().into_owned(), component);
        }
    }
    Ok(guests)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a component, as opposed to that of a core module.
    const COMPONENT_HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";

    fn is_component(path: &Path) -> bool {
        fs::read(path).unwrap().starts_with(&COMPONENT_HEADER)
    }

    #[test]
    fn every_fixture_in_the_folder_builds_to_a_component() {
        let folder = workspace().join("modules/fixtures/examples");
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        names.sort();
        assert!(names.contains(&"counter".to_owned()), "{names:?}");
        for name in &names {
            let component = fixture(name).unwrap();
            assert!(
                is_component(&component),
                "{} is no component",
                component.display()
            );
        }
        assert_eq!(
            names,
            built()
                .unwrap()
                .fixtures
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_module_goes_into_a_bundle_with_its_manifest() {
        let manifest = fs::read_to_string(workspace().join("modules/balance-watch/nexum.toml"));
        let manifest = manifest.unwrap();
        let dir = env::temp_dir().join(format!("nexum-testkit-bundle-{}", std::process::id()));

        let bundle = bundle(&dir, &manifest, &module("balance-watch").unwrap()).unwrap();

        assert_eq!(
            fs::read_to_string(bundle.join("nexum.toml")).unwrap(),
            manifest
        );
        assert!(is_component(&bundle.join("module.wasm")));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_guest_that_is_not_there_is_answered_with_those_that_are() {
        let failed = fixture("no-such-guest").unwrap_err().to_string();
        assert!(
            failed.starts_with("there is no fixture `no-such-guest`; there are: "),
            "{failed}"
        );
        assert!(failed.contains("counter"), "{failed}");
    }
}
