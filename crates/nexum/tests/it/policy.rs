//! What the operator says of single modules and is for no module: told of, and no reason to refuse.

use serde_json::Value;

use crate::{
    folder::{Folder, component, manifest, stderr, stdout},
    node::Node,
};

/// What `config check` warns of: the file's place, the message and the remedy of each.
fn warnings(folder: &Folder) -> Vec<(u64, String, String)> {
    let output = folder.nexum(&["config", "check", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true);
    let text = |warning: &Value, key: &str| warning[key].as_str().unwrap().to_owned();
    let warnings = report["warnings"].as_array().unwrap().iter();
    warnings
        .map(|it| {
            (
                it["line"].as_u64().unwrap(),
                text(it, "message"),
                text(it, "help"),
            )
        })
        .collect()
}

#[test]
fn ceilings_for_no_module_are_told_of() {
    let node = Node::at(2);
    let folder = Folder::following(&node.ws(), &["tally"]);
    assert_eq!(warnings(&folder), []);
    folder.bundle("spare", &manifest("counter"), &component("counter"));
    folder.append(
        "nexum-engine.toml",
        "[[modules]]\npath = \"spare\"\nenabled = false\n\
         [policy.modules.tally]\nmax_state_bytes = 1000000\n\
         [policy.modules.counter]\nmax_state_bytes = 1000000\n\
         [policy.modules.taly]\nmax_state_bytes = 1000000\n\
         [policy.modules.later]\nmax_state_bytes = 1000000\n",
    );
    let told = warnings(&folder);
    let [(_, later, names), (line, taly, near)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(
        later.contains("`policy.modules.later` is for no module"),
        "{later}"
    );
    assert_eq!(names, "there are \"counter\", \"tally\"");
    assert!(
        taly.contains("`policy.modules.taly` is for no module"),
        "{taly}"
    );
    assert_eq!(near, "did you mean `tally`?");

    let text = stdout(&folder.nexum(&["config", "check"]));
    let place = format!("warning: nexum-engine.toml:{line}:17: `policy.modules.taly`");
    assert!(text.contains(&place), "{text}");
    assert!(text.contains("help: did you mean `tally`?"), "{text}");

    let engine = folder.run();
    engine.wait_for_line("`policy.modules.taly` is for no module");
    engine.wait_for_line("engine is running");
    let loaded = folder.nexum(&["module", "load", "spare", "--name", "later"]);
    assert_eq!(loaded.status.code(), Some(0), "{}", stderr(&loaded));
    engine.stop();
    // What was loaded at run time is there at the next start.
    let told = warnings(&folder);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.contains("taly"), "{told:?}");
}

#[test]
fn credentials_for_no_module_are_told_of() {
    let node = Node::at(2);
    let folder = Folder::following(&node.ws(), &["tally"]);
    folder.append(
        "nexum-engine.toml",
        "[[http.credentials]]\nhost = \"api.example.org\"\nheader = \"x-key\"\n\
         value = \"planted\"\nmodules = [\"tally\", \"taly\"]\n",
    );
    let told = warnings(&folder);
    let [(_, taly, near)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(
        taly.contains("`http.credentials.modules` with taly is for no module"),
        "{taly}"
    );
    assert_eq!(near, "did you mean `tally`?");
    let text = stdout(&folder.nexum(&["config", "check"]));
    assert!(text.contains("taly") && !text.contains("planted"), "{text}");
}
