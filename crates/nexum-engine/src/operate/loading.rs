//! Modules that come and go while the engine runs, and the bundles that they come from.

use std::{path::Path, sync::Arc};

use nexum_host::Loaded;
use nexum_manifest::{Bundle, Sha256};
use nexum_types::ModuleName;
use toml::{Table, Value};

use super::{LoadRequest, OperateError, Unloaded, blocking, failed};
use crate::{
    StartError,
    engine::store_options,
    load::{self, Loader},
    modules::{Core, End, Origin},
    remembered::{self, BundleCopy},
    status::ModuleStatus,
};

/// A bundle that is about to run, and goes with this unless it is kept.
pub(super) struct Copied {
    pub(super) bundle: Bundle,
    /// What has to be written for it to run after a restart.
    pub(super) entry: Table,
    pub(super) copy: BundleCopy,
}

impl Core {
    pub(super) async fn load(&self, request: LoadRequest) -> Result<ModuleStatus, OperateError> {
        let LoadRequest {
            path,
            name,
            config,
            digest,
        } = request;
        let mut entry = Table::new();
        if let Some(name) = &name {
            entry.insert("name".into(), name.as_str().into());
        }
        if !config.is_empty() {
            entry.insert("config".into(), Value::Table(config));
        }
        pin(&mut entry, digest);
        // Only its manifest knows the name.
        let name = self.bundle_at(&path, entry.clone())?.name().clone();
        let _turn = self.turn(&name)?;
        if let Some(handle) = self.modules.by_name().get(&name) {
            let origin = handle.origin;
            return Err(OperateError::Exists { name, origin });
        }
        entry.insert("name".into(), name.as_str().into());
        let ready = async {
            let copied = self.copied(&path, &name, entry).await?;
            let loaded = self.loaded(&copied.bundle).await?;
            Ok((copied, loaded))
        };
        // Nobody waits at the end for a component that is being compiled.
        let (copied, loaded) = tokio::select! {
            () = self.modules.closed() => return Err(OperateError::Stopping),
            ready = ready => ready?,
        };
        let Copied {
            bundle,
            entry,
            copy,
        } = copied;
        let version = self.version(&bundle.manifest, loaded).map_err(failed)?;
        let (dir, options) = (Arc::clone(&self.state_dir), store_options(&bundle.manifest));
        let (remembered, keeping) = (Arc::clone(&self.remembered), name.clone());
        let store = blocking(move || {
            let store = dir.open_module(&keeping, options);
            let store = store.map_err(OperateError::Store)?;
            remembered.keep(&keeping, entry, copy).map_err(failed)?;
            Ok(store)
        });
        if !self.run(bundle, version, store.await?, Origin::Loaded) {
            let (remembered, forgotten) = (Arc::clone(&self.remembered), name.clone());
            blocking(move || remembered.forget(&forgotten).map_err(failed)).await?;
            return Err(OperateError::Stopping);
        }
        self.status_of(&name)
    }

    pub(super) async fn unload(&self, name: &ModuleName) -> Result<Unloaded, OperateError> {
        let _turn = self.turn_before_others(name).await?;
        let origin = self.of(name, |handle| handle.origin)?;
        if origin == Origin::Loaded {
            let (remembered, name) = (Arc::clone(&self.remembered), name.clone());
            // It is to be gone after a crash, too, so this comes first; where it fails, the module
            // goes on as it was.
            blocking(move || remembered.forget(&name).map_err(failed)).await?;
        }
        let removed = self.modules.by_name().remove(name);
        let mut handle = removed.ok_or_else(|| self.no_such(name))?;
        handle.stop.cancel();
        let grace = self.file.config().shutdown_grace;
        let ended = handle.end(tokio::time::Instant::now() + grace).await;
        tracing::info!(module = %name, "module is unloaded");
        match ended {
            End::Unsaved(why) => Err(OperateError::Failed(format!(
                "module {name} is unloaded, but what it had pending is not on disk: {why}"
            ))),
            ended => Ok(Unloaded {
                comes_back: origin == Origin::Configured,
                cut_off: ended == End::CutOff,
            }),
        }
    }

    /// The bundle in a folder, checked, under what the operator says of it.
    fn bundle_at(&self, folder: &Path, entry: Table) -> Result<Bundle, OperateError> {
        let Some(folder) = folder.to_str() else {
            let what = format!("the path {} is not UTF-8", folder.display());
            return Err(OperateError::Unfit(what));
        };
        let mut with_path = Table::from_iter([("path".to_owned(), Value::from(folder))]);
        with_path.extend(entry);
        let file = self.remembered.file();
        let text = remembered::as_text(vec![with_path]);
        let bundles = self.file.load_more(&file, text);
        bundles
            .map_err(OperateError::Refused)?
            .pop()
            .ok_or_else(|| OperateError::Failed("the bundle is not there any more".into()))
    }

    /// Copies a bundle to where it stays once it is kept, and checks what was copied.
    pub(super) async fn copied(
        &self,
        path: &Path,
        name: &ModuleName,
        mut entry: Table,
    ) -> Result<Copied, OperateError> {
        let label = format!("{name}-{:08x}", rand::random::<u32>());
        let (remembered, from) = (Arc::clone(&self.remembered), path.to_owned());
        let copy = blocking(move || remembered.copy(&from, &label).map_err(failed)).await?;
        let relative = copy.relative.to_string_lossy().into_owned();
        entry.insert("path".into(), relative.into());
        let bundle = self.bundle_at(&copy.relative, entry.clone())?;
        Ok(Copied {
            bundle,
            entry,
            copy,
        })
    }

    /// Compiles and checks the component of a bundle.
    pub(super) async fn loaded(&self, bundle: &Bundle) -> Result<Loaded, OperateError> {
        let loader = Loader {
            host: &self.host,
            pin_required: self.file.config().policy.require_digest,
            kept: self.code.cache(),
            egress: self.egress.clone(),
            accounts: &self.accounts,
            sender: Some(&self.sender),
        };
        match load::load_one(&loader, bundle, self.chains.clone()).await {
            Ok(loaded) => {
                self.code.keep(vec![loaded.code().clone()]);
                Ok(loaded)
            }
            Err(StartError::Refused(errors)) => Err(OperateError::Refused(errors)),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Lets an entry say which bytes its component must have; where nothing is said, what it has said
/// before stays.
pub(super) fn pin(entry: &mut Table, digest: Option<Sha256>) {
    if let Some(digest) = digest {
        entry.insert("digest".into(), format!("sha256:{digest}").into());
    }
}
