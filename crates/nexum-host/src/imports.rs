//! What a component imports, held against what its manifest declares. Nothing is compiled for it.

use std::collections::BTreeSet;

use nexum_manifest::{Capabilities, Capability};
use wasmtime::wasmparser::{ComponentTypeRef, Parser, Payload};

use crate::{
    load::{CONTRACT, CONTRACT_VERSION, LoadError},
    wasi,
};

/// The interface that has types only; it grants nothing.
const TYPES: &str = "types";

/// Refuses a component that imports what is not declared, what no engine has, or another version of
/// the contract, and what is no component. That it passes does not say that it compiles or that it
/// is of the right world: that is for [`Host::load`](crate::Host::load).
pub fn check_imports(component: &[u8], declared: &Capabilities) -> Result<(), LoadError> {
    check_kind(component)?;
    let mut names = BTreeSet::new();
    let mut levels = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| LoadError::Compile(error.to_string()))?;
        match payload {
            Payload::Version { .. } => levels += 1,
            Payload::End(_) => levels = levels.saturating_sub(1),
            // What is within takes its imports from around it.
            Payload::ComponentImportSection(section) if levels == 1 => {
                for import in section {
                    let import = import.map_err(|error| LoadError::Compile(error.to_string()))?;
                    // A type that the world uses by name; the interface it is of is there as well.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        names.insert(import.name.name);
                    }
                }
            }
            _ => {}
        }
    }
    check(names.into_iter(), declared)
}

/// Tells components from what is often given in their place, by the preamble (the component
/// binary format: magic, version, layer).
pub(crate) fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    let found = match bytes {
        [] => "an empty file",
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => "a core WebAssembly module",
        [0, b'a', b's', b'm', ..] => "WebAssembly of an unknown layer",
        _ => "no WebAssembly at all",
    };
    Err(LoadError::NotAComponent { found })
}

/// Holds the names of imports, in the order of their letters, against what is declared.
pub(crate) fn check<'a>(
    imports: impl Iterator<Item = &'a str>,
    declared: &Capabilities,
) -> Result<(), LoadError> {
    let all = declared.declared();
    let mut undeclared = BTreeSet::new();
    let mut unknown = Vec::new();
    for import in imports {
        let (path, version) = import.split_once('@').unwrap_or((import, ""));
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        if wasi::PACKAGES.contains(&package) {
            continue;
        }
        if package != CONTRACT {
            unknown.push(import.to_owned());
        } else if version != CONTRACT_VERSION {
            let import = import.to_owned();
            return Err(LoadError::OtherVersion { import });
        } else if let Some(capability) = Capability::from_name(interface) {
            if !all.contains(&capability) {
                undeclared.insert(capability);
            }
        } else if interface != TYPES {
            unknown.push(import.to_owned());
        }
    }
    if !unknown.is_empty() {
        return Err(LoadError::UnknownImports(unknown));
    }
    if !undeclared.is_empty() {
        return Err(LoadError::Undeclared {
            missing: undeclared,
            declared: declared.clone(),
        });
    }
    Ok(())
}
