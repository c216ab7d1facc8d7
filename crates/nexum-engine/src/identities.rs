//! The accounts that the operator's file gives to modules: what signs for each is found before
//! anything runs, and an account for which nothing signs is a refusal.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use nexum_identity::{
    Accounts, Grant, KeyFolder, KeystoreError, LocalSigner, ModuleAccounts, Password, RemoteSigner,
    Sender, Signer, Unlock,
};
use nexum_manifest::{Bundle, EngineFile, KeystoreSettings, ManifestErrors, Problem, UnlockAt};
use nexum_store::StateDir;
use nexum_types::Address;

use crate::StartError;

/// What a module sees of the accounts.
pub(crate) fn of_module(accounts: &Accounts, bundle: &Bundle) -> ModuleAccounts {
    let manifest = &bundle.manifest;
    let grant = Grant {
        accounts: bundle.identity.accounts.clone(),
        asked: manifest.identity.clone(),
        allowed: bundle.identity.methods.clone(),
        chains: manifest.chains.clone(),
        transactions: bundle.identity.transactions.clone(),
        rate: bundle.ceilings.signature_rate(),
    };
    accounts.of_module(manifest.name.clone(), grant)
}

/// The accounts of the file, each with what signs for it. `password`: what whoever started the
/// engine was asked for, where the file has none.
pub(crate) async fn open(
    file: &EngineFile,
    password: Option<Password>,
) -> Result<Accounts, StartError> {
    let settings = &file.config().identity;
    let wanted = wanted(file);
    let mut signers: Vec<(Address, Arc<dyn Signer>)> = Vec::new();
    let mut missing = wanted.clone();
    if let Some(keystore) = settings.keystore.as_ref().filter(|_| !wanted.is_empty()) {
        let signer: Arc<LocalSigner> =
            Arc::new(keystores(file, keystore, password, &wanted).await?);
        for account in wanted.iter().filter(|account| signer.has(account)) {
            missing.remove(account);
            signers.push((*account, Arc::clone(&signer) as _));
        }
    }
    if let Some(url) = settings.remote.as_ref().filter(|_| !missing.is_empty()) {
        let authorities = file.config().http.authorities.as_deref();
        let signer = RemoteSigner::new(url.expose().clone(), authorities);
        let signer = signer.map_err(StartError::RemoteSigner)?;
        if signer.is_in_the_clear() {
            tracing::warn!(signer = ?url, "what is to be signed goes to another machine in the clear: use https");
        }
        let has = match signer.accounts().await {
            Ok(has) => has,
            // As with an endpoint: one that is down is no refusal.
            Err(error) => {
                tracing::warn!(signer = ?url, "what accounts it has is not known: {error}");
                missing.clone()
            }
        };
        let signer: Arc<dyn Signer> = Arc::new(signer);
        missing.retain(|account| {
            let is_there = has.contains(account);
            if is_there {
                signers.push((*account, Arc::clone(&signer)));
            }
            !is_there
        });
    }
    match nothing_signs(file, &missing) {
        Some(errors) => Err(StartError::Refused(errors)),
        None => Ok(Accounts::new(signers)),
    }
}

