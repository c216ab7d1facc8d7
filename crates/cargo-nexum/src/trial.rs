//! What a module says of its configuration: its `init` is called once, on a state that goes away,
//! with no chain, no server and no account.

use std::{error::Error, sync::Arc};

use nexum_host::{Loaded, Outcome};
use nexum_manifest::{ModuleFile, Problem};
use nexum_store::{StateDir, StoreOptions};
use nexum_types::CallState;

use crate::exit::Failure;

/// The domain of the errors that the SDK answers where a configuration is not as the module has it.
const DOMAIN: &str = "config";

/// What is wrong with the values under `[config]`, as the component itself finds them. How else its
/// `init` ends says nothing: what it asks is not there. Values that are missing are no problem, since
/// they can be the operator's.
pub(crate) fn of_config(file: &ModuleFile, loaded: &Loaded) -> Result<Option<Problem>, Failure> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let manifest = file.manifest();
    let store = StateDir::open(folder.path().join("state"))
        .and_then(|dir| dir.open_module(&manifest.name, StoreOptions::default()))
        .map_err(failed)?;
    let state = CallState::new(Arc::new(store), manifest.resources.max_state_bytes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let outcome = runtime.block_on(async {
        let mut instance = loaded.instantiate().await.ok()?;
        Some(instance.init(state, &manifest.config).await.outcome)
    });
    let Some(Outcome::Err(error)) = outcome else {
        return Ok(None);
    };
    if error.domain != DOMAIN {
        return Ok(None);
    }
    let places = &file.places().config;
    let mut keys = error.data.iter().flat_map(|keys| keys.split(' '));
    let Some(place) = keys.find_map(|key| places.get(key)) else {
        return Ok(None);
    };
    let message = format!(
        "the module does not take its configuration: {}",
        error.message
    );
    let help =
        "correct the values under [config]; what is missing here may be the operator's to give";
    Ok(Some(Problem::new(place.clone(), message).with_help(help)))
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::other("trying the module's init", error)
}
