//! `cargo nexum check`: the manifest, then the code, then the component if there is one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nexum_engine::{Accounts, NoChains, NoServers};
use nexum_host::{Host, LoadError, Loaded, LogRate, ModuleSpec, NothingKept, SystemClock};
use nexum_manifest::ModuleFile;
use serde::Serialize;

use crate::{
    build, cargo,
    cli::CheckArgs,
    exit::{Failure, FailureReport},
    output,
    project::{self, MANIFEST, Project},
    sources, trial,
};

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    /// The module; null where its manifest is not right.
    module: Option<String>,
    /// Whether the code passes; null where it was not checked.
    code: Option<bool>,
    /// Whether the component passes; null where there is none, or it was not checked.
    component: Option<bool>,
    /// What is wrong with the manifest or the component.
    problems: Vec<serde_json::Value>,
    /// What else is wrong.
    error: Option<String>,
    /// What to do about it.
    help: Option<String>,
}

pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let project = Project::find(args.package.manifest_path.as_deref())?;
    let mut report = Report::default();
    let done = examine(&project, &mut report, args.json);
    report.ok = done.is_ok();
    if !args.json {
        return done;
    }
    let Err(failure) = done else {
        return output::print_json(&report);
    };
    let FailureReport {
        problems,
        error,
        help,
        ..
    } = FailureReport::of(&failure)?;
    (report.problems, report.error, report.help) = (problems, error, help);
    output::print_json(&report)?;
    Err(Failure::AlreadyTold(failure.code()))
}

fn examine(project: &Project, report: &mut Report, json: bool) -> Result<(), Failure> {
    let say = |line: &str| if json { Ok(()) } else { output::print(line) };
    let file = project.module_file()?;
    let name = file.manifest().name.to_string();
    report.module = Some(name.clone());
    say(&format!("{}: ok\n", project.shown_manifest().display()))?;

    cargo::require_target(project)?;
    let status = cargo::command(project, "check", false)
        .status()
        .map_err(|error| cargo::not_started(&error))?;
    report.code = Some(status.success());
    if !status.success() {
        return Err(Failure::OfCargo);
    }
    say(&format!("code for {}: ok\n", cargo::TARGET))?;

    let component = project.bundle(&name).join("module.wasm");
    let Ok(bytes) = fs::read(&component) else {
        return say("component: not built yet (`cargo nexum build`)\n");
    };
    if let Some(newer) = newer(project, &component) {
        return say(&format!(
            "component: older than {}, rebuild it first (`cargo nexum build`)\n",
            project::shown(newer).display()
        ));
    }
    report.component = Some(false);
    let loaded = load(&file, &bytes)?.map_err(|error| build::refused(&file, &error))?;
    if let Some(problem) = trial::of_config(&file, &loaded)? {
        return Err(Failure::Refused(problem.into()));
    }
    report.component = Some(true);
    say(&format!("{}: ok\n", component.display()))
}

/// A file that the component is made of and that was saved after it was built: what an old
/// component imports says nothing of the code as it is. The manifest is none, since what it declares
/// changes nothing in the component.
fn newer(project: &Project, component: &Path) -> Option<PathBuf> {
    let time = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = time(component)?;
    let mut sources = sources::of(project);
    sources.retain(|path| path.file_name().is_none_or(|name| name != MANIFEST));
    // A file system's clock is coarse, and no build is as short as its tick.
    sources
        .into_iter()
        .find(|source| time(source).is_some_and(|saved| saved >= built))
}

/// The component as an engine loads it under this manifest, or why it would refuse it.
fn load(file: &ModuleFile, bytes: &[u8]) -> Result<Result<Loaded, LoadError>, Failure> {
    let manifest = file.manifest();
    let host = Host::new(Arc::new(SystemClock::new()))
        .map_err(|error| Failure::other("the wasm engine", error))?;
    let spec = ModuleSpec {
        name: manifest.name.clone(),
        // It changes with each build, and is written then.
        pin: None,
        pin_required: false,
        capabilities: manifest.capabilities.clone(),
        chains: manifest.chains.clone(),
        absent_chains: manifest.absent_chains.clone(),
        resources: manifest.resources,
        log_rate: LogRate::default(),
        chain: Arc::new(NoChains),
        http: Arc::new(NoServers),
        identity: Arc::new(
            Accounts::default().of_module(manifest.name.clone(), Default::default()),
        ),
    };
    Ok(host.load(bytes, spec, &NothingKept))
}
