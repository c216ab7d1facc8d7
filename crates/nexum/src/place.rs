//! The state directory that a command is about, and whether an engine runs on it.

use std::path::{Path, PathBuf};

use nexum_manifest::EngineFile;
use nexum_store::StoreError;

use crate::{
    cli::{ConfigFile, Where},
    client::Client,
    exit::Failure,
};

/// The state directory: the one that is named, or else that of the engine's file.
pub(crate) fn named(dir: Option<&Path>, config: &ConfigFile) -> Result<PathBuf, Failure> {
    match dir {
        Some(dir) => Ok(dir.to_owned()),
        None => EngineFile::state_dir(&config.path).map_err(Failure::Refused),
    }
}

fn state_dir(at: &Where) -> Result<PathBuf, Failure> {
    named(at.state_dir.as_deref(), &at.config)
}

/// The state directory, and the engine that runs on it, if one does.
pub(crate) async fn engine(at: &Where) -> Result<(PathBuf, Option<Client>), Failure> {
    let dir = state_dir(at)?;
    let client = Client::find(&dir).await?;
    Ok((dir, client))
}

/// The engine that runs on the state directory.
pub(crate) async fn running(at: &Where) -> Result<Client, Failure> {
    Client::connect(&state_dir(at)?).await
}

/// The failure, with the names to choose from where the module is none of them.
pub(crate) fn failure(error: StoreError, dir: &Path) -> Failure {
    let help = match &error {
        StoreError::NoSuchModule { .. } => match nexum_store::list_modules(dir) {
            Ok(modules) if modules.is_empty() => Some("no module has a state there".to_owned()),
            Ok(modules) => {
                let names: Vec<_> = modules.iter().map(ToString::to_string).collect();
                Some(format!("there is a state of: {}", names.join(", ")))
            }
            // What keeps the names from being told is not what was asked.
            Err(_) => None,
        },
        _ => None,
    };
    Failure::state(error, help)
}
