//! `cargo nexum check`: the manifest, then the code, then the component if there is one.

use std::{fs, sync::Arc};

use nexum_engine::{Accounts, NoChains, NoServers};
use nexum_host::{Host, LoadError, LogRate, ModuleSpec, NothingKept, SystemClock};
use nexum_manifest::{ModuleFile, Problem};
use serde::Serialize;

use crate::{
    cargo,
    cli::CheckArgs,
    exit::{Code, Failure},
    output,
    project::Project,
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
    let problems = failure.problems().into_iter().map(serde_json::to_value);
    report.problems = problems
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::other("the output could not be made", error))?;
    if report.problems.is_empty() {
        report.error = failure.summary();
    }
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
        return Err(Failure::AlreadyTold(Code::Build));
    }
    say(&format!("code for {}: ok\n", cargo::TARGET))?;

    let component = project.bundle(&name).join("module.wasm");
    let Ok(bytes) = fs::read(&component) else {
        return say("component: not built yet (`cargo nexum build`)\n");
    };
    let problem = refusal(&file, &bytes)?;
    report.component = Some(problem.is_none());
    match problem {
        Some(problem) => Err(Failure::Refused(problem.into())),
        None => say(&format!("{}: ok\n", component.display())),
    }
}

/// Why an engine would refuse the component under this manifest.
fn refusal(file: &ModuleFile, bytes: &[u8]) -> Result<Option<Problem>, Failure> {
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
    let Err(error) = host.load(bytes, spec, &NothingKept) else {
        return Ok(None);
    };
    let places = file.places();
    let place = match error {
        LoadError::Undeclared { .. } => places.capabilities.clone(),
        _ => places.file.clone(),
    };
    let problem = Problem::new(place, format!("the component is refused: {error}"));
    Ok(Some(problem.with_help(error.remedy(false))))
}
