//! Runs again whenever a file of the module is saved.
//!
//! The files are those that cargo says the component was made of, and the module's own. Their times
//! are looked at a few times a second: that needs no library and no limit of the system's, and
//! works on folders of other machines and in containers, where nobody tells of changes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::interrupted;
use crate::{
    cli::RunArgs,
    exit::Failure,
    output::{self, Style, styled},
    project::{MANIFEST, Project},
    sources,
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// When each file was changed last, and how long it is. A file that is gone has neither.
type Stamps = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// Runs until Ctrl-C, which is how it is meant to end.
pub(super) async fn watch(project: &Project, args: &RunArgs) -> Result<(), Failure> {
    tokio::select! {
        biased;
        _ = interrupted() => Ok(()),
        failed = again_and_again(project, args) => failed,
    }
}

async fn again_and_again(project: &Project, args: &RunArgs) -> Result<(), Failure> {
    loop {
        let before = stamps(project, args);
        // What is wrong now may be right after the next save.
        if let Err(failure) = super::once(project, args).await {
            failure.report(args.json)?;
        }
        if !args.json {
            let waiting = "waiting for a change; Ctrl-C ends\n";
            output::print(&styled(Style::Faint, waiting))?;
        }
        // A save during the run counts. What only the run has brought to light is new to look at.
        loop {
            let now = stamps(project, args);
            if before
                .iter()
                .any(|(path, stamp)| now.get(path) != Some(stamp))
                || has_newer(&before, &now)
            {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Whether a file is there now of which nothing was known, and which is of the module's own folder.
fn has_newer(before: &Stamps, now: &Stamps) -> bool {
    let newest = before.values().flatten().map(|(time, _)| *time).max();
    now.iter().any(|(path, stamp)| {
        let is_new = !before.contains_key(path);
        let time = stamp.map(|(time, _)| time);
        is_new && time > newest
    })
}

fn stamps(project: &Project, args: &RunArgs) -> Stamps {
    let mut files = vec![project.root.join(MANIFEST)];
    files.extend(args.state.clone());
    files.extend(args.fixtures.iter().cloned());
    sources::gather(&project.root.join("fixtures"), &mut files);
    files.extend(sources::of(project));
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files
        .into_iter()
        .map(|path| {
            let stamp = stamp(&path);
            (path, stamp)
        })
        .collect()
}
