//! A newcomer, from nothing to a module that runs on the engine: every command of the author's
//! quickstart does what it says. What has nothing to compile is done twice, and how long that took
//! is printed; that it is nowhere near a build of everything is all that is asserted of it.

use std::{path::Path, time::Duration};

use nexum_testkit::{Anvil, guests};

use crate::{folder::Folder, guide::Guide};

/// What makes the newcomer's shell one of this build: nothing is fetched, what is built is shared
/// with the other tests, `cargo install` takes the profile that they take, and the engine is the
/// one that is tested.
const PRELUDE: &str = r#"
unset CARGO_TARGET_DIR CARGO_MANIFEST_DIR CARGO_ENCODED_RUSTFLAGS RUSTFLAGS RUSTC_WRAPPER
export CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0 PATH="$ROOT/bin:$ANVIL:$PATH"
cargo() {
    case "$1 ${@: -1}" in
    "install crates/nexum")
        install -D "$NEXUM" "$ROOT/bin/nexum" ;;
    "install "*)
        (cd "$CHECKOUT" && CARGO_TARGET_DIR="$TARGET" command cargo "$@" --debug --root "$ROOT") ;;
    *)
        command cargo "$@" || return
        if [ "$1 $2" = "nexum new" ]; then
            ln -s "$GUESTS" "$3/target"
            cp "$CHECKOUT/modules/Cargo.lock" "$3"
        fi ;;
    esac
}
"#;

/// What is not compiling: the checks, the tests, the mock runs and the bundle, when all that they
/// need is built.
fn compiles_nothing_again(command: &str) -> bool {
    let ends = ["cargo nexum check", "cargo nexum build", "cargo test"];
    ends.contains(&command) || command == "cargo nexum run --mock"
}

#[test]
fn a_newcomer_has_a_module_of_their_own_on_the_engine() {
    let ports = ["8080", "9090", "8545"];
    let guide = Guide::read("docs/guides/author-quickstart.md", &ports)
        .prelude(PRELUDE.to_owned())
        .again(compiles_nothing_again);
    assert!(guide.len() > 20, "{} commands", guide.len());

    let folder = Folder::empty();
    let nexum = Path::new(env!("CARGO_BIN_EXE_nexum"));
    let target = nexum.ancestors().nth(2).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let anvil = Anvil::program().unwrap();
    let guests = guests::target_dir();
    let _ = std::fs::remove_dir_all(guests.join("nexum/balance-alert"));
    let variables = [
        ("NEXUM", nexum),
        ("TARGET", target),
        ("GUESTS", &guests),
        ("CHECKOUT", root),
        ("ROOT", &folder.path("root")),
        ("ANVIL", anvil.parent().unwrap()),
    ];
    let began = std::time::Instant::now();
    let played = guide.play(&folder.path(""), &variables);
    println!(
        "a newcomer took {:.0?}, with {:.1?} for what is not compiling",
        began.elapsed(),
        played.again
    );
    // Some seconds for eight commands: however busy the machine is, not ten minutes.
    let far_too_long = Duration::from_secs(600);
    assert!(played.again < far_too_long, "{:?}", played.again);
}
