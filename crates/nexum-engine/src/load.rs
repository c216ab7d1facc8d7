//! From bundles to compiled modules: every module is looked at before any is refused, and all
//! are accepted before any of them runs.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use futures::{StreamExt as _, stream};
use nexum_chain::Limited;
use nexum_host::{Host, KeptCode, LoadError, Loaded, LogRate, ModuleSpec, NothingKept};
use nexum_http::{Egress, Grants};
use nexum_identity::{Accounts, Sender};
use nexum_manifest::{Bundle, ManifestErrors, Pin, Problem, Setup};
use nexum_types::{
    BoxFuture, ChainId, ChainRpc, HostError, HostErrorKind, HttpFailure, HttpFetch, HttpRequest,
    HttpResponse, RpcRequest, RpcResult,
};

use tokio::sync::{Semaphore, oneshot};

use crate::{StartError, identities};

/// Compiling takes a processor for a while; more at once than processors gains nothing.
const COMPILED_AT_ONCE: usize = 4;

/// The turns at that. All engines of a process share its processors.
static TURNS: Semaphore = Semaphore::const_new(COMPILED_AT_ONCE);

/// A component that takes longer than this is told of.
const LONG: Duration = Duration::from_secs(5);

/// The largest component, in bytes. The file is the author's, and is read before it is known.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 64 * 1024 * 1024;

/// Why a component was refused.
#[derive(Debug)]
enum Fault {
    Read(io::Error),
    TooLarge,
    Load(LoadError),
    Thread(io::Error),
    /// The compiler panicked.
    Compiler,
}

/// What every module is loaded with.
pub(crate) struct Loader<'a> {
    pub(crate) host: &'a Arc<Host>,
    /// Whether a component that nobody has pinned is refused.
    pub(crate) pin_required: bool,
    /// What is here is not compiled.
    pub(crate) kept: Arc<dyn KeptCode>,
    /// The way to servers outside.
    pub(crate) egress: Egress,
    /// Of which each module gets its own.
    pub(crate) accounts: &'a Accounts,
    /// What their transactions go through; none where nothing runs.
    pub(crate) sender: Option<&'a Sender>,
}

/// Compiles and checks every bundle's component, under the operator's policy. Each module reaches
/// its chains through `chain`, at the rate that the policy allows each.
pub(crate) async fn load<C: ChainRpc + Clone>(
    loader: &Loader<'_>,
    bundles: &[Bundle],
    chain: &C,
) -> Result<Vec<Loaded>, StartError> {
    let results: Vec<_> = stream::iter(bundles)
        .map(|bundle| compiled(loader, bundle, chain.clone()))
        .buffered(COMPILED_AT_ONCE)
        .collect()
        .await;
    let mut loaded = Vec::with_capacity(bundles.len());
    let mut problems = Vec::new();
    for (result, bundle) in results.into_iter().zip(bundles) {
        match result {
            Ok(module) => loaded.push(module),
            Err(fault) => problems.push(problem(bundle, &fault)),
        }
    }
    ManifestErrors::new(problems).map_or(Ok(loaded), |errors| Err(StartError::Refused(errors)))
}

/// The same for one bundle.
pub(crate) async fn load_one<C: ChainRpc>(
    loader: &Loader<'_>,
    bundle: &Bundle,
    chain: C,
) -> Result<Loaded, StartError> {
    let compiled = compiled(loader, bundle, chain).await;
    compiled.map_err(|fault| StartError::Refused(problem(bundle, &fault).into()))
}

/// Compiles and checks on a thread that nobody waits for at the end of the process: a component of
/// some kilobytes can take longer than anybody waits, and nothing breaks a compilation off.
async fn compiled<C: ChainRpc>(
    loader: &Loader<'_>,
    bundle: &Bundle,
    chain: C,
) -> Result<Loaded, Fault> {
    let (host, kept) = (Arc::clone(loader.host), Arc::clone(&loader.kept));
    let path = bundle.component.clone();
    let spec = spec(bundle, chain, loader);
    // Never closed.
    let turn = TURNS.acquire().await.ok();
    let mut loaded = on_a_thread(move || {
        let _turn = turn;
        let bytes = read(&path)?;
        host.load(&bytes, spec, &*kept).map_err(Fault::Load)
    })?;
    if let Ok(loaded) = tokio::time::timeout(LONG, &mut loaded).await {
        return loaded.map_err(|_| Fault::Compiler)?;
    }
    tracing::warn!(module = %bundle.name(), component = %bundle.component.display(), "the component takes long to compile");
    loaded.await.map_err(|_| Fault::Compiler)?
}

/// What `work` comes to; an error where it panicked.
fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Fault> {
    let (done, answer) = oneshot::channel();
    let work = move || {
        // Whoever asked may have gone.
        let _ = done.send(work());
    };
    let thread = thread::Builder::new().name("load".to_owned());
    thread.spawn(work).map_err(Fault::Thread)?;
    Ok(answer)
}

/// The bytes of a component, which is not read where it is too large.
fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let file = File::open(path).map_err(Fault::Read)?;
    if file.metadata().map_err(Fault::Read)?.len() > MAX_COMPONENT_BYTES {
        return Err(Fault::TooLarge);
    }
    // It may have grown since.
    let mut file = file.take(MAX_COMPONENT_BYTES + 1);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Fault::Read)?;
    if bytes.len() as u64 > MAX_COMPONENT_BYTES {
        return Err(Fault::TooLarge);
    }
    Ok(bytes)
}

