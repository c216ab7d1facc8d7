//! `nexum module list`, `load`, `unload`, `restart` and `upgrade`, and `nexum health`.

use std::{fmt::Write as _, path::Path, sync::Arc};

use nexum_engine::{
    Remembered,
    wire::{self, ChainReport, EngineReport, ModuleReport},
};
use nexum_store::{StateDir, StoreError};
use nexum_types::ModuleName;

use crate::{
    cli::{AskArgs, LoadArgs, NameArgs, UpgradeArgs, Where},
    exit::{Code, Failure},
    inspect::instant,
    output, place,
    table::table,
};

pub(crate) async fn list(args: &AskArgs) -> Result<(), Failure> {
    let modules: Vec<ModuleReport> = place::running(&args.at).await?.get("/v1/modules").await?;
    show(&args.at, &modules, || as_table(&modules))
}

pub(crate) async fn load(args: &LoadArgs) -> Result<(), Failure> {
    let client = place::running(&args.at).await?;
    let load = wire::Load {
        path: absolute(&args.bundle)?,
        name: args.name.as_ref().map(ToString::to_string),
        config: config(&args.set)?,
        digest: args.digest.map(|digest| format!("sha256:{digest}")),
    };
    let module: ModuleReport = client.post("/v1/modules", &load).await?;
    show(&args.at, &module, || {
        format!("module {} {} is loaded\n", module.name, module.version)
    })
}

pub(crate) async fn unload(args: &NameArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&args.at).await?;
    let name = &args.module;
    let Some(client) = client else {
        return forget(&args.at, &dir, name);
    };
    let unloaded: wire::Unload = client.delete(&route(name, ""), None::<&()>).await?;
    show(&args.at, &unloaded, || {
        let mut text = format!("module {name} is unloaded; its state stays\n");
        if unloaded.cut_off {
            text += "its call in flight did not end in time: its event is delivered again\n";
        }
        if unloaded.comes_back {
            text += "it is in the engine's file, and runs again after the next start\n";
        }
        text
    })
}

/// Without an engine: what was loaded at run time is not loaded again. An engine that starts or
/// ends has no socket either, so the state directory is locked.
fn forget(at: &Where, dir: &Path, name: &ModuleName) -> Result<(), Failure> {
    let held = StateDir::open_existing(dir)?;
    let held = held.ok_or_else(|| StoreError::MissingStateDir { path: dir.into() })?;
    let remembered = Remembered::of(&Arc::new(held));
    let failed = |error| Failure::other("what was loaded could not be changed", error);
    if !remembered.forget(name).map_err(failed)? {
        let names = remembered.names().map_err(failed)?;
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let help = match names.as_slice() {
            [] => {
                "none was; one in the engine's file is left out with `enabled = false`".to_owned()
            }
            names => format!("these were: {}", names.join(", ")),
        };
        let what = format!("no engine runs, and no module {name} was loaded at run time");
        return Err(Failure::unfit_state(&what, &help));
    }
    let unloaded = wire::Unload {
        comes_back: false,
        cut_off: false,
    };
    show(at, &unloaded, || {
        format!("module {name} is forgotten; its state stays\n")
    })
}

pub(crate) async fn restart(args: &NameArgs) -> Result<(), Failure> {
    let client = place::running(&args.at).await?;
    let done: wire::Done = client
        .post(&route(&args.module, "/restart"), &wire::Done {})
        .await?;
    show(&args.at, &done, || {
        format!("module {} gets a fresh instance\n", args.module)
    })
}

pub(crate) async fn upgrade(args: &UpgradeArgs) -> Result<(), Failure> {
    let client = place::running(&args.at).await?;
    let upgrade = wire::Upgrade {
        path: args.bundle.as_deref().map(absolute).transpose()?,
        accept: args.accept.clone(),
        digest: args.digest.map(|digest| format!("sha256:{digest}")),
    };
    let module: ModuleReport = client
        .post(&route(&args.module, "/upgrade"), &upgrade)
        .await?;
    show(&args.at, &module, || {
        format!("module {} runs version {}\n", module.name, module.version)
    })
}

