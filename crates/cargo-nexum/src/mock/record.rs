//! A fixture from real blocks: the module runs in the real engine on the last blocks of a live
//! chain, and what it met there is written down.
//!
//! What is written are the logs that the module was given, and for each request of it that a
//! fixture can answer the answer of the node, asked again. Numbers, hashes and times of blocks are
//! those of the mock chain when the fixture is played. The endpoint's URL is written nowhere.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nexum_engine::{Called, Engine, Observer, Options, Phase};
use nexum_host::{Asked, Did, Host, SystemClock};
use nexum_manifest::{Setup, Subscription};
use nexum_store::{StateDir, Step, StoreOptions};
use nexum_testkit::{RpcCallError, U256, rpc};
use nexum_types::{
    B256, BlockNumber, BlockRef, ChainId, Cursor, Depth, Event, Log, RpcRequest, Source,
};
use serde_json::{Value, json};

use super::{interrupted, stage, tell};
use crate::{
    build::{self, Built},
    cli::RunArgs,
    exit::{Code, Failure},
    output,
    project::Project,
};

/// How often the engine is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Records `file` from the endpoint at `url`.
pub(super) async fn record(
    project: &Project,
    args: &RunArgs,
    file: &Path,
    url: &str,
) -> Result<(), Failure> {
    tokio::select! {
        biased;
        interrupted = interrupted() => Err(interrupted),
        done = written(project, args, file, url) => done,
    }
}

async fn written(project: &Project, args: &RunArgs, file: &Path, url: &str) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::told(
            Code::Usage,
            format!("{} exists already", file.display()),
            "name another file, or remove it; nothing was written",
        ));
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        return Err(Failure::told(
            Code::Usage,
            format!("there is no folder {}", folder.display()),
            "make it, or name a file of another folder",
        ));
    }
    let project = project.clone();
    let built = tokio::task::spawn_blocking(move || build::bundle(&project))
        .await
        .map_err(|error| Failure::other("the build", error))??;
    let live = Live::ask(url, &built, args.blocks).await?;
    let tape = Arc::new(Tape::default());
    run(&built, &live, &tape, args.timeout).await?;
    let text = live.fixture(&built, &tape).await?;
    fs::write(file, &text)
        .map_err(|error| Failure::other(&format!("writing {}", file.display()), error))?;
    output::print(&format!(
        "{}: blocks {} to {} of chain {}; play it with `cargo nexum run --mock {}`\n",
        file.display(),
        live.after.number.0 + 1,
        live.head,
        live.chain,
        file.display()
    ))
}

/// The part of a live chain that is recorded.
#[derive(Debug)]
struct Live<'a> {
    url: &'a str,
    chain: u64,
    /// The block before the first one.
    after: BlockRef,
    /// The number of the last one.
    head: u64,
}

/// What the module has met, by block; what its `init` asked stands under [`INIT`].
#[derive(Debug, Default)]
struct Tape(Mutex<BTreeMap<u64, Met>>);

/// The number of no block that is recorded: the genesis block is not.
const INIT: u64 = 0;

/// What the module has met at one block.
#[derive(Debug, Default)]
struct Met {
    /// The logs that it was given, by their index.
    logs: BTreeMap<u32, Log>,
    /// What it asked, in order.
    asked: Vec<RpcRequest>,
    /// Events that it handled.
    events: u64,
    failed: u64,
}

impl Observer for Tape {
    fn called(&self, call: Called) {
        // Where nobody can be shown it any more, the recording goes on.
        let _ = output::print(&tell::call(&call));
        let number = match &call.event {
            None => INIT,
            Some(event) => match event.block_ref() {
                Some(block) => block.number.0,
                None => return,
            },
        };
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let met = blocks.entry(number).or_default();
        if let Some(Event::Logs(logs)) = &call.event {
            met.logs
                .extend(logs.iter().map(|log| (log.log_index, log.clone())));
        }
        for did in &call.did {
            if let Did::Asked(call) = did
                && let Asked::Requests(_, requests) = &call.asked
            {
                met.asked.extend(requests.iter().cloned());
            }
        }
        match call.ended {
            Ok(()) => met.events += u64::from(call.event.is_some()),
            Err(_) => met.failed += 1,
        }
    }
}

