//! A new version in the place of a module's running one.
//!
//! It is made ready beside the running one, and then handed to the module's worker. Until that has
//! come to the point of no return, it can be taken back: where the module is unloaded, and where
//! the worker does not come to it in time.

use std::{pin::pin, sync::Arc, time::Duration};

use nexum_host::Loaded;
use nexum_manifest::{Bundle, Sha256};
use nexum_types::ModuleName;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    OperateError, UpgradeRequest, failed,
    loading::{Copied, pin},
};
use crate::{
    command::Command,
    difference,
    failure::with_causes,
    modules::{Core, Origin, tell_grants},
    status::ModuleStatus,
    upgrading::{Keep, Upgrade, UpgradeFault},
    withdrawal::Withdrawal,
};

/// How long a new version may take to be copied, compiled and checked. Nothing else is done with
/// the module meanwhile, but that it can be unloaded.
const READY_WITHIN: Duration = Duration::from_secs(10 * 60);

/// A new version that is accepted.
struct Ready {
    bundle: Bundle,
    loaded: Loaded,
    digest: Sha256,
    keep: Keep,
}

impl Core {
    pub(super) async fn upgrade(
        &self,
        name: &ModuleName,
        request: UpgradeRequest,
    ) -> Result<ModuleStatus, OperateError> {
        let turn = self.turn(name)?;
        let withdrawal = turn.withdrawal();
        let (running, origin) = self.of(name, |handle| (handle.bundle.clone(), handle.origin))?;
        let (commands, status) = self.of(name, |handle| {
            (handle.commands.clone(), Arc::clone(&handle.status))
        })?;
        let most = running.manifest.resources.max_event_duration;
        let ready = tokio::select! {
            biased;
            () = withdrawal.withdrawn() => return Err(OperateError::Unloading(name.clone())),
            () = self.modules.closed() => return Err(OperateError::Stopping),
            ready = timeout(READY_WITHIN, self.ready(running, origin, request)) => ready,
        };
        let ready = ready.map_err(|_| {
            OperateError::Failed(format!(
                "the new version was not compiled within {READY_WITHIN:?}; the old version goes on"
            ))
        })?;
        let Ready {
            bundle,
            loaded,
            digest,
            keep,
        } = ready?;
        let most = most + bundle.manifest.resources.max_event_duration + self.answer_within;
        let version = self.version(&bundle.manifest, loaded).map_err(failed)?;
        let (done, answer) = oneshot::channel();
        let upgrade = Command::Upgrade(Box::new(Upgrade {
            version,
            keep,
            withdrawal: Arc::clone(&withdrawal),
            done,
        }));
        let asked = async {
            commands.send(upgrade).await.ok()?;
            answer.await.ok()
        };
        let answer = answered(name, asked, most, &withdrawal).await?;
        if matches!(answer, Ok(()) | Err(UpgradeFault::State(_))) {
            tell_grants(&bundle);
            if let Some(handle) = self.modules.by_name().get_mut(name) {
                handle.bundle = bundle;
                handle.digest = digest;
            }
        }
        match answer {
            Ok(()) => Ok(status.read()),
            Err(UpgradeFault::Withdrawn) => Err(OperateError::Unloading(name.clone())),
            Err(UpgradeFault::Init(error)) => Err(OperateError::Failed(format!(
                "the new version's init failed, and the old version goes on: {error}"
            ))),
            Err(UpgradeFault::Keep(error)) => Err(OperateError::Failed(format!(
                "the new version could not be kept for the next start, and the old version goes on: {error}"
            ))),
            Err(UpgradeFault::State(error)) => Err(OperateError::Failed(format!(
                "the new version has taken the place of the old one, but what its init wrote could not be committed; it runs again: {error}"
            ))),
        }
    }

    /// Copies, compiles and checks a new version, and compares it with the one that runs.
    async fn ready(
        &self,
        running: Bundle,
        origin: Origin,
        request: UpgradeRequest,
    ) -> Result<Ready, OperateError> {
        let name = running.name();
        let UpgradeRequest {
            path,
            accept,
            digest,
        } = request;
        let (bundle, keep): (_, Keep) = match (origin, path) {
            (Origin::Configured, None) if digest.is_some() => {
                return Err(OperateError::Unfit(format!(
                    "module {name} is in the engine's file: write the new version's digest into its entry there, and upgrade without `--digest`"
                )));
            }
            (Origin::Configured, None) => {
                let bundle = self.file.reload(&running).map_err(OperateError::Refused)?;
                // The engine's file says so already.
                (bundle, Box::new(|| Ok(())))
            }
            (Origin::Configured, Some(_)) => {
                return Err(OperateError::Unfit(format!(
                    "module {name} is in the engine's file: put the new version into its bundle, or its path into its entry there, and upgrade without one"
                )));
            }
            (Origin::Loaded, None) => {
                return Err(OperateError::Unfit(format!(
                    "module {name} was loaded at run time: say where the new version's bundle is"
                )));
            }
            (Origin::Loaded, Some(path)) => {
                let entry = self.remembered.entry(name).map_err(failed)?;
                let mut entry = entry.unwrap_or_default();
                pin(&mut entry, digest);
                let Copied {
                    bundle,
                    entry,
                    copy,
                } = self.copied(&path, name, entry).await?;
                let (remembered, keeping) = (Arc::clone(&self.remembered), name.clone());
                let keep = move || {
                    let kept = remembered.keep(&keeping, entry, copy);
                    kept.map_err(|error| with_causes(&error))
                };
                (bundle, Box::new(keep))
            }
        };
        let loaded = self.loaded(&bundle).await?;
        let digest = loaded.digest();
        let more = difference::between(&running.manifest, &bundle.manifest);
        let token = difference::token(&more, digest);
        if !more.is_empty() && accept.as_ref() != Some(&token) {
            return Err(OperateError::Widens { more, token });
        }
        Ok(Ready {
            bundle,
            loaded,
            digest,
            keep,
        })
    }
}

/// What the worker answers, unless it is taken back before.
async fn answered<T>(
    name: &ModuleName,
    asked: impl Future<Output = Option<T>>,
    most: Duration,
    withdrawal: &Withdrawal,
) -> Result<T, OperateError> {
    let mut asked = pin!(asked);
    let answer = tokio::select! {
        biased;
        answer = &mut asked => answer,
        () = withdrawal.withdrawn() => return Err(OperateError::Unloading(name.clone())),
        () = sleep(most) => {
            if withdrawal.withdraw() {
                let name = name.clone();
                return Err(OperateError::Withdrawn { name, most });
            }
            // It is being written down, and only the disk is waited for.
            asked.await
        }
    };
    answer.ok_or(OperateError::Stopping)
}
