//! `nexum keystore`: makes and checks files with keys, with or without an engine.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use nexum_identity::{
    Key, KeyFile, KeyFileError, KeyFolder, Password, Save, SaveError, key_of_mnemonic,
};
use nexum_manifest::EngineFile;
use nexum_types::Address;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    cli::{ImportArgs, KeyFolderArgs, KeystoreCommand, NewKeyArgs, PasswordArgs, VerifyArgs},
    exit::{Code, Failure},
    output, prompt,
    table::table,
};

/// More than any secret has.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// What `--json` prints of a new keystore.
#[derive(Debug, Serialize)]
struct Saved {
    account: Address,
    file: PathBuf,
}

/// What `--json` prints of a file.
#[derive(Debug, Serialize)]
struct Listed {
    file: PathBuf,
    account: Option<Address>,
    version: Option<u8>,
    kdf: Option<String>,
    readable_by_others: bool,
    error: Option<String>,
}

/// What `--json` prints of a file that was tried.
#[derive(Debug, Serialize)]
struct Verified {
    file: PathBuf,
    account: Option<Address>,
    error: Option<String>,
}

pub(crate) fn keystore(command: &KeystoreCommand) -> Result<(), Failure> {
    match command {
        KeystoreCommand::New(args) => new(args),
        KeystoreCommand::Import(args) => import(args),
        KeystoreCommand::List(args) => list(args),
        KeystoreCommand::Verify(args) => verify(args),
    }
}

fn new(args: &NewKeyArgs) -> Result<(), Failure> {
    let key = Key::random().map_err(|error| Failure::other("there is no key", error))?;
    save(&key, args)
}

fn import(args: &ImportArgs) -> Result<(), Failure> {
    let text = match &args.from {
        Some(path) if path.as_os_str() != "-" => secret_of_file(path)?,
        _ => secret_of_input(args.mnemonic)?,
    };
    let refused = |error: String, help: &str| Failure::refused("the key", error, help);
    let key = if args.mnemonic {
        let passphrase = match &args.passphrase_file {
            Some(path) => secret_of_file(path)?,
            None => Zeroizing::default(),
        };
        let passphrase = passphrase.lines().next().unwrap_or_default();
        key_of_mnemonic(&text, passphrase, &args.derivation_path).map_err(|error| {
            refused(
                error.to_string(),
                "give the words on one line, with a space between",
            )
        })?
    } else {
        Key::from_hex(&text).map_err(|error| {
            let help = "give the key's 64 hex digits; with --mnemonic, the words of one";
            refused(error.to_string(), help)
        })?
    };
    save(&key, &args.new)
}

/// What standard input has. A terminal is asked, and shows nothing of what is typed.
fn secret_of_input(mnemonic: bool) -> Result<Zeroizing<String>, Failure> {
    let question = match mnemonic {
        true => "The words of the mnemonic: ",
        false => "The key, in hex: ",
    };
    match prompt::key(question)? {
        Some(typed) => Ok(typed),
        None => secret_of(&mut io::stdin().lock())
            .map_err(|error| Failure::other("standard input", error)),
    }
}

fn save(key: &Key, args: &NewKeyArgs) -> Result<(), Failure> {
    let folder = folder(&args.folder)?;
    let password = new_password(&args.password)?;
    let text = KeyFile::write(key, &password, args.cost())
        .map_err(|error| Failure::other("the keystore", error))?;
    let name = args.name.as_deref().map_or(Save::ByAddress, Save::As);
    let account = key.address();
    let file = folder.save(account, &text, name).map_err(|error| {
        let help = match &error {
            SaveError::Exists(_) => "give it another name with --name",
            SaveError::Twice { .. } => {
                "`nexum keystore verify` tells whether its password is known"
            }
            SaveError::Name(_) => "give it another name with --name",
            SaveError::Io { .. } => "look at the folder and at who may write to it",
        };
        match error {
            SaveError::Io { .. } => Failure::other("the keystore", error),
            SaveError::Name(_) => Failure::usage(&error.to_string(), help),
            error => Failure::refused("the keystore", error.to_string(), help),
        }
    })?;
    let text = format!("{account}\n{}\n", file.display());
    print(args.folder.json, &Saved { account, file }, || text)
}

fn list(args: &KeyFolderArgs) -> Result<(), Failure> {
    let files: Vec<_> = entries(&folder(args)?)?
        .into_iter()
        .map(|entry| match entry.file {
            Ok(file) => Listed {
                file: entry.path,
                account: file.address(),
                version: Some(file.version()),
                kdf: Some(file.kdf().to_string()),
                readable_by_others: entry.is_readable_by_others,
                error: None,
            },
            Err(error) => Listed {
                file: entry.path,
                account: None,
                version: None,
                kdf: None,
                readable_by_others: entry.is_readable_by_others,
                error: Some(error.to_string()),
            },
        })
        .collect();
    let row = |listed: &Listed| {
        let notes = [
            listed.error.clone(),
            (listed.readable_by_others).then(|| "others may read it: chmod 600".to_owned()),
            is_twice(&files, listed).then(|| "a second file of this account".to_owned()),
        ];
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            or_dash(listed.account.map(|account| account.to_string())),
            or_dash(listed.version.map(|version| version.to_string())),
            or_dash(listed.kdf.clone()),
            name_of(&listed.file),
            notes.into_iter().flatten().collect::<Vec<_>>().join("; "),
        ]
    };
    print(args.json, &files, || {
        let rows: Vec<_> = files.iter().map(row).collect();
        table(&["ACCOUNT", "VERSION", "KDF", "FILE", "NOTE"], &rows)
    })
}