impl<'a> Live<'a> {
    /// The last `blocks` blocks of the chain behind `url`.
    async fn ask(url: &'a str, built: &Built, blocks: u64) -> Result<Self, Failure> {
        let chain = quantity(&ask(url, "eth_chainId", json!([])).await?)?;
        let manifest = &built.manifest;
        let others = built.required_chains.iter().filter(|one| one.0 != chain);
        let others: Vec<_> = others.map(ToString::to_string).collect();
        if !manifest.chains.contains(&ChainId(chain)) || !others.is_empty() {
            return Err(Failure::told(
                Code::Refused,
                format!(
                    "the endpoint is of chain {chain}, and the module needs {}",
                    match others.as_slice() {
                        [] => "another".to_owned(),
                        others => format!("chain {} as well", others.join(", ")),
                    }
                ),
                "one chain is recorded at a time, for a module that needs no other",
            ));
        }
        let head = quantity(&ask(url, "eth_blockNumber", json!([])).await?)?;
        let number = head.saturating_sub(blocks);
        let block = ask(
            url,
            "eth_getBlockByNumber",
            json!([format!("{number:#x}"), false]),
        )
        .await?;
        let hash: B256 = serde_json::from_value(block["hash"].clone())
            .map_err(|error| Failure::other("the endpoint's answer", error))?;
        Ok(Self {
            url,
            chain,
            after: BlockRef {
                number: BlockNumber(number),
                hash,
            },
            head,
        })
    }

    /// The fixture's text.
    async fn fixture(&self, built: &Built, tape: &Tape) -> Result<String, Failure> {
        let blocks = std::mem::take(&mut *tape.0.lock().unwrap_or_else(PoisonError::into_inner));
        let (first, last) = (self.after.number.0 + 1, self.head);
        let mut text = format!(
            "# {} on the blocks {first} to {last} of chain {}, as they were.\n\
             # Numbers, hashes and times are those of the mock chain.\nchain {}\n",
            built.manifest.name, self.chain, self.chain
        );
        let (mut known, mut events, mut failed, mut quiet) = (BTreeMap::new(), 0, 0, 0);
        if let Some(met) = blocks.get(&INIT) {
            failed += met.failed;
            let mut lines = String::new();
            for request in &met.asked {
                self.answer(request, &mut known, &mut lines).await?;
            }
            if !lines.is_empty() {
                // There from genesis on: `init` is called before the first block.
                let _ = write!(text, "\n# init\n{lines}\n");
            }
        }
        // Writing to a String cannot fail.
        for number in first..=last {
            let mut lines = String::new();
            if let Some(met) = blocks.get(&number) {
                (events, failed) = (events + met.events, failed + met.failed);
                for request in &met.asked {
                    self.answer(request, &mut known, &mut lines).await?;
                }
                for log in met.logs.values() {
                    let _ = writeln!(lines, "{}", log_line(log));
                }
            }
            if lines.is_empty() {
                quiet += 1;
                continue;
            }
            if quiet > 0 {
                let _ = writeln!(text, "mine {quiet}");
                quiet = 0;
            }
            let _ = write!(text, "\n# block {number}\n{lines}mine\n");
        }
        if quiet > 0 {
            let _ = writeln!(text, "mine {quiet}");
        }
        // Another number, or blocks on top, would make other events of it.
        let is_plain = |one: &Subscription| match one {
            Subscription::Block(block) => block.every.get() == 1 && block.depth == Depth::Head,
            Subscription::Log(log) => log.depth == Depth::Head,
            // What is due meanwhile is not in the chain.
            Subscription::Cron(_) => false,
        };
        if failed == 0 && built.manifest.subscriptions.iter().all(is_plain) {
            let _ = write!(text, "\nexpect {{\n  events {events}\n}}\n");
        }
        Ok(text)
    }

    /// The line that has a fixture answer the same, unless it does already.
    async fn answer(
        &self,
        request: &RpcRequest,
        known: &mut BTreeMap<String, String>,
        lines: &mut String,
    ) -> Result<(), Failure> {
        let params: Value = serde_json::from_str(&request.params).unwrap_or_default();
        let asked = match request.method.as_str() {
            "eth_call" => {
                let to = params[0]["to"].as_str().unwrap_or_default();
                let input = params[0]["input"].as_str().or(params[0]["data"].as_str());
                format!("call {to} {}", input.unwrap_or("0x"))
            }
            "eth_getBalance" => format!("balance {}", params[0].as_str().unwrap_or_default()),
            // The mock chain answers these by itself.
            "eth_chainId"
            | "eth_blockNumber"
            | "eth_getBlockByNumber"
            | "eth_getBlockByHash"
            | "eth_getLogs"
            | "net_version"
            | "eth_syncing"
            | "eth_gasPrice" => return Ok(()),
            other => format!("# {other} {}", request.params),
        };
        let answer = if asked.starts_with('#') {
            ": no fixture answers this".to_owned()
        } else {
            match rpc(self.url, &request.method, params).await {
                Ok(Value::String(result)) if asked.starts_with("balance") => {
                    let wei: Option<U256> = result.parse().ok();
                    format!(" = {} wei", wei.unwrap_or_default())
                }
                Ok(Value::String(result)) => format!(" = {result}"),
                Err(RpcCallError::Node { error, .. }) => match error["data"].as_str() {
                    Some(data) if asked.starts_with("call") => format!(" reverts {data}"),
                    _ if asked.starts_with("call") => " reverts".to_owned(),
                    _ => return Ok(()),
                },
                Ok(_) => return Ok(()),
                Err(error) => return Err(Failure::other("asking the endpoint again", error)),
            }
        };
        if known.get(&asked) != Some(&answer) {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{asked}{answer}");
            known.insert(asked, answer);
        }
        Ok(())
    }
}

