//! The operator's file together with the bundles that it names.

use nexum_manifest::{Bundle, Capability, Pin, Setup, Sha256, Withheld};
use nexum_types::{ChainId, Config, ConfigValue};

use crate::check::{ENGINE, Folder, MODULE, same};

const CHAIN_1: &str = "[chains.1]\nendpoints = [{ url = \"http://localhost\" }]\n";

#[track_caller]
fn check_setup(files: &[(&str, &str)], report: &str) {
    let folder = Folder::with(files);
    same(
        &folder.report(&folder.setup().expect_err("the setup has a problem")),
        report,
    );
}

#[test]
fn a_bundle_runs_twice_with_a_name_and_values_of_its_own() {
    let manifest = format!("{MODULE}[config]\nthreshold = 1\nlist = [1]\nkept.deep = true\n");
    let engine = format!(
        "{ENGINE}{CHAIN_1}
[[modules]]
path = \"bundle\"
[[modules]]
path = \"bundle\"
name = \"x-2\"
[modules.config]
threshold = 2
list = [\"a\"]
further.on = \"b\"
"
    );
    let folder = Folder::with(&[
        ("nexum-engine.toml", &engine),
        ("bundle/nexum.toml", &manifest),
        ("bundle/module.wasm", ""),
    ]);
    let Setup { engine, bundles } = folder.setup().unwrap();
    let [first, second] = &bundles[..] else {
        panic!("two bundles")
    };
    assert_eq!(
        (first.name().as_str(), second.name().as_str()),
        ("x", "x-2")
    );
    assert_eq!(first.component, folder.path("bundle/module.wasm"));

    let values = |config: &Config| {
        config
            .0
            .iter()
            .cloned()
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(
        values(&first.manifest.config)["threshold"],
        ConfigValue::Integer(1)
    );
    let laid_over = values(&second.manifest.config);
    assert_eq!(laid_over["threshold"], ConfigValue::Integer(2));
    assert_eq!(laid_over["kept.deep"], ConfigValue::Boolean(true));
    assert_eq!(laid_over["further.on"], ConfigValue::String("b".to_owned()));
    assert!(
        second
            .manifest
            .config
            .0
            .is_sorted_by_key(|(key, _)| key.clone())
    );

    let place = |place: &nexum_manifest::Place| folder.report(place);
    assert_eq!(place(&first.places.capabilities), "bundle/nexum.toml:7:12");
    assert_eq!(
        place(&first.places.chains[&ChainId(1)]),
        "bundle/nexum.toml:5:13"
    );
    assert_eq!(place(&second.entry), "nexum-engine.toml:9:8");
    assert_eq!(
        place(engine.endpoint(ChainId(1), 0).unwrap()),
        "nexum-engine.toml:4:22"
    );
    assert_eq!(engine.load_bundles().unwrap().len(), 2);
}

#[test]
fn problems_of_all_files_come_at_once() {
    check_setup(
        &[
            (
                "nexum-engine.toml",
                &format!(
                    "{ENGINE}colour = 1\n{CHAIN_1}
[[modules]]
path = \"a\"
[[modules]]
path = \"gone\"
[[modules]]
path = \"b\"
[[modules]]
path = \"empty\"
[[modules]]
path = \"off\"
enabled = false
"
                ),
            ),
            (
                "a/nexum.toml",
                &MODULE.replace("[1]", "[1, 5]").replace("[]", "[\"messaging\"]"),
            ),
            ("b/nexum.toml", &MODULE.replace("\"x\"", "3")),
            ("b/module.wasm", ""),
            ("empty/module.wasm", ""),
        ],
        "
nexum-engine.toml:3:1: unknown key `colour` in `engine`
  help: the keys here are `state_dir`, `shutdown_grace`, `log`
nexum-engine.toml:8:8: the bundle a has no module.wasm
  help: build the component into it
nexum-engine.toml:10:8: there is no bundle at gone
  help: write the path of a folder with nexum.toml and module.wasm, relative to this file's folder
nexum-engine.toml:14:8: the bundle empty has no nexum.toml
  help: write the module's manifest into it
a/nexum.toml:5:16: the module requires chain 5, which nexum-engine.toml does not configure
  help: add to nexum-engine.toml:
        [chains.5]
        [[chains.5.endpoints]]
        url = { env = \"CHAIN_5_URL\" }
a/nexum.toml:7:13: the capability \"messaging\" is in the contract, but this engine does not have it yet
  help: if the module can do without, declare it under `optional`: its functions answer `unsupported` then
b/nexum.toml:2:8: `module.name` takes a string, not an integer
  help: The module's name, 1 to 64 of a-z, 0-9 and '-'
",
    );
}

#[test]
fn a_name_belongs_to_one_module() {
    let files = |entries: &str| format!("{ENGINE}{CHAIN_1}{entries}");
    check_setup(
        &[
            (
                "nexum-engine.toml",
                &files(
                    "[[modules]]\npath = \"a\"\n[[modules]]\npath = \"b\"\nname = \"x\"\n[[modules]]\npath = \"a\"\n",
                ),
            ),
            ("a/nexum.toml", MODULE),
            ("a/module.wasm", ""),
            ("b/nexum.toml", &MODULE.replace("\"x\"", "\"y\"")),
            ("b/module.wasm", ""),
        ],
        "
nexum-engine.toml:9:8: two modules are named `x`
  nexum-engine.toml:6:8: `x` is this one
  help: a name is the identity of a module's state: give one of them another, such as name = \"x-2\"
nexum-engine.toml:11:8: two modules are named `x`
  nexum-engine.toml:6:8: `x` is this one
  help: a name is the identity of a module's state: give one of them another, such as name = \"x-2\"
",
    );
}

#[test]
fn the_operator_keeps_to_the_authors_types() {
    check_setup(
        &[
            (
                "nexum-engine.toml",
                &format!(
                    "{ENGINE}{CHAIN_1}[[modules]]
path = \"a\"
[modules.config]
threshold = \"5\"
nested = 1
flat.deep = 1
fine = 2
"
                ),
            ),
            (
                "a/nexum.toml",
                &format!("{MODULE}[config]\nthreshold = 5\nnested.a = 1\nflat = true\nfine = 1\n"),
            ),
            ("a/module.wasm", ""),
        ],
        "
nexum-engine.toml:8:13: `config.threshold` is a string here and an integer in the module's manifest
  a/nexum.toml:9:13: an integer here
  help: write the type that the module's author chose
nexum-engine.toml:9:10: `config.nested` is an integer here and a table in the module's manifest
  a/nexum.toml:10:12: a table here
  help: write the type that the module's author chose
nexum-engine.toml:10:13: `config.flat.deep` is an integer here, and the module's manifest has `config.flat` as a boolean
  a/nexum.toml:11:8: a boolean here
  help: write the type that the module's author chose
",
    );
}

#[test]
fn a_bundle_that_several_entries_name_is_told_of_once() {
    check_setup(
        &[
            (
                "nexum-engine.toml",
                &format!(
                    "{ENGINE}{CHAIN_1}[[modules]]\npath = \"a\"\n[[modules]]\npath = \"a\"\nname = \"x-2\"\n"
                ),
            ),
            ("a/nexum.toml", &MODULE.replace("0.1.0", "")),
            ("a/module.wasm", ""),
        ],
        "
a/nexum.toml:3:11: `module.version` is \"\", which is no version
  help: a version is 1 to 64 of letters, digits, '.', '+' and '-', such as \"0.1.0\"
",
    );
}

#[test]
fn the_operators_pin_goes_before_the_authors() {
    let pin = |byte: u8| format!("sha256:{}", format!("{byte:02x}").repeat(32));
    let pinned = MODULE.replace("[chains]", &format!("component = \"{}\"\n[chains]", pin(1)));
    let engine = format!(
        "{ENGINE}{CHAIN_1}
[[modules]]
path = \"none\"
[[modules]]
path = \"authors\"
name = \"authors\"
[[modules]]
path = \"none\"
name = \"operators\"
digest = \"{}\"
[[modules]]
path = \"authors\"
name = \"both\"
digest = \"{}\"
",
        pin(2),
        pin(1)
    );
    let folder = Folder::with(&[
        ("nexum-engine.toml", &engine),
        ("none/nexum.toml", MODULE),
        ("none/module.wasm", ""),
        ("authors/nexum.toml", &pinned),
        ("authors/module.wasm", ""),
    ]);
    let bundles = folder.setup().unwrap().bundles;
    let pins: Vec<_> = bundles
        .iter()
        .map(|bundle| (bundle.pin, folder.report(&bundle.pin_place)))
        .collect();
    let (one, two) = (Sha256([1; 32]), Sha256([2; 32]));
    assert_eq!(
        pins,
        [
            (None, "nexum-engine.toml:7:8".to_owned()),
            (
                Some(Pin::Manifest(one)),
                "authors/nexum.toml:4:13".to_owned()
            ),
            (
                Some(Pin::Operator(two)),
                "nexum-engine.toml:14:10".to_owned()
            ),
            (
                Some(Pin::Operator(one)),
                "nexum-engine.toml:18:10".to_owned()
            ),
        ]
    );
}

#[test]
fn pins_of_operator_and_author_that_differ() {
    let (ours, authors) = ("a".repeat(64), "b".repeat(64));
    check_setup(
        &[
            (
                "nexum-engine.toml",
                &format!(
                    "{ENGINE}{CHAIN_1}[[modules]]
path = \"a\"
digest = \"sha256:{ours}\"
[[modules]]
path = \"a\"
name = \"other\"
digest = \"sha256:{authors}\"
"
                ),
            ),
            (
                "a/nexum.toml",
                &MODULE.replace("[chains]", &format!("component = \"sha256:{authors}\"\n[chains]")),
            ),
            ("a/module.wasm", ""),
        ],
        &format!(
            "
nexum-engine.toml:7:10: the pin of module x is {ours} here, and its manifest says that its component is {authors}
  a/nexum.toml:4:13: another one here
  help: if the component was meant to change, pin digest = \"sha256:{authors}\"; if not, get the bundle anew
"
        ),
    );
}

#[test]
fn the_policy_caps_what_a_manifest_asks_for_and_withholds_what_is_optional() {
    let manifest = MODULE
        .replace(
            "required = []",
            "required = [\"chain\"]\noptional = [\"messaging\", \"local-store\"]",
        )
        .replace("required = [1]", "required = [1]\noptional = [5]")
        + "[module.resources]\nmax_memory_bytes = 70_000\nmax_state_bytes = 900\n\
           [[subscription]]\nkind = \"block\"\nchain_id = 5\n\
           [[subscription]]\nkind = \"block\"\nchain_id = 1\n";
    let engine = format!(
        "{ENGINE}{CHAIN_1}[policy]
max_memory_bytes = 100_000
max_state_bytes = 500
denied_capabilities = [\"local-store\"]
[policy.modules.x-2]
max_state_bytes = 1_000
denied_capabilities = []
[[modules]]
path = \"bundle\"
[[modules]]
path = \"bundle\"
name = \"x-2\"
"
    );
    let folder = Folder::with(&[
        ("nexum-engine.toml", &engine),
        ("bundle/nexum.toml", &manifest),
        ("bundle/module.wasm", ""),
    ]);
    let bundles = folder.setup().unwrap().bundles;
    let [first, second] = &bundles[..] else {
        panic!("two bundles")
    };
    let sizes = |bundle: &Bundle| {
        let granted = bundle.manifest.resources;
        (granted.max_memory_bytes, granted.max_state_bytes)
    };
    assert_eq!(
        (sizes(first), sizes(second)),
        ((70_000, 500), (70_000, 900))
    );
    assert_eq!(first.asked.max_state_bytes, 900);
    let withheld = |bundle: &Bundle| bundle.manifest.capabilities.withheld();
    let not_hosted = (Capability::Messaging, Withheld::NotHosted);
    let denied = (Capability::LocalStore, Withheld::Denied);
    assert_eq!(withheld(first), [denied, not_hosted].into());
    assert_eq!(withheld(second), [not_hosted].into());
    assert_eq!(
        first.manifest.capabilities.granted(),
        [Capability::Chain].into()
    );
    // What is to be had of an optional chain that nobody configures is nothing.
    assert_eq!(first.manifest.chains, [ChainId(1)].into());
    assert_eq!(first.manifest.absent_chains, [ChainId(5)].into());
    assert_eq!(first.manifest.subscriptions.len(), 1);
    assert_eq!(first.manifest.subscriptions[0].chain_id(), Some(ChainId(1)));
}

#[test]
fn a_capability_that_is_required_and_denied_refuses_the_module() {
    let manifest = MODULE.replace("required = []", "required = [\"logging\"]");
    let engine = format!(
        "{ENGINE}{CHAIN_1}[policy]
denied_capabilities = [\"logging\"]
[policy.modules.x-2]
denied_capabilities = [\"logging\"]
[[modules]]
path = \"bundle\"
[[modules]]
path = \"bundle\"
name = \"x-2\"
"
    );
    check_setup(
        &[
            ("nexum-engine.toml", &engine),
            ("bundle/nexum.toml", &manifest),
            ("bundle/module.wasm", ""),
        ],
        "
nexum-engine.toml:6:24: module x requires the capability \"logging\", which the policy denies
  bundle/nexum.toml:7:12: required here
  help: leave the module out, or give it ceilings of its own under [policy.modules.x]
nexum-engine.toml:8:24: module x-2 requires the capability \"logging\", which the policy denies
  bundle/nexum.toml:7:12: required here
  help: leave the module out, or give it ceilings of its own under [policy.modules.x-2]
",
    );
}