/// Takes up the transactions that were sent before, where there are any or may be some.
pub(crate) async fn open_ledger(
    sender: &Sender,
    file: &EngineFile,
    dir: &Arc<StateDir>,
) -> Result<(), StartError> {
    let grants = file.config().identity.modules.values();
    let rules = grants.flat_map(|grant| &grant.transactions);
    let known = rules.flat_map(|rule| {
        let accounts = rule.accounts.iter();
        accounts.flat_map(|account| rule.chains.iter().map(|chain| (*account, *chain)))
    });
    let known: BTreeSet<_> = known.collect();
    if known.is_empty() && !dir.has_ledger() {
        return Ok(());
    }
    let (sender, dir) = (sender.clone(), Arc::clone(dir));
    let open = move || {
        let ledger = dir.open_ledger().map_err(StartError::Store)?;
        sender.open(ledger, known).map_err(StartError::Transactions)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(StartError::Task)?
}

/// What can be told without a password and without asking a remote signer: accounts of which there
/// is no keystore, or two.
pub(crate) fn look(engine_file: &EngineFile) -> Result<(), StartError> {
    let settings = &engine_file.config().identity;
    let wanted = wanted(engine_file);
    let Some(keystore) = settings.keystore.as_ref().filter(|_| !wanted.is_empty()) else {
        return Ok(());
    };
    let found = KeyFolder::new(keystore.folder.clone()).entries();
    let entries = match found {
        Ok(entries) => entries,
        Err(source) => {
            let path = keystore.folder.clone();
            return Err(refused(
                engine_file,
                &KeystoreError::Folder { path, source },
            ));
        }
    };
    let mut named: BTreeMap<Option<Address>, PathBuf> = BTreeMap::new();
    for entry in entries {
        let Ok(file) = entry.file else { continue };
        let second = entry.path;
        match (file.address(), named.insert(file.address(), second.clone())) {
            (Some(account), Some(first)) if wanted.contains(&account) => {
                let error = KeystoreError::Twice {
                    account,
                    first,
                    second,
                };
                return Err(refused(engine_file, &error));
            }
            _ => {}
        }
    }
    // Whose a file is that does not say it, only its password tells.
    if settings.remote.is_some() || named.contains_key(&None) {
        return Ok(());
    }
    let missing = wanted
        .into_iter()
        .filter(|it| !named.contains_key(&Some(*it)));
    match nothing_signs(engine_file, &missing.collect()) {
        Some(errors) => Err(StartError::Refused(errors)),
        None => Ok(()),
    }
}

fn wanted(file: &EngineFile) -> BTreeSet<Address> {
    let grants = file.config().identity.modules.values();
    grants
        .flat_map(|grant| grant.accounts.iter().copied())
        .collect()
}

async fn keystores(
    file: &EngineFile,
    settings: &KeystoreSettings,
    password: Option<Password>,
    wanted: &BTreeSet<Address>,
) -> Result<LocalSigner, StartError> {
    let written = settings.password.as_ref();
    let written = written.map(|password| Password::new(password.expose().to_owned()));
    let Some(password) = written.or(password) else {
        let problem = Problem::new(file.keystore(), "the keystores have no password")
            .with_label("under these")
            .with_help(
                "write `password` under [identity], as { file = \"path\" } or { env = \"NAME\" }; \
                 or start the engine on a terminal, where it asks",
            );
        return Err(StartError::Refused(problem.into()));
    };
    let unlock = match settings.unlock {
        UnlockAt::Start => Unlock::AtStart,
        UnlockAt::FirstUse => Unlock::OnFirstUse,
    };
    let folder = KeyFolder::new(settings.folder.clone());
    let wanted = wanted.clone();
    let open = move || LocalSigner::open(&folder, password, wanted, unlock);
    let opened = tokio::task::spawn_blocking(open).await;
    let (signer, warnings) = opened
        .map_err(StartError::Task)?
        .map_err(|error| refused(file, &error))?;
    for warning in warnings {
        tracing::warn!("keystore {warning}");
    }
    Ok(signer)
}

fn refused(file: &EngineFile, error: &KeystoreError) -> StartError {
    let (place, help) = match error {
        KeystoreError::Folder { .. } => (
            file.keystore(),
            "write the path of a folder that the engine may read; `nexum keystore new` makes one",
        ),
        KeystoreError::Twice { account, .. } => (
            file.account(account),
            "`nexum keystore list` shows which file holds which account",
        ),
        KeystoreError::Locked { account, .. } => (
            file.account(account),
            "`nexum keystore verify` tells whether a password opens a file",
        ),
    };
    StartError::Refused(
        Problem::new(place, error.to_string())
            .with_help(help)
            .into(),
    )
}

fn nothing_signs(file: &EngineFile, missing: &BTreeSet<Address>) -> Option<ManifestErrors> {
    let problem = |account: &Address| {
        Problem::new(
            file.account(account),
            format!("nothing has the key of {account}"),
        )
        .with_label("given to a module here")
        .with_help(
            "put its keystore into the folder, with the password of the others; \
                 `nexum keystore list` shows what is there",
        )
    };
    ManifestErrors::new(missing.iter().map(problem).collect())
}