/// Runs the module on the blocks, in the real engine.
async fn run(
    built: &Built,
    live: &Live<'_>,
    tape: &Arc<Tape>,
    timeout: Duration,
) -> Result<(), Failure> {
    let folder = tempfile::Builder::new()
        .prefix("nexum-")
        .tempdir()
        .map_err(|error| Failure::other("making a folder for the run", error))?;
    let file = folder.path().join("nexum-engine.toml");
    let text = |text: &str| toml::Value::String(text.to_owned());
    let engine_file = format!(
        "[engine]\nstate_dir = \"state\"\n[observability]\nmetrics = \"off\"\nhealth = \"off\"\n\
         [chains.{chain}]\n[[chains.{chain}.endpoints]]\nurl = {}\n[[modules]]\npath = {}\n",
        text(live.url),
        text(&built.bundle.display().to_string()),
        chain = live.chain,
    );
    fs::write(&file, engine_file)
        .map_err(|error| Failure::other("writing the engine's file", error))?;
    let setup = Setup::load(&file)?;
    let sources = begin_at(&folder.path().join("state"), built, live)
        .map_err(|error| Failure::other("the state", error))?;
    let host = Host::new(Arc::new(SystemClock::new()))
        .map_err(|error| Failure::other("the wasm engine", error))?;
    let options = Options {
        observer: Some(Arc::clone(tape) as _),
        ..Options::default()
    };
    let engine = Engine::start_with(&Arc::new(host), setup, options).await?;
    let done = until_head(&engine, &sources, live.head, timeout).await;
    engine.stop().await;
    done
}

/// Waits until the module has come to the last block that is recorded.
async fn until_head(
    engine: &Engine,
    sources: &[Source],
    head: u64,
    timeout: Duration,
) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        for status in engine.status() {
            let rests = |source: &Source| {
                let rest = status.rests.get(source);
                rest.is_some_and(|rest| rest.head.number.0 >= head)
            };
            if status.phase == Phase::Run && sources.iter().all(rests) {
                return Ok(());
            }
            if status.phase == Phase::Dead {
                let error = status.last_error.unwrap_or_default();
                return Err(Failure::other("the module is dead", error));
            }
        }
        if began.elapsed() > timeout {
            return Err(Failure::told(
                Code::Failure,
                "the module has not come to the head of the chain in time",
                "record fewer blocks with --blocks, or give it more time with --timeout",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Puts the module behind the block before the first one; answers where its events come from.
fn begin_at(
    state_dir: &Path,
    built: &Built,
    live: &Live<'_>,
) -> Result<Vec<Source>, nexum_store::StoreError> {
    let mut sources = stage::sources(&built.manifest);
    sources.retain(|source| source.chain().is_some_and(|chain| chain.0 == live.chain));
    let dir = StateDir::open(state_dir)?;
    let store = dir.open_module(&built.manifest.name, StoreOptions::default())?;
    for source in &sources {
        let step = Step::from((*source, Cursor::Block(live.after)));
        store.commit(&nexum_types::WriteSet::default(), Some(step))?;
    }
    store.flush()?;
    Ok(sources.into_iter().collect())
}

async fn ask(url: &str, method: &str, params: Value) -> Result<Value, Failure> {
    let answer = rpc(url, method, params).await;
    answer.map_err(|error| Failure::other("the endpoint", error))
}

fn quantity(value: &Value) -> Result<u64, Failure> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Failure::other("the endpoint's answer", format!("{value} is no quantity")))
}

/// The log as a fixture emits it, in its own bytes.
fn log_line(log: &Log) -> String {
    let topics: String = log.topics.iter().map(|topic| format!(" {topic}")).collect();
    let data = if log.data.is_empty() {
        String::new()
    } else {
        format!(" data {}", log.data)
    };
    format!("log {:#x} anonymous{topics}{data}", log.address)
}