pub(crate) async fn health(args: &AskArgs) -> Result<(), Failure> {
    let report: EngineReport = place::running(&args.at).await?.get("/v1/engine").await?;
    show(&args.at, &report, || as_health(&report))?;
    let is_ill = |module: &ModuleReport| module.phase == "dead" || module.stalled.is_some();
    if report.modules.iter().any(is_ill) {
        return Err(Failure::AlreadyTold(Code::Failure));
    }
    Ok(())
}

/// The route of a module.
pub(crate) fn route(name: &ModuleName, rest: &str) -> String {
    format!("/v1/modules/{name}{rest}")
}

/// Prints a result in the form that was asked for.
pub(crate) fn show(
    at: &Where,
    object: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if at.json {
        output::print_json(object)
    } else {
        output::print(&text())
    }
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let what = format!("the path {}", path.display());
    let absolute = std::path::absolute(path).map_err(|error| Failure::other(&what, error))?;
    let text = absolute.into_os_string().into_string();
    text.map_err(|_| Failure::other(&what, "it is not UTF-8"))
}

/// The values of `--set`, each a line of TOML.
fn config(set: &[String]) -> Result<toml::Table, Failure> {
    let text = set.join("\n");
    text.parse().map_err(|error: toml::de::Error| {
        let help = "write each as in TOML: --set threshold=2500 --set 'name=\"x\"'";
        Failure::usage(&format!("--set: {}", error.message()), help)
    })
}

fn as_table(modules: &[ModuleReport]) -> String {
    if modules.is_empty() {
        return "no module runs\n".to_owned();
    }
    let rows: Vec<_> = modules.iter().map(row).collect();
    let head = [
        "MODULE",
        "VERSION",
        "PHASE",
        "EVENTS",
        "FAILED",
        "LETTERS",
        "STATE",
        "AT",
        "LAST ERROR",
    ];
    table(&head, &rows)
}

fn row(module: &ModuleReport) -> Vec<String> {
    let at = module.cursors.iter();
    let at: Vec<_> = at
        .map(|cursor| {
            let (chain, block) = (cursor.chain_id.zip(cursor.block), cursor.fired_at_ms);
            match (chain, cursor.depth.as_deref(), block) {
                (Some((chain, block)), None | Some("head"), _) => format!("{chain}:{block}"),
                (Some((chain, block)), Some(depth), _) => format!("{chain}:{block} ({depth})"),
                (None, _, at_ms) => at_ms.map_or_else(String::new, instant),
            }
        })
        .collect();
    let error = module.stalled.as_ref().or(module.last_error.as_ref());
    let error = error.map_or("-", |error| error.lines().next().unwrap_or("-"));
    vec![
        module.name.clone(),
        module.version.clone(),
        module.phase.clone(),
        module.delivered.to_string(),
        module.failed.to_string(),
        module.dead_letters.to_string(),
        module.state_bytes.map_or("-".to_owned(), bytes),
        if at.is_empty() {
            "-".to_owned()
        } else {
            at.join(" ")
        },
        shortened(error),
    ]
}

/// At most 60 characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A size for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}

fn as_health(report: &EngineReport) -> String {
    let mut text = String::new();
    let up = std::time::Duration::from_secs(report.uptime_ms / 1000);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "engine {} (process {}), up {up:?}",
        report.version, report.pid
    );
    for ChainReport {
        chain_id,
        head,
        endpoints,
    } in &report.chains
    {
        let head = head.map_or("none yet".to_owned(), |head| head.to_string());
        let _ = writeln!(text, "chain {chain_id}: head {head}");
        for endpoint in endpoints {
            let _ = writeln!(
                text,
                "  {} is {}, {} requests, {} errors",
                endpoint.endpoint, endpoint.state, endpoint.requests, endpoint.errors
            );
        }
    }
    text + &as_table(&report.modules)
}
