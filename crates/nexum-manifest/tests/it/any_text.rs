//! No text makes the crate panic, and no report of one is empty.

use miette::Diagnostic;
use proptest::prelude::*;

use crate::check::{Folder, module};

/// Pieces that get further than noise does.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[module]",
        "[[modules]]",
        "[chains.1]",
        "[[chains.1.endpoints]]",
        "[config]",
        "[engine]",
        "[capabilities]",
        "[[subscription]]",
        "[identity.modules.a]",
        "[[identity.modules.a.transactions]]",
        "name",
        "url",
        "required",
        "chain_id",
        "kind",
        "path",
        "state_dir",
        "durability",
        "start",
        "event",
        "where",
        "topics",
        "address",
        "from",
        "burst",
        "call_deadline",
        "accounts",
        "chains",
        "to",
        "max_value",
        "max_fee_per_gas",
        "=",
        "=",
        "=",
        ".",
        ",",
        "{",
        "}",
        "[",
        "]",
        "\n",
        "\n",
        "\"block\"",
        "\"log\"",
        "\"*\"",
        "\"0x\"",
        "\"E(address indexed from, (uint8,é)[] x\"",
        "\"E(int24[2] indexed from, bytes b) anonymous\"",
        "\"E(int24 indexed from)\"",
        "\"-0x8000\"",
        "\"x\"",
        "'''",
        "\"\"\"",
        "\"1s\"",
        "\"1.5 ether\"",
        "\".é wei\"",
        "\"any\"",
        "1",
        "-1",
        "1.5",
        "0x10",
        "true",
        "1979-05-27",
        "99999999999999999999",
        "é",
        "\u{1b}",
        "#",
        "\"https://u:p@h/k\"",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), pieces()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn of_a_manifest(text in text()) {
        if let Err(errors) = module(&text) {
            prop_assert!(!errors.to_string().is_empty());
            render(&errors);
        }
    }

    #[test]
    fn of_an_engine_file(text in text()) {
        let folder = Folder::with(&[("nexum-engine.toml", &text)]);
        if let Err(errors) = folder.setup() {
            prop_assert!(!errors.to_string().is_empty());
            render(&errors);
        }
    }
}

/// Reads the excerpt of every label, as a renderer does.
fn render(errors: &dyn Diagnostic) {
    for problem in errors.related().into_iter().flatten() {
        let Some(source) = problem.source_code() else {
            continue;
        };
        for label in problem.labels().into_iter().flatten() {
            source
                .read_span(label.inner(), 1, 1)
                .expect("a label lies in its text");
        }
    }
}
