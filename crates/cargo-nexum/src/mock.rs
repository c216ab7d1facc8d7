//! `cargo nexum run --mock`: the component in the real engine, on chains that a fixture tells of.
//!
//! The engine, its store, its limits and its lifecycle are those of production. What differs is the
//! other side of the wire, and that a module that has failed gets its next attempt when the fixture
//! goes on, not after a wait.

mod book;
mod clock;
mod fit;
mod log;
mod play;
mod record;
mod report;
mod seed;
mod servers;
mod stage;
mod tell;
mod watch;
mod weather;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nexum_host::Host;
use nexum_testkit::Fixture;

use crate::{
    build::{self, Built},
    cli::RunArgs,
    exit::{Code, Failure},
    output,
    project::{self, Project},
};
use clock::MockClock;
use report::RunReport;

/// A fixture with its text, for what is wrong at a line of it.
#[derive(Debug)]
struct Told {
    path: PathBuf,
    text: String,
    fixture: Fixture,
}

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let project = Project::find(args.package.manifest_path.as_deref())?;
    log::init(args.engine_log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other("the async runtime could not be started", error))?;
    let ended = runtime.block_on(async {
        if let (Some(file), Some(url)) = (&args.record, &args.rpc) {
            record::record(&project, args, file, url).await
        } else if args.watch {
            watch::watch(&project, args).await
        } else {
            tokio::select! {
                biased;
                interrupted = interrupted() => Err(interrupted),
                done = once(&project, args) => done.map(drop),
            }
        }
    });
    // What still compiles or waits is of no use to anyone.
    runtime.shutdown_background();
    ended
}

/// Ctrl-C.
async fn interrupted() -> Failure {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Failure::Interrupted,
        Err(error) => Failure::other("Ctrl-C cannot be received", error),
    }
}

/// Builds the module and plays every fixture. Ok where all of them went as they should.
async fn once(project: &Project, args: &RunArgs) -> Result<Built, Failure> {
    let paths = fixtures(project, &args.fixtures)?;
    // Before anything is built: the author waits for that.
    let told = paths
        .iter()
        .map(|path| read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let seed = args.state.as_deref().map(seed::read).transpose()?;
    let manifest = project.module_file()?;
    for one in &told {
        fit::check(one, &manifest)?;
    }
    let project = project.clone();
    let built = tokio::task::spawn_blocking(move || build::bundle(&project))
        .await
        .map_err(|error| Failure::other("the build", error))??;
    let clock = Arc::new(MockClock::new());
    let host = Host::new(Arc::clone(&clock) as _)
        .map_err(|error| Failure::other("the wasm engine", error))?;
    let host = Arc::new(host);
    let mut failed = 0;
    for one in &told {
        clock.begins();
        let report = play::play(
            (&host, &clock),
            &built,
            one,
            seed.as_deref().unwrap_or_default(),
            args,
        )
        .await?;
        failed += usize::from(!report.ok);
        if args.json {
            output::print_json(&report)?;
        }
    }
    if !args.json && told.len() > 1 {
        output::print(&RunReport::total(told.len(), failed))?;
    }
    match failed {
        0 => Ok(built),
        _ => Err(Failure::AlreadyTold(Code::Unmet)),
    }
}

/// The fixtures that are named, or those of the package.
fn fixtures(project: &Project, named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let folder = project.root.join("fixtures");
    let entries = fs::read_dir(&folder).into_iter().flatten();
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "nexum"))
        .collect();
    paths.sort();
    let paths: Vec<_> = paths.into_iter().map(project::shown).collect();
    if paths.is_empty() {
        return Err(Failure::told(
            Code::Usage,
            format!("there is no fixture in {}", folder.display()),
            "write fixtures/<name>.nexum, or name one; docs/reference/fixture.md says what goes into it",
        ));
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<Told, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::other(&format!("reading {}", path.display()), error))?;
    match text.parse() {
        Ok(fixture) => Ok(Told {
            path: path.to_owned(),
            text,
            fixture,
        }),
        Err(error) => Err(fit::wrong(path, &text, &error)),
    }
}
