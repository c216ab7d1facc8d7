//! What the compiler says about a module that is wrong: one file of `tests/diagnostics` for each
//! subject, with what is said beside it. `TRYBUILD=overwrite` writes it anew.

use std::{fs, path::Path};

#[test]
fn say_what_is_wrong_where_and_what_to_do() {
    let cases = Path::new("tests/diagnostics");
    // The folder that the cases are compiled in, as a crate of their own: their manifests are
    // beside its Cargo.toml.
    let crate_folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("tests/trybuild/nexum-macros");
    fs::create_dir_all(&crate_folder).unwrap();
    for entry in fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let name = path.file_name().unwrap();
            fs::copy(&path, crate_folder.join(name)).unwrap();
        }
    }
    trybuild::TestCases::new().compile_fail(cases.join("*.rs"));
}