/// Checks what can be checked of the bundles without a chain and without a `state_dir`: that every
/// component is one, is pinned where it must be, is for this contract, and imports only what its
/// manifest declares; and that there is a keystore for each account, unless it takes a password or a
/// remote signer to know.
pub async fn check(setup: &Setup) -> Result<(), StartError> {
    identities::look(&setup.engine)?;
    let clock = Arc::new(nexum_host::SystemClock::new());
    let loader = Loader {
        host: &Arc::new(Host::new(clock).map_err(StartError::Host)?),
        pin_required: setup.engine.config().policy.require_digest,
        kept: Arc::new(NothingKept),
        egress: Egress::new(setup.engine.config().http.clone()).map_err(StartError::Http)?,
        accounts: &Accounts::default(),
        sender: None,
    };
    load(&loader, &setup.bundles, &NoChains).await.map(drop)
}

/// What is wrong, at the line of the manifest that has to do with it.
fn problem(bundle: &Bundle, fault: &Fault) -> Problem {
    let component = bundle.component.display();
    let name = bundle.name();
    match fault {
        Fault::Read(error) => Problem::new(
            bundle.entry.clone(),
            format!("the component of module {name}, {component}, cannot be read: {error}"),
        ),
        Fault::TooLarge => Problem::new(
            bundle.entry.clone(),
            format!(
                "the component of module {name}, {component}, has more than \
                 {MAX_COMPONENT_BYTES} bytes"
            ),
        )
        .with_help("build the module in release mode, optimised for size"),
        Fault::Thread(error) => Problem::new(
            bundle.entry.clone(),
            format!(
                "no thread could be started to compile the component of module {name}: {error}"
            ),
        ),
        Fault::Compiler => Problem::new(
            bundle.entry.clone(),
            format!("the component of module {name}, {component}, brings the compiler down"),
        )
        .with_help("build it anew, with another version of the toolchain, or leave the module out"),
        Fault::Load(error) => {
            let place = match error {
                LoadError::Undeclared { .. } => bundle.places.capabilities.clone(),
                LoadError::Digest { .. } => bundle.pin_place.clone(),
                LoadError::Unpinned { .. }
                | LoadError::NotAComponent { .. }
                | LoadError::TooMuch { .. }
                | LoadError::TooHeavy { .. }
                | LoadError::Compile(_)
                | LoadError::UnknownImports(_)
                | LoadError::OtherVersion { .. }
                | LoadError::OtherWorld(_) => bundle.entry.clone(),
            };
            let problem = Problem::new(
                place,
                format!("the component of module {name}, {component}, is refused: {error}"),
            )
            .with_help(error.remedy(bundle.is_configured));
            match (error, &bundle.places.component) {
                (
                    LoadError::Digest {
                        pin: Pin::Operator(_),
                        ..
                    },
                    Some(authors),
                ) => problem.with_also(authors.clone(), "its manifest says the same"),
                _ => problem,
            }
        }
    }
}

fn spec<C: ChainRpc>(bundle: &Bundle, chain: C, loader: &Loader<'_>) -> ModuleSpec {
    let chain: Arc<dyn ChainRpc> = match bundle.ceilings.rpc_rate {
        Some(rate) => Arc::new(Limited::new(chain, rate)),
        None => Arc::new(chain),
    };
    let mut identity = identities::of_module(loader.accounts, bundle);
    if let Some(sender) = loader.sender {
        identity = identity.sending(sender.clone(), Arc::clone(&chain));
    }
    let (manifest, ceilings) = (&bundle.manifest, &bundle.ceilings);
    let http = loader.egress.of(Grants {
        module: manifest.name.clone(),
        allow: manifest.http_allow.clone(),
        policy_allow: ceilings.http_allow.clone(),
        policy_deny: ceilings.http_deny.clone().unwrap_or_default(),
        rate: ceilings.http_rate(),
    });
    ModuleSpec {
        name: manifest.name.clone(),
        pin: bundle.pin,
        pin_required: loader.pin_required,
        capabilities: manifest.capabilities.clone(),
        chains: manifest.chains.clone(),
        absent_chains: manifest.absent_chains.clone(),
        resources: manifest.resources,
        log_rate: LogRate {
            per_second: bundle.log_rate.per_second,
            burst: bundle.log_rate.burst,
        },
        chain,
        http: Arc::new(http),
        identity: Arc::new(identity),
    }
}

/// The servers outside of a check, which instantiates nothing and so asks nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoServers;

impl HttpFetch for NoServers {
    fn fetch(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpFailure>> {
        let message = "no server is reached by a check";
        let error = HostError::new("http", HostErrorKind::Unavailable, message);
        Box::pin(async {
            Err(HttpFailure {
                error,
                denied: None,
                was_sent: false,
            })
        })
    }
}

/// The chains of a check, which instantiates nothing and so asks nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoChains;

impl NoChains {
    fn error() -> HostError {
        HostError::new(
            "chain",
            HostErrorKind::Unavailable,
            "no chain is reached by a check",
        )
    }
}

impl ChainRpc for NoChains {
    fn request<'a>(&'a self, _: ChainId, _: &'a RpcRequest) -> BoxFuture<'a, RpcResult> {
        Box::pin(async { Err(Self::error()) })
    }

    fn request_batch<'a>(
        &'a self,
        _: ChainId,
        _: &'a [RpcRequest],
    ) -> BoxFuture<'a, Result<Vec<RpcResult>, HostError>> {
        Box::pin(async { Err(Self::error()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_leaves_an_error() {
        let answer = on_a_thread(|| 1).unwrap().await;
        assert_eq!(answer, Ok(1));
        let answer = on_a_thread(|| -> i32 { panic!("as a compiler might") });
        assert!(answer.unwrap().await.is_err());
    }
}
