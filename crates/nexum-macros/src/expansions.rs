//! What the macros write, held against files in `tests/expansions`. `NEXUM_UPDATE=1` writes them
//! anew.

use std::{fs, path::Path};

use proc_macro2::TokenStream;

use crate::{config, module};

/// The crate's own folder.
const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn check(name: &str, expansion: TokenStream) {
    let file = syn::parse2(expansion).expect("an expansion is items");
    let written = prettyplease::unparse(&file);
    let path = Path::new(FOLDER).join(format!("tests/expansions/{name}.rs"));
    if std::env::var_os("NEXUM_UPDATE").is_some() {
        fs::write(&path, &written).expect("the expansion can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == expected,
        "{} differs from what is written now; NEXUM_UPDATE=1 writes it anew:\n{written}",
        path.display()
    );
}

/// Expands a module with one of the manifests of `tests/it`.
fn check_module(name: &str, manifest: &str, options: &str, block: &str) {
    let of = module::Crate {
        folder: FOLDER.into(),
        shown_from: FOLDER.into(),
    };
    let options = format!("manifest = \"tests/it/manifests/{manifest}.toml\"{options}");
    let options = options.parse().expect("the options are tokens");
    let block: TokenStream = block.parse().expect("the block is tokens");
    check(name, module::expand(options, &block, &of));
}

#[test]
fn a_module_without_a_value() {
    check_module(
        "without_value",
        "configured",
        ", config = Settings",
        "impl Watch {
            #[on_block]
            async fn on_block(provider: &Provider, settings: &Settings, block: Block) -> Result<()> {
                Ok(())
            }
        }",
    );
}

#[test]
fn a_module_with_all_there_is() {
    check_module(
        "with_value",
        "configured_logs",
        "",
        "impl Watch {
            /// Its documentation stays.
            #[init]
            fn init(settings: Settings) -> Result<Self> { Ok(Self) }

            #[on_block]
            fn on_block(&mut self, block: &Block) {}

            #[on_log(Transfer)]
            async fn on_transfer(&self, transfer: Transfer, log: &Log, provider: &Provider) -> Result<()> { Ok(()) }

            #[on_log(IERC721::Transfer)]
            fn on_token(&mut self, settings: &Settings) {}

            #[on_log]
            fn on_log(&mut self, log: Log) -> Result<()> { Ok(()) }

            fn not_a_handler(&self) {}
        }",
    );
}

#[test]
fn a_module_of_events_alone() {
    check_module(
        "events_alone",
        "transfers",
        "",
        "impl Watch {
            #[on_log(Transfer)]
            fn on_transfer(transfer: &Transfer) {}
        }",
    );
}

#[test]
fn a_module_that_takes_all_logs_at_once() {
    check_module(
        "logs_at_once",
        "all",
        "",
        "impl Watch {
            #[on_log]
            async fn on_logs(&mut self, logs: &[Log], provider: &Provider) {}

            #[on_block]
            fn on_block(&self) {}
        }",
    );
}

#[test]
fn a_module_that_takes_every_event() {
    check_module(
        "every_event",
        "all",
        "",
        "impl Watch {
            #[init]
            fn init() -> Self { Self }

            #[on_event]
            fn on_event(&mut self, event: Event) -> Result<()> { Ok(()) }
        }",
    );
}

/// It would be looked for within the crate's folder otherwise.
#[test]
fn a_manifest_with_a_whole_path_is_included_by_that_path() {
    let path = Path::new(FOLDER).join("tests/it/manifests/all.toml");
    let of = module::Crate {
        folder: FOLDER.into(),
        shown_from: FOLDER.into(),
    };
    let options = format!("manifest = {path:?}").parse();
    let block: TokenStream = "impl Watch { #[on_event] fn on_event() {} }"
        .parse()
        .expect("the block is tokens");
    let expansion = module::expand(options.expect("the options are tokens"), &block, &of);
    let file = prettyplease::unparse(&syn::parse2(expansion).expect("an expansion is items"));
    let line = format!("::core::include_bytes!({path:?}");
    let without_spaces = |text: &str| text.split_whitespace().collect::<String>();
    let is_there = without_spaces(&file).contains(&without_spaces(&line));
    assert!(is_there, "{line}\n{file}");
}

#[test]
fn a_configuration() {
    let item = r#"
        struct Settings {
            /// The accounts to watch. There can be many.
            #[config(non_empty)]
            accounts: Vec<Address>,
            #[config(default = 3, range = 1..=10)]
            retries: u8,
            #[config(default, rename = "dry-run")]
            dry_run: bool,
            note: Option<String>,
            #[config(parse)]
            side: Side,
            limits: Limits,
        }
    "#;
    let item = item.parse().expect("the struct is tokens");
    check("config", config::expand(item));
}
