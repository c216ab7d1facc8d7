//! `cargo xtask demo`: the real engine and a real module, following a chain for a short while.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Failure,
    process::{Running, cargo, execute, root, target_dir},
    tools,
};

/// How long the demo shows blocks before it sums up.
const SHOWN: Duration = Duration::from_secs(12);
/// How long the chain may take to listen.
const START: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep on until Ctrl-C.
    #[arg(long)]
    forever: bool,
    /// Follow anvil, a real node, instead of the scripted chain. Needs anvil, or npm to fetch it.
    #[arg(long)]
    anvil: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    tools::ensure_guest_target()?;
    let anvil = if args.anvil {
        Some(tools::ensure_anvil()?)
    } else {
        None
    };
    build()?;
    let folder = target_dir().join("demo");
    write_bundle(&folder.join("balance-watch"))?;

    let mut chain = start_chain(anvil)?;
    let lines = read_lines(&mut chain)?;
    let [http, ws] = [address(&lines, "http ")?, address(&lines, "ws ")?];
    let config = folder.join("nexum-engine.toml");
    write_config(&config, &[&ws, &http])?;
    println!("\nA chain at {http}, the engine on {}:\n", config.display());

    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))
        .map_err(|error| format!("Ctrl-C cannot be caught: {error}"))?;
    let mut engine = Running::start("nexum", nexum().arg("run").arg("--config").arg(&config))?;
    let mut told = 0_u64;
    let mut show = |line: String| {
        told += 1;
        println!("chain  {line}");
    };
    let end = Instant::now() + SHOWN;
    while !stop.load(Ordering::Relaxed) && (args.forever || Instant::now() < end) {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => show(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err("the chain ended early".into()),
        }
        if !engine.is_running() {
            // It has said itself why.
            break;
        }
    }
    engine.interrupt()?;
    drop(chain);
    lines.iter().for_each(show);
    sum_up(&config, told)
}

fn build() -> Result<(), Failure> {
    execute(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    execute(
        cargo()
            .args([
                "build",
                "--release",
                "--locked",
                "--package",
                "balance-watch",
            ])
            .args(["--target", tools::GUEST_TARGET])
            .current_dir(root().join("modules"))
            .env("CARGO_TARGET_DIR", target_dir().join("guests")),
    )
}

/// Puts the module's bundle together, and leaves nothing of an earlier demo.
fn write_bundle(bundle: &Path) -> Result<(), Failure> {
    let component = target_dir()
        .join("guests")
        .join(tools::GUEST_TARGET)
        .join("release/balance_watch.wasm");
    let manifest = root().join("modules/balance-watch/nexum.toml");
    let written = (|| {
        if let Some(folder) = bundle.parent().filter(|folder| folder.exists()) {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(bundle)?;
        fs::copy(manifest, bundle.join("nexum.toml"))?;
        fs::copy(component, bundle.join("module.wasm"))
    })();
    written
        .map(drop)
        .map_err(|error| format!("{} cannot be written: {error}", bundle.display()))
}

fn write_config(config: &Path, urls: &[&str]) -> Result<(), Failure> {
    let mut text = String::from(
        "[engine]\nstate_dir = \"state\"\n\n\
         [observability]\nmetrics = \"127.0.0.1:0\"\nhealth = \"127.0.0.1:0\"\n\n[chains.31337]\npoll_interval = \"200ms\"\n",
    );
    for (priority, url) in urls.iter().enumerate() {
        text += &format!("\n[[chains.31337.endpoints]]\nurl = \"{url}\"\npriority = {priority}\n");
    }
    text += "\n[[modules]]\npath = \"balance-watch\"\n";
    fs::write(config, text)
        .map_err(|error| format!("{} cannot be written: {error}", config.display()))
}

fn start_chain(anvil: Option<PathBuf>) -> Result<Running, Failure> {
    let mut command = Command::new(target_dir().join("debug/demo-chain"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    if let Some(anvil) = anvil {
        command.arg("--anvil").env("NEXUM_ANVIL", anvil);
    }
    Running::start("the chain", &mut command)
}

fn nexum() -> Command {
    let mut command = Command::new(target_dir().join("debug/nexum"));
    command.stdin(Stdio::null());
    command
}

/// The lines that the chain prints, as they come.
fn read_lines(chain: &mut Running) -> Result<mpsc::Receiver<String>, Failure> {
    let output = chain
        .child()
        .stdout
        .take()
        .ok_or("the chain has no output")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(lines)
}

fn address(lines: &mpsc::Receiver<String>, prefix: &str) -> Result<String, Failure> {
    let line = lines
        .recv_timeout(START)
        .map_err(|_| "the chain did not start to listen")?;
    let address = line.strip_prefix(prefix);
    address
        .map(str::to_owned)
        .ok_or_else(|| format!("the chain said {line:?}"))
}

/// Reads back what the engine has stored, as an operator would.
fn sum_up(config: &Path, told: u64) -> Result<(), Failure> {
    let output = nexum()
        .args(["state", "inspect", "balance-watch", "--json", "--config"])
        .arg(config)
        .output()
        .map_err(|error| format!("nexum could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "nexum state inspect failed: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let state: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("nexum state inspect printed no JSON: {error}"))?;
    let shown = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    println!(
        "\nThe chain told {told} heads. What is stored, read back from {}:",
        shown(&state["file"])
    );
    for cursor in state["cursors"].as_array().into_iter().flatten() {
        println!(
            "  cursor   chain {} at block {} {}",
            cursor["chain_id"],
            cursor["block"],
            shown(&cursor["hash"])
        );
    }
    for entry in state["entries"].as_array().into_iter().flatten() {
        println!(
            "  {} = {}",
            entry["key"].as_str().unwrap_or_default(),
            text(&entry["value"])
        );
    }
    println!(
        "\nLook for yourself: {} state inspect balance-watch --config {}",
        nexum().get_program().display(),
        config.display()
    );
    Ok(())
}

/// The text behind the hex of a value, which is what balance-watch stores.
fn text(value: &Value) -> String {
    let digits = value
        .as_str()
        .and_then(|hex| hex.strip_prefix("0x"))
        .unwrap_or_default();
    let bytes = (0..digits.len())
        .step_by(2)
        .filter_map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    bytes.map(char::from).collect()
}
