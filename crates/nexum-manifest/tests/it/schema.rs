//! The schemas that are checked in are those of the types.

use std::{env, fs, path::Path};

use nexum_manifest::{schema_engine, schema_module};
use serde_json::Value;

use crate::check::{MODULE, module};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference");

#[test]
fn the_schemas_on_disk_are_up_to_date() {
    for (name, schema) in [
        ("nexum", schema_module()),
        ("nexum-engine", schema_engine()),
    ] {
        let path = Path::new(REFERENCE).join(format!("schema/{name}.schema.json"));
        if env::var_os("NEXUM_UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &schema).unwrap();
        }
        let on_disk = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            on_disk == schema,
            "{} is stale: run with NEXUM_UPDATE=1",
            path.display()
        );
    }
}

#[test]
fn the_references_name_every_key_and_every_default() {
    for (name, schema) in [
        ("nexum-toml", schema_module()),
        ("nexum-engine-toml", schema_engine()),
    ] {
        let page = fs::read_to_string(Path::new(REFERENCE).join(format!("{name}.md"))).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let mut keys = Vec::new();
        collect(&schema, &mut keys);
        assert!(!keys.is_empty());
        for (key, default) in keys {
            let named = page.lines().any(|line| {
                line.contains(&format!("`{key}`"))
                    && default
                        .as_ref()
                        .is_none_or(|default| line.contains(default))
            });
            assert!(
                named,
                "{name}.md has no line with `{key}` and its default {default:?}"
            );
        }
    }
}

#[test]
fn the_examples_of_the_manifests_reference_are_good() {
    let page = fs::read_to_string(Path::new(REFERENCE).join("nexum-toml.md")).unwrap();
    let examples: Vec<_> = page.split("```toml\n").skip(1).collect();
    assert!(examples.len() > 1);
    for example in examples {
        let example = example.split("```").next().unwrap();
        let text = if example.starts_with("[module]") {
            example.to_owned()
        } else {
            format!("{MODULE}{example}")
        };
        if let Err(errors) = module(&text) {
            panic!("{example}\n{errors}");
        }
    }
}

/// Each key with its default as it is written in the file. Defaults that are tables are told by
/// their own keys.
fn collect(schema: &Value, keys: &mut Vec<(String, Option<String>)>) {
    match schema {
        Value::Object(object) => {
            for (key, schema) in object
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let default = schema.get("default").filter(|default| !default.is_object());
                keys.push((key.clone(), default.map(Value::to_string)));
            }
            object.values().for_each(|schema| collect(schema, keys));
        }
        Value::Array(items) => items.iter().for_each(|schema| collect(schema, keys)),
        _ => {}
    }
}
