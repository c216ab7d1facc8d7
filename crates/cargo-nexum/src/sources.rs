//! The files that a module's component is made of, as far as they are known.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{cargo, project::Project};

/// The package's Cargo.toml, what is in its `src`, and what cargo says the last component was made
/// of.
pub(crate) fn of(project: &Project) -> Vec<PathBuf> {
    let mut files = vec![project.root.join("Cargo.toml")];
    gather(&project.root.join("src"), &mut files);
    let made_of = project
        .target_dir
        .join(cargo::TARGET)
        .join("release")
        .join(format!("{}.d", project.artifact));
    if let Ok(text) = fs::read_to_string(made_of) {
        files.extend(dependencies(&text));
    }
    files
}

/// The files of a folder and of those within.
pub(crate) fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
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
