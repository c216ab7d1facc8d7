//! `nexum config check`.

use std::fmt::Write as _;

use nexum_engine::Remembered;
use nexum_manifest::{Problem, Setup};
use serde::Serialize;

use crate::{
    cli::ConfigFile,
    exit::{Code, Failure},
    output, runtime,
};

/// What `--json` prints. Where there are problems, the lists of what is configured are empty.
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    chains: Vec<Chain>,
    modules: Vec<Module<'a>>,
    problems: Vec<&'a Problem>,
    /// What refuses nothing, and is hardly meant.
    warnings: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Chain {
    id: u64,
    /// In the order in which they are asked, without what may be secret.
    endpoints: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Module<'a> {
    name: &'a str,
    version: &'a str,
}

pub(crate) fn check(config: &ConfigFile, json: bool) -> Result<(), Failure> {
    match examine(config) {
        Ok(setup) => {
            let report = report(&setup);
            if json {
                output::print_json(&report)
            } else {
                output::print(&as_text(config, &report))
            }
        }
        Err(Failure::Refused(errors)) if json => {
            output::print_json(&Report {
                ok: false,
                chains: Vec::new(),
                modules: Vec::new(),
                problems: errors.problems().collect(),
                warnings: Vec::new(),
            })?;
            Err(Failure::AlreadyTold(Code::Refused))
        }
        Err(failure) => Err(failure),
    }
}

fn examine(config: &ConfigFile) -> Result<Setup, Failure> {
    let setup = Setup::load(&config.path).map_err(Failure::Refused)?;
    runtime()?.block_on(nexum_engine::check(&setup))?;
    Ok(setup)
}

fn report(setup: &Setup) -> Report<'_> {
    let chains = setup.engine.config().chains.values().map(|chain| Chain {
        id: chain.id.0,
        endpoints: chain.endpoints.iter().map(ToString::to_string).collect(),
    });
    let modules = setup.bundles.iter().map(|bundle| Module {
        name: bundle.name().as_str(),
        version: &bundle.manifest.version,
    });
    Report {
        ok: true,
        chains: chains.collect(),
        modules: modules.collect(),
        problems: Vec::new(),
        warnings: warnings(setup),
    }
}

/// Modules that were loaded at run time count. Where it cannot be read which they are, a start says
/// so, and nothing is told here.
fn warnings(setup: &Setup) -> Vec<Problem> {
    let state_dir = &setup.engine.config().state_dir;
    let Ok(loaded) = Remembered::names_in(state_dir) else {
        return Vec::new();
    };
    let configured = setup.bundles.iter().map(|bundle| bundle.name().clone());
    setup.engine.for_nobody(configured.chain(loaded))
}

fn as_text(config: &ConfigFile, report: &Report<'_>) -> String {
    let mut text = format!("{}: ok\n", config.path.display());
    // Writing to a String cannot fail.
    for Chain { id, endpoints } in &report.chains {
        let _ = writeln!(text, "  chain {id}: {}", endpoints.join(", "));
    }
    for Module { name, version } in &report.modules {
        let _ = writeln!(text, "  module {name} {version}");
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {warning:#}");
    }
    text
}
