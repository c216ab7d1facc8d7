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
    cargo,
    cli::RunArgs,
    exit::Failure,
    output::{self, Style, styled},
    project::{MANIFEST, Project},
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
            failure.report();
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
    let mut files = vec![project.root.join("Cargo.toml"), project.root.join(MANIFEST)];
    files.extend(args.state.clone());
    files.extend(args.fixtures.iter().cloned());
    for folder in ["src", "fixtures"] {
        gather(&project.root.join(folder), &mut files);
    }
    let made_of = project
        .target_dir
        .join(cargo::TARGET)
        .join("release")
        .join(format!("{}.d", project.artifact));
    if let Ok(text) = fs::read_to_string(made_of) {
        files.extend(dependencies(&text));
    }
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

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => gather(&path, files),
            Ok(kind) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
}

/// What a line of a dep-info file names behind its colon; a space in a path is escaped.
fn dependencies(text: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for line in text.lines() {
        let Some((_, listed)) = line.split_once(": ") else {
            continue;
        };
        let mut path = String::new();
        let mut characters = listed.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if characters.peek() == Some(&' ') => {
                    characters.next();
                    path.push(' ');
                }
                ' ' => paths.push(std::mem::take(&mut path)),
                other => path.push(other),
            }
        }
        paths.push(path);
    }
    paths.retain(|path| !path.is_empty());
    paths.into_iter().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dep_info_file_is_read_as_cargo_writes_it() {
        let text = "/a/out.wasm: /a/src/lib.rs /a/my\\ files/b.rs\n\n/a/src/lib.rs:\n";
        let paths = dependencies(text);
        assert_eq!(
            paths,
            [Path::new("/a/src/lib.rs"), Path::new("/a/my files/b.rs")]
        );
    }
}
