//! `nexum run`.

use std::{process, sync::Arc, thread};

use nexum_engine::{CodeOrigins, Engine, LogBook, Options, StartError, Stopped};
use nexum_host::{Host, SystemClock};
use nexum_identity::Password;
use nexum_manifest::Setup;
use nexum_types::ModuleName;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::{
    cli::ConfigFile,
    exit::{Code, Failure},
    logging, output, prompt,
};

/// How an engine that was not refused came to its end.
enum Ended {
    /// A signal came before any module ran.
    BeforeRunning,
    /// A signal came, and the engine has stopped.
    Stopped,
}

pub(crate) fn run(config: &ConfigFile) -> Result<(), Failure> {
    let setup = Setup::load(&config.path).map_err(Failure::Refused)?;
    let (log, book) = logging::init(&setup.engine.config().log)?;
    // Before signals are anything but the terminal's: whoever is asked can leave by Ctrl-C.
    let password = asked_for_password(&setup)?;
    let stop_asked = stop_signal()?;
    let runtime = crate::runtime()?;
    let ended = runtime.block_on(serve(setup, book, password, stop_asked));
    match ended {
        // What a module's call still does is cut off here; its commit, once begun, is waited for.
        Ok(Ended::Stopped) => drop(runtime),
        // What still compiles is of no use to anyone.
        Ok(Ended::BeforeRunning) | Err(_) => runtime.shutdown_background(),
    }
    drop(log);
    ended.map(drop)
}

async fn serve(
    setup: Setup,
    log: Arc<LogBook>,
    password: Option<Password>,
    mut stop_asked: oneshot::Receiver<&'static str>,
) -> Result<Ended, Failure> {
    let config = setup.engine.config();
    let grace = config.shutdown_grace;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        state_dir = %config.state_dir.display(),
        modules = setup.bundles.len(),
        "engine is starting"
    );
    if setup.bundles.is_empty() {
        tracing::warn!("there is no module to run: add a [[modules]] to the engine's file");
    }
    // Without it, the signal would end the process.
    let mut reload_asked = signal(SignalKind::hangup())
        .map_err(|error| Failure::other("signals cannot be received", error))?;
    let engine = tokio::select! {
        started = start(setup, log, password) => started?,
        signal = &mut stop_asked => {
            tracing::info!(signal = named(signal), "stopped before any module ran");
            return Ok(Ended::BeforeRunning);
        }
    };
    let CodeOrigins {
        compiled,
        kept,
        shared,
    } = engine.code_origins();
    tracing::info!(compiled, kept, shared, "engine is running");
    let signal = loop {
        tokio::select! {
            signal = &mut stop_asked => break named(signal),
            Some(()) = reload_asked.recv() => reload(&engine).await,
        }
    };
    tracing::info!(signal, ?grace, "stopping: calls in flight may finish");
    let Stopped {
        modules,
        cut_off,
        unsaved,
    } = engine.stop().await;
    for module in &cut_off {
        tracing::warn!(%module, "its call did not end in time and is delivered again at the next start");
    }
    for module in modules {
        tracing::info!(module = %module.name, delivered = module.delivered, failed = module.failed, "module has stopped");
    }
    if !unsaved.is_empty() {
        let told = |(module, why): &(ModuleName, String)| format!("{module}: {why}");
        let unsaved: Vec<_> = unsaved.iter().map(told).collect();
        return Err(Failure::unsaved(&unsaved));
    }
    tracing::info!("engine has stopped");
    Ok(Ended::Stopped)
}

/// What was asked for by a signal has nobody to answer to but the log.
async fn reload(engine: &Engine) {
    if let Err(error) = engine.operator().reload_credentials().await {
        tracing::error!(
            %error,
            "SIGHUP: the credentials for servers outside stay as they were: `nexum config check` says more"
        );
    }
}

/// The password of the keystores, where the file names none and somebody is there to be asked.
fn asked_for_password(setup: &Setup) -> Result<Option<Password>, Failure> {
    let identity = &setup.engine.config().identity;
    let is_wanted = !identity.modules.is_empty();
    match &identity.keystore {
        Some(keystore) if is_wanted && keystore.password.is_none() => {
            prompt::password("Password of the keystores: ")
        }
        _ => Ok(None),
    }
}

async fn start(
    setup: Setup,
    log: Arc<LogBook>,
    password: Option<Password>,
) -> Result<Engine, StartError> {
    let host = Host::new(Arc::new(SystemClock::new())).map_err(StartError::Host)?;
    let options = Options {
        log,
        password,
        ..Options::default()
    };
    Engine::start_with(&Arc::new(host), setup, options).await
}

/// The listener ends only with the process, so that there is always a signal.
fn named(signal: Result<&'static str, oneshot::error::RecvError>) -> &'static str {
    signal.unwrap_or("none")
}

/// Answers the first SIGINT or SIGTERM. The second ends the process, whatever the rest of it is
/// busy with: it is listened for on a thread that does nothing else.
fn stop_signal() -> Result<oneshot::Receiver<&'static str>, Failure> {
    let failed = |error| Failure::other("signals cannot be received", error);
    let listening = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let mut signals = {
        let _context = listening.enter();
        Signals::listen().map_err(failed)?
    };
    let (asked, stop_asked) = oneshot::channel();
    let listen = async move {
        // The engine is past the point where it can be stopped in order.
        let _ = asked.send(signals.next().await);
        let signal = signals.next().await;
        output::complain(&format!(
            "{signal}: exiting at once; what was not committed is delivered again"
        ));
        process::exit(Code::Interrupted.number().into());
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || listening.block_on(listen))
        .map_err(failed)?;
    Ok(stop_asked)
}

/// The signals that ask the engine to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