/// Whether a file before this one is of the same account.
fn is_twice(files: &[Listed], this: &Listed) -> bool {
    let before = files.iter().take_while(|listed| listed.file != this.file);
    this.account.is_some()
        && before
            .into_iter()
            .any(|listed| listed.account == this.account)
}

fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let folder = folder(&args.folder)?;
    let chosen: Vec<_> = entries(&folder)?
        .into_iter()
        .filter(|entry| {
            let named = &args.which;
            let is_account = |account: Address| {
                named
                    .iter()
                    .any(|name| name.parse().is_ok_and(|it: Address| it == account))
            };
            let account = entry.file.as_ref().ok().and_then(KeyFile::address);
            named.is_empty()
                || named.contains(&name_of(&entry.path))
                || account.is_some_and(is_account)
        })
        .collect();
    if chosen.is_empty() {
        let what = format!("{} has no such keystore", folder.path().display());
        return Err(Failure::refused(
            "nothing was tried",
            what,
            "`nexum keystore list` shows what is there",
        ));
    }
    let password = password(&args.password)?;
    let open = |file: Result<KeyFile, KeyFileError>| file?.open(&password);
    let mut tried = Vec::new();
    for entry in chosen {
        let told = entry.file.as_ref().ok().and_then(KeyFile::address);
        tried.push(match open(entry.file) {
            Ok(key) => Verified {
                file: entry.path,
                account: Some(key.address()),
                error: None,
            },
            Err(error) => Verified {
                file: entry.path,
                account: told,
                error: Some(error.to_string()),
            },
        });
    }
    let row = |verified: &Verified| {
        let account = verified.account.map(|account| account.to_string());
        vec![
            account.unwrap_or_else(|| "-".to_owned()),
            name_of(&verified.file),
            verified.error.clone().unwrap_or_else(|| "ok".to_owned()),
        ]
    };
    print(args.folder.json, &tried, || {
        let rows: Vec<_> = tried.iter().map(row).collect();
        table(&["ACCOUNT", "FILE", "RESULT"], &rows)
    })?;
    if tried.iter().any(|verified| verified.error.is_some()) {
        return Err(Failure::AlreadyTold(Code::Refused));
    }
    Ok(())
}

fn print(
    json: bool,
    report: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if json {
        output::print_json(report)
    } else {
        output::print(&text())
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn folder(args: &KeyFolderArgs) -> Result<KeyFolder, Failure> {
    if let Some(folder) = &args.keystore {
        return Ok(KeyFolder::new(folder.clone()));
    }
    let path = &args.config.path;
    match EngineFile::keystore_folder(path).map_err(Failure::Refused)? {
        Some(folder) => Ok(KeyFolder::new(folder)),
        None => Err(Failure::usage(
            &format!("{} names no folder of keystores", path.display()),
            "write `keystore` under [identity], or name the folder with --keystore",
        )),
    }
}

fn entries(folder: &KeyFolder) -> Result<Vec<nexum_identity::Entry>, Failure> {
    let what = format!("the folder of keystores {}", folder.path().display());
    folder
        .entries()
        .map_err(|error| Failure::other(&what, error))
}

/// The password of a keystore that is there.
fn password(args: &PasswordArgs) -> Result<Password, Failure> {
    match given(args)? {
        Some(password) => Ok(password),
        None => prompt::password("Password: ")?.ok_or_else(nobody_to_ask),
    }
}

/// The password of one that is to be, typed twice where it is typed.
fn new_password(args: &PasswordArgs) -> Result<Password, Failure> {
    let password = match given(args)? {
        Some(password) => password,
        None => {
            let password = prompt::password("New password: ")?.ok_or_else(nobody_to_ask)?;
            let again = prompt::password("The same again: ")?.ok_or_else(nobody_to_ask)?;
            if !password.is(&again) {
                return Err(Failure::usage(
                    "the two passwords are not the same",
                    "run the command again; nothing was written",
                ));
            }
            password
        }
    };
    if password.is_empty() {
        return Err(Failure::usage(
            "the password is empty",
            "a keystore without a password keeps nothing: give it one",
        ));
    }
    Ok(password)
}

fn nobody_to_ask() -> Failure {
    Failure::usage(
        "there is no password, and no terminal to ask on",
        "give it with --password-file or --password-env",
    )
}

fn given(args: &PasswordArgs) -> Result<Option<Password>, Failure> {
    if let Some(path) = &args.password_file {
        return Ok(Some(Password::of_file(&secret_of_file(path)?)));
    }
    let Some(name) = &args.password_env else {
        return Ok(None);
    };
    match std::env::var(name) {
        Ok(text) => Ok(Some(Password::new(text))),
        Err(error) => Err(Failure::usage(
            &format!("the environment variable {name}: {}", kind_of(&error)),
            "set it for this command",
        )),
    }
}

/// Without the value, which the error of one that is not UTF-8 has.
fn kind_of(error: &std::env::VarError) -> &'static str {
    match error {
        std::env::VarError::NotPresent => "it is not set",
        std::env::VarError::NotUnicode(_) => "it is not UTF-8",
    }
}

fn secret_of_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let read = fs::File::open(path).and_then(|mut file| secret_of(&mut file));
    read.map_err(|error| Failure::other(&format!("the file {}", path.display()), error))
}

fn secret_of(from: &mut dyn io::Read) -> io::Result<Zeroizing<String>> {
    // As long as it may get: nothing is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(MAX_SECRET_BYTES as usize + 1));
    from.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err(io::Error::other("it is longer than any key or password"));
    }
    Ok(text)
}
