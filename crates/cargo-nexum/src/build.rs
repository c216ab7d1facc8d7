//! `cargo nexum build`: a component, and the bundle that an engine runs.
//!
//! The digest goes into the bundle's manifest. The package's own is left alone: it is under version
//! control, and would change with every build of every machine.

use std::{
    collections::BTreeSet,
    fs, io,
    io::BufReader,
    path::{Path, PathBuf},
    process::Stdio,
};

use cargo_metadata::Message;
use nexum_host::LoadError;
use nexum_manifest::{ModuleFile, ModuleManifest, Problem, Sha256};
use nexum_types::ChainId;
use serde::Serialize;
use sha2::Digest as _;

use crate::{
    cargo,
    cli::BuildArgs,
    exit::Failure,
    output,
    project::{MANIFEST, Project},
};

/// A bundle that was put together.
#[derive(Debug)]
pub(crate) struct Built {
    /// What its manifest says.
    pub(crate) manifest: ModuleManifest,
    /// The chains that the module cannot do without.
    pub(crate) required_chains: BTreeSet<ChainId>,
    /// Its folder.
    pub(crate) bundle: PathBuf,
    /// The digest of its component.
    pub(crate) digest: Sha256,
    /// The size of its component.
    pub(crate) bytes: usize,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    module: &'a str,
    version: &'a str,
    bundle: String,
    digest: String,
    bytes: usize,
}

pub(crate) fn build(args: &BuildArgs) -> Result<(), Failure> {
    let project = Project::find(args.package.manifest_path.as_deref())?;
    let built = bundle(&project)?;
    let report = Report {
        ok: true,
        module: built.manifest.name.as_str(),
        version: &built.manifest.version,
        bundle: built.bundle.display().to_string(),
        digest: format!("sha256:{}", built.digest),
        bytes: built.bytes,
    };
    if args.json {
        return output::print_json(&report);
    }
    output::print(&format!(
        "{} {}: {}\n  component {} bytes, {}\n",
        report.module, report.version, report.bundle, report.bytes, report.digest
    ))
}

/// Builds the component and puts the bundle together.
pub(crate) fn bundle(project: &Project) -> Result<Built, Failure> {
    let file = project.module_file()?;
    let optional = &file.places().optional_chains;
    let required_chains = file
        .manifest()
        .chains
        .difference(optional)
        .copied()
        .collect();
    let component = component(project)?;
    let bytes = fs::read(&component)
        .map_err(|error| Failure::other(&format!("reading {}", component.display()), error))?;
    // An engine would refuse it as well, at its start.
    nexum_host::check_imports(&bytes, &file.manifest().capabilities)
        .map_err(|error| refused(&file, &error))?;
    let manifest = file.into_manifest();
    let digest = Sha256(sha2::Sha256::digest(&bytes).into());
    let folder = project.bundle(manifest.name.as_str());
    let text = fs::read_to_string(project.manifest())
        .map_err(|error| Failure::other("reading the manifest", error))?;
    write(&folder, &pinned(&text, digest)?, &bytes)
        .map_err(|error| Failure::other(&format!("writing {}", folder.display()), error))?;
    Ok(Built {
        manifest,
        required_chains,
        bundle: folder,
        digest,
        bytes: bytes.len(),
    })
}

/// Why an engine would refuse the component, at the line of the manifest that it is held against.
pub(crate) fn refused(file: &ModuleFile, error: &LoadError) -> Failure {
    let places = file.places();
    let place = match error {
        LoadError::Undeclared { .. } => places.capabilities.clone(),
        _ => places.file.clone(),
    };
    let problem = Problem::new(place, format!("the component is refused: {error}"));
    Failure::Refused(problem.with_help(error.remedy(false)).into())
}

/// Each file is there as a whole or not: whoever reads the bundle meanwhile finds the old one.
fn write(folder: &Path, manifest: &str, component: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, content) in [("module.wasm", component), (MANIFEST, manifest.as_bytes())] {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::Write::write_all(&mut file, content)?;
        file.persist(folder.join(name))
            .map_err(|error| error.error)?;
    }
    Ok(())
}

/// The manifest with the digest of the component, and otherwise as it was.
fn pinned(manifest: &str, digest: Sha256) -> Result<String, Failure> {
    let mut document: toml_edit::DocumentMut = manifest
        .parse()
        .map_err(|error| Failure::other("reading the manifest", error))?;
    let pin = toml_edit::value(format!("sha256:{digest}"));
    if let Some(module) = document
        .get_mut("module")
        .and_then(toml_edit::Item::as_table_like_mut)
    {
        module.insert("component", pin);
    }
    Ok(document.to_string())
}

/// Builds the package, and answers where cargo has put the component.
fn component(project: &Project) -> Result<PathBuf, Failure> {
    cargo::require_target(project)?;
    let mut child = cargo::command(project, "build", true)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cargo::not_started(&error))?;
    let mut found = None;
    if let Some(stdout) = child.stdout.take() {
        for message in Message::parse_stream(BufReader::new(stdout)) {
            let message =
                message.map_err(|error| Failure::other("cargo's answer cannot be read", error))?;
            let Message::CompilerArtifact(artifact) = message else {
                continue;
            };
            let is_ours = artifact.target.name.replace('-', "_") == project.artifact;
            let component =
                |file: &&cargo_metadata::camino::Utf8PathBuf| file.extension() == Some("wasm");
            if let Some(file) = artifact
                .filenames
                .iter()
                .find(component)
                .filter(|_| is_ours)
            {
                found = Some(file.as_std_path().to_owned());
            }
        }
    }
    let status = child
        .wait()
        .map_err(|error| Failure::other("waiting for cargo", error))?;
    if !status.success() {
        return Err(Failure::OfCargo);
    }
    found.ok_or_else(|| Failure::other("cargo build", "it made no component"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_written_and_all_else_stays() {
        let before = "# mine\n[module]\nname = \"a\" # here\nversion = \"0.1.0\"\n\n[chains]\nrequired = [1]\n";
        let digest = Sha256([0xab; 32]);
        let once = pinned(before, digest).unwrap();
        let line = format!("component = \"sha256:{}\"\n", "ab".repeat(32));
        assert_eq!(
            once,
            before.replace("\n\n[chains]", &format!("\n{line}\n[chains]"))
        );
        let again = pinned(&once, Sha256([0xcd; 32])).unwrap();
        assert_eq!(again, once.replace(&"ab".repeat(32), &"cd".repeat(32)));
    }
}
