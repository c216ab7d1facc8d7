//! `cargo nexum new`: a folder with a module that builds, is tested, and runs against a mock chain.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use nexum_types::ModuleName;
use serde::Serialize;

use crate::{
    cli::{NewArgs, Template},
    exit::{Code, Failure},
    output,
};

/// Where the SDK is in the checkout that this was built from.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../nexum-sdk");

/// Names that a package cannot have, since its library would: Rust's words, those that are kept for
/// later included (the Rust reference, "Keywords"), and its crates.
const TAKEN: [&str; 56] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// A template's files: where they go, and what stands in them.
type Files = [(&'static str, &'static str); 6];

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    module: &'a str,
    folder: String,
    files: Vec<&'a str>,
}

pub(crate) fn new(args: &NewArgs) -> Result<(), Failure> {
    let name = checked(&args.name)?;
    let folder = PathBuf::from(&args.name);
    if folder.symlink_metadata().is_ok() {
        return Err(Failure::told(
            Code::Usage,
            format!("{} exists already", folder.display()),
            "choose another name, or go to another folder; nothing was written",
        ));
    }
    let files = files(args.template);
    write(&folder, &files, &name)
        .map_err(|error| Failure::other(&format!("writing {}", folder.display()), error))?;
    if args.json {
        return output::print_json(&Report {
            ok: true,
            module: name.as_str(),
            folder: folder.display().to_string(),
            files: files.iter().map(|(path, _)| *path).collect(),
        });
    }
    let mut text = format!("{name}: a new module\n");
    for (path, _) in &files {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}", folder.join(path).display());
    }
    let _ = write!(
        text,
        "next:\n  cd {name}\n  cargo nexum check\n  cargo nexum run --mock\n"
    );
    output::print(&text)
}

/// A name that is good for a module, a package, a folder and a library.
fn checked(name: &str) -> Result<ModuleName, Failure> {
    let refused = |why: String| {
        Failure::told(
            Code::Usage,
            format!("{name:?} cannot be the name of a module: {why}"),
            "use small letters, digits and `-`, beginning with a letter, such as price-alert",
        )
    };
    let module: ModuleName = name.parse().map_err(|error| refused(format!("{error}")))?;
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(refused("it does not begin with a letter".to_owned()));
    }
    if name.ends_with('-') || name.contains("--") {
        return Err(refused(
            "a `-` stands between letters and digits".to_owned(),
        ));
    }
    if TAKEN.contains(&name) || name.starts_with("nexum-sdk") {
        return Err(refused("the name is taken".to_owned()));
    }
    Ok(module)
}

fn files(template: Template) -> Files {
    macro_rules! files {
        ($template:literal) => {
            [
                (
                    "Cargo.toml",
                    include_str!("../templates/common/Cargo.toml.in"),
                ),
                (
                    "nexum.toml",
                    include_str!(concat!("../templates/", $template, "/nexum.toml.in")),
                ),
                (
                    "src/lib.rs",
                    include_str!(concat!("../templates/", $template, "/lib.rs.in")),
                ),
                (
                    "fixtures/first.nexum",
                    include_str!(concat!("../templates/", $template, "/first.nexum.in")),
                ),
                (
                    "README.md",
                    include_str!("../templates/common/README.md.in"),
                ),
                (
                    ".gitignore",
                    include_str!("../templates/common/gitignore.in"),
                ),
            ]
        };
    }
    match template {
        Template::Block => files!("block"),
        Template::Log => files!("log"),
        Template::Cron => files!("cron"),
        Template::Empty => files!("empty"),
    }
}

