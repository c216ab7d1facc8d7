//! `[identity]` of `nexum-engine.toml`.

use nexum_manifest::{
    Capability, EngineFile, IdentityGrant, IdentityMethod, IdentitySettings, UnlockAt,
};

use crate::check::{ENGINE, Folder, MODULE, check_engine, env};

const ONE: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const TWO: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// A problem that stands after [`ENGINE`].
#[track_caller]
fn check_after(text: &str, report: &str) {
    check_engine(&format!("{ENGINE}{text}"), report);
}

fn folder(text: &str) -> Folder {
    Folder::with(&[
        ("nexum-engine.toml", &format!("{ENGINE}[identity]\n{text}")),
        ("secrets/pw", "correct hunter2 horse\n"),
    ])
}

fn settings(text: &str) -> IdentitySettings {
    folder(text).engine().unwrap().identity
}

#[test]
fn keys_are_in_a_folder_or_elsewhere() {
    let local = settings("keystore = \"keys\"\npassword = { file = \"secrets/pw\" }\n");
    let keystore = local.keystore.unwrap();
    assert!(keystore.folder.ends_with("keys") && keystore.folder.is_absolute());
    assert_eq!(keystore.password.unwrap().expose(), "correct hunter2 horse");
    assert_eq!((keystore.unlock, local.remote), (UnlockAt::Start, None));

    let asked = settings("keystore = \"keys\"\nunlock = \"first-use\"\n");
    let keystore = asked.keystore.unwrap();
    assert_eq!(
        (keystore.password, keystore.unlock),
        (None, UnlockAt::FirstUse)
    );

    let remote = settings("remote_signer = \"http://user:hunter2@localhost:9000/hunter2\"\n");
    assert_eq!(remote.keystore, None);
    assert_eq!(remote.remote.unwrap().expose().port(), Some(9000));
    assert_eq!(settings(""), IdentitySettings::default());
}

#[test]
fn neither_password_nor_url_is_shown() {
    let all = "keystore = \"keys\"\npassword = { file = \"secrets/pw\" }\n\
               remote_signer = \"http://user:hunter2@localhost:9000/hunter2\"\n";
    let shown = format!("{:?} {:#?}", settings(all), settings(all));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("http://localhost:9000"), "{shown}");
}

#[test]
fn each_module_has_its_accounts_in_their_order() {
    let text = format!(
        "keystore = \"keys\"\n[identity.modules.a]\naccounts = [\"{TWO}\", \"{ONE}\"]\n\
         [identity.modules.b]\naccounts = [\"{ONE}\"]\nmethods = [\"sign\"]\n"
    );
    let (one, two) = (ONE.parse().unwrap(), TWO.parse().unwrap());
    let of = |name: &str| settings(&text).modules[&name.parse().unwrap()].clone();
    let a = IdentityGrant {
        accounts: vec![two, one],
        methods: None,
        transactions: Vec::new(),
    };
    let b = IdentityGrant {
        accounts: vec![one],
        methods: Some([IdentityMethod::Sign].into()),
        transactions: Vec::new(),
    };
    assert_eq!((of("a"), of("b")), (a, b));

    let folder = folder(&text);
    let file = EngineFile::load_with(&folder.path("nexum-engine.toml"), &env).unwrap();
    assert!(
        file.keystore().to_string().ends_with(":4:12"),
        "{}",
        file.keystore()
    );
    assert!(
        file.account(&one).to_string().ends_with(":6:59"),
        "{}",
        file.account(&one)
    );
    let warned = file.for_nobody(["a".parse().unwrap()]);
    let [warned] = &warned[..] else {
        panic!("{warned:?}")
    };
    let told =
        "`identity.modules.b` is for no module: none of that name is configured or was loaded";
    assert_eq!(warned.message(), told);
}

#[test]
fn what_goes_together_and_what_does_not() {
    check_after(
        &format!(
            "[identity]\npassword = \"hunter2\"\nunlock = \"start\"\n[identity.modules.a]\naccounts = [\"{ONE}\"]\n"
        ),
        "
nexum-engine.toml:4:12: `identity.password` needs `keystore`
  help: write `keystore` too, the folder of keystores; or take this out
nexum-engine.toml:5:10: `identity.unlock` needs `keystore`
  help: write `keystore` too, the folder of keystores; or take this out
nexum-engine.toml:6:19: `identity.modules.a` has accounts that nothing has keys for
  help: write `keystore`, the folder of keystores, or `remote_signer` under [identity]
",
    );
    check_after(
        &format!(
            "[identity]\nkeystore = \"k\"\nremote_signer = \"ws://hunter2\"\n[identity.modules.a]\naccounts = [\"{ONE}\", \"{ONE}\", \"0x12\"]\nmethods = [\"transfer\"]\n"
        ),
        &format!(
            "
nexum-engine.toml:5:17: `identity.remote_signer`: the value is a URL of a scheme that no signer has
  help: write it as in https://host:port/; the schemes are http and https
nexum-engine.toml:7:59: `identity.modules.a.accounts` names {ONE} twice
  nexum-engine.toml:7:13: first here
  help: take one out
nexum-engine.toml:7:105: an entry of `identity.modules.a.accounts` is \"0x12\", which is no address
  help: an address is \"0x\" and 40 hex digits
nexum-engine.toml:8:12: an entry of `identity.modules.a.methods` does not take \"transfer\"
  help: it takes one of \"accounts\", \"sign\", \"sign-typed-data\", \"send-transaction\"
"
        ),
    );
}

fn bundle(required: &str, more: &str) -> Folder {
    let engine = format!(
        "{ENGINE}[[modules]]\npath = \"m\"\n[chains.1]\nendpoints = [{{ url = \"http://localhost\" }}]\n{more}"
    );
    let module = MODULE.replace("required = []", required);
    let module = format!("{module}[capabilities.identity]\nmethods = [\"sign\"]\n");
    Folder::with(&[
        ("nexum-engine.toml", &engine),
        ("m/nexum.toml", &module),
        ("m/module.wasm", ""),
    ])
}

#[test]
fn a_module_that_requires_accounts_is_refused_without_any() {
    let required = "required = [\"identity\"]";
    let folder = bundle(required, "");
    let told = folder.report(&folder.setup().unwrap_err());
    assert!(
        told.contains("module x requires \"identity\", and no account is given to it"),
        "{told}"
    );
    assert!(told.contains("[identity.modules.x]"), "{told}");
}

#[test]
fn a_module_has_what_is_given_to_it_and_nothing_where_nothing_is() {
    let given =
        format!("[identity]\nkeystore = \"k\"\n[identity.modules.x]\naccounts = [\"{ONE}\"]\n");
    let of = |folder: &Folder| folder.setup().unwrap().bundles.remove(0);
    let given = of(&bundle("required = [\"identity\"]", &given));
    assert_eq!(
        given.identity.accounts,
        [ONE.parse::<nexum_types::Address>().unwrap()]
    );
    assert!(
        given
            .manifest
            .capabilities
            .granted()
            .contains(&Capability::Identity)
    );
    let optional = of(&bundle("required = []\noptional = [\"identity\"]", ""));
    assert_eq!(optional.identity, IdentityGrant::default());
}
