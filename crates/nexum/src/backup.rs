//! `nexum state backup`, `restore` and `purge`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use http_body_util::BodyExt as _;
use nexum_engine::wire;
use nexum_store::{StateDir, StoreOptions};
use nexum_types::ModuleName;
use serde::Serialize;

use crate::{
    cli::{BackupArgs, PurgeArgs, RestoreArgs},
    client::Client,
    exit::{Code, Failure},
    modules::{route, show},
    place,
};

/// What `--json` prints of a copy.
#[derive(Debug, Serialize)]
struct Copied<'a> {
    module: &'a str,
    file: String,
    bytes: u64,
}

/// What `--json` prints of a removal.
#[derive(Debug, Serialize)]
struct Purged<'a> {
    module: &'a str,
    done: bool,
}

pub(crate) async fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&args.at).await?;
    let to = &args.to;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| about("make", to, error))?;
    let copied = match client {
        Some(client) => online(&client, &args.module, file, to).await,
        None => offline(&dir, &args.module, file, to),
    };
    // Half a copy would look like one.
    let bytes = copied.inspect_err(|_| drop(std::fs::remove_file(to)))?;
    let report = Copied {
        module: args.module.as_str(),
        file: to.display().to_string(),
        bytes,
    };
    show(&args.at, &report, || {
        format!(
            "the state of module {} is in {}, {bytes} bytes\n",
            args.module,
            to.display()
        )
    })
}

async fn online(
    client: &Client,
    name: &ModuleName,
    mut file: File,
    to: &Path,
) -> Result<u64, Failure> {
    let mut answer = client.stream(&route(name, "/backup")).await?;
    let length = answer.headers().get(hyper::header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let mut bytes = 0;
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| client.broken(error))?;
        if let Some(data) = frame.data_ref() {
            file.write_all(data)
                .map_err(|error| about("write", to, error))?;
            bytes += data.len() as u64;
        }
    }
    if length != Some(bytes) {
        return Err(client.broken("the copy is not whole"));
    }
    file.sync_all().map_err(|error| about("write", to, error))?;
    Ok(bytes)
}

fn offline(dir: &Path, name: &ModuleName, mut file: File, to: &Path) -> Result<u64, Failure> {
    // Looking changes nothing, and refuses a module without a state instead of beginning one.
    drop(nexum_store::inspect(dir, name).map_err(|error| place::failure(error, dir))?);
    let dir = StateDir::open(dir)?;
    let store = dir.open_module(name, StoreOptions::default())?;
    let mut copy = dir.copy(&store, name)?;
    let bytes = io::copy(&mut copy, &mut file).map_err(|error| about("write", to, error))?;
    file.sync_all().map_err(|error| about("write", to, error))?;
    Ok(bytes)
}

pub(crate) async fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&args.at).await?;
    let name = &args.module;
    if client.is_some() {
        let what = format!("an engine runs on the state directory {}", dir.display());
        return Err(Failure::unfit_state(
            &what,
            "stop it, restore, and start it again",
        ));
    }
    let state_dir = StateDir::open(&dir)?;
    let bytes = state_dir.restore(name, &args.from, args.yes)?;
    let report = Copied {
        module: name.as_str(),
        file: args.from.display().to_string(),
        bytes,
    };
    show(&args.at, &report, || {
        format!("module {name} has the state of {}\n", args.from.display())
    })
}

pub(crate) async fn purge(args: &PurgeArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&args.at).await?;
    let name = &args.module;
    if args.yes {
        match client {
            Some(client) => {
                let confirm = wire::Purge {
                    confirm: name.to_string(),
                };
                let wire::Done {} = client
                    .delete(&route(name, "/state"), Some(&confirm))
                    .await?;
            }
            None => {
                drop(
                    nexum_store::inspect(&dir, name)
                        .map_err(|error| place::failure(error, &dir))?,
                );
                StateDir::open(&dir)?.remove_module(name)?;
            }
        }
    }
    let report = Purged {
        module: name.as_str(),
        done: args.yes,
    };
    show(&args.at, &report, || {
        if args.yes {
            format!("the state of module {name} is removed\n")
        } else {
            format!(
                "With --yes, the state of module {name} is removed for good: its entries, its cursors and its dead letters.\nNothing has been changed: run it again with --yes.\n"
            )
        }
    })?;
    if args.yes {
        Ok(())
    } else {
        Err(Failure::AlreadyTold(Code::Usage))
    }
}

fn about(action: &str, path: &Path, error: io::Error) -> Failure {
    let what = format!("could not {action} {}", path.display());
    Failure::other(&what, error)
}