/// The folder gets its name only once all of it is there.
fn write(folder: &Path, files: &Files, name: &ModuleName) -> io::Result<()> {
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let unnamed = tempfile::Builder::new()
        .prefix(".nexum-new-")
        .tempdir_in(parent.unwrap_or(Path::new(".")))?;
    let words = [
        ("{{name}}", name.to_string()),
        ("{{Name}}", type_name(name.as_str())),
        ("{{sdk}}", sdk(false)),
        ("{{sdk-testing}}", sdk(true)),
    ];
    for (path, template) in files {
        let text = words
            .iter()
            .fold((*template).to_owned(), |text, (word, value)| {
                text.replace(word, value)
            });
        let path = unnamed.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    open_to_others(unnamed.path())?;
    fs::rename(unnamed.path(), folder)?;
    // It has another name now, and is not to go.
    let _ = unnamed.keep();
    Ok(())
}

/// A temporary folder is its owner's alone; a package is as any other folder.
fn open_to_others(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let like = fs::metadata(folder.join("src"))?.permissions().mode();
    fs::set_permissions(folder, fs::Permissions::from_mode(like))
}

/// The SDK of the checkout that this was built from, or the release of this version.
fn sdk(is_for_tests: bool) -> String {
    let features = if is_for_tests {
        ", features = [\"testing\"]"
    } else {
        ""
    };
    let version = env!("CARGO_PKG_VERSION");
    match fs::canonicalize(SDK)
        .ok()
        .filter(|sdk| sdk.join("Cargo.toml").is_file())
    {
        Some(path) => {
            let path = toml::Value::String(path.display().to_string());
            format!("{{ path = {path}{features} }}")
        }
        None if is_for_tests => format!("{{ version = \"{version}\"{features} }}"),
        None => format!("\"{version}\""),
    }
}

/// `price-alert` as a type.
fn type_name(name: &str) -> String {
    let capital = |part: &str| {
        let mut characters = part.chars();
        let first = characters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(characters).collect::<String>()
    };
    let camel: String = name.split('-').map(capital).collect();
    if OTHERS.contains(&camel.as_str()) {
        return format!("{camel}Module");
    }
    camel
}

/// Types that a template's module has in scope: those of the SDK's prelude and of Rust's, and the
/// template's own.
const OTHERS: [&str; 52] = [
    "Address",
    "AsMut",
    "AsRef",
    "Attempt",
    "B256",
    "Block",
    "Box",
    "Bytes",
    "Clone",
    "Copy",
    "Default",
    "Drop",
    "Eq",
    "Err",
    "Event",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "HostError",
    "HostErrorKind",
    "Into",
    "IntoIterator",
    "Iterator",
    "Journal",
    "Log",
    "Message",
    "Messaging",
    "MockHost",
    "NexumConfig",
    "None",
    "Ok",
    "Option",
    "Ord",
    "Provider",
    "RemoteStore",
    "Result",
    "Self",
    "Send",
    "Settings",
    "Signer",
    "Some",
    "String",
    "Sync",
    "Tick",
    "Transfer",
    "TransactionRequest",
    "TypedMap",
    "TypedState",
    "U256",
    "Vec",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_type() {
        assert_eq!(type_name("price-alert"), "PriceAlert");
        assert_eq!(type_name("a1-2b"), "A12b");
        assert_eq!(type_name("block"), "BlockModule");
        assert_eq!(type_name("mock-host"), "MockHostModule");
    }

    /// A module whose type had a name of the prelude would hide it from its own code.
    #[test]
    fn no_module_is_called_as_the_preludes_types_are() {
        let source = include_str!("../../nexum-sdk/src/lib.rs");
        let (_, prelude) = source.split_once("pub mod prelude {").unwrap();
        let (prelude, _) = prelude.split_once("\n}").unwrap();
        let words = prelude.split(|c: char| !c.is_ascii_alphanumeric() && c != ' ');
        // What is brought in without a name takes none.
        let names = words.map(str::trim).filter(|word| {
            word.starts_with(|c: char| c.is_ascii_uppercase()) && !word.contains(' ')
        });
        let names: Vec<_> = names.collect();
        assert!(
            names.contains(&"U256") && names.contains(&"TypedState"),
            "{names:?}"
        );
        for name in names {
            let mut module = String::new();
            for letter in name.chars() {
                if letter.is_ascii_uppercase() && !module.is_empty() {
                    module.push('-');
                }
                module.push(letter.to_ascii_lowercase());
            }
            assert_eq!(type_name(&module), format!("{name}Module"));
        }
    }

    #[test]
    fn names_that_cargo_or_the_engine_would_refuse_are_refused() {
        for name in ["price-alert", "a", "x9", "selfish"] {
            assert!(checked(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "Price",
            "price_alert",
            "9lives",
            "-a",
            "a-",
            "a--b",
            "fn",
            "gen",
            "try",
            "override",
            "yield",
            "proc-macro",
            "std",
            "a/b",
            "..",
            "ä",
            "nexum-sdk",
        ] {
            let Err(failure) = checked(name) else {
                panic!("{name} is taken");
            };
            assert_eq!(failure.code(), Code::Usage, "{name}");
        }
        assert!(checked(&"a".repeat(65)).is_err());
    }
}
