//! What a new version of a module asks for beyond what the running one has. An operator has to
//! accept that, and accepts just what was shown: the token stands for it.

use std::fmt::{self, Display};

use nexum_manifest::{Capability, ModuleManifest, Sha256};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// One thing that a new version asks for and the running one does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Widening {
    /// What it is of: `capability`, `http` (a server), `identity` (a function of it), `chain`, or a
    /// key of `[module.resources]`.
    pub kind: String,
    /// What the running version has; empty where it has none of it.
    pub has: String,
    /// What the new version asks for.
    pub asks: String,
}

impl Display for Widening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, has, asks } = self;
        if has.is_empty() {
            write!(f, "{kind} {asks}")
        } else {
            write!(f, "{kind} {asks} instead of {has}")
        }
    }
}

/// What `newer` asks for and `running` does not have, both as they take effect.
pub(crate) fn between(running: &ModuleManifest, newer: &ModuleManifest) -> Vec<Widening> {
    let mut more = Vec::new();
    let new = |kind: &str, asks: &dyn Display| Widening {
        kind: kind.to_owned(),
        has: String::new(),
        asks: asks.to_string(),
    };
    let (has, asks) = (running.capabilities.granted(), newer.capabilities.granted());
    more.extend(
        asks.difference(&has)
            .map(|capability| new("capability", capability)),
    );
    if asks.contains(&Capability::Http) {
        let servers = newer.http_allow.iter();
        let servers = servers.filter(|server| !running.http_allow.contains(server));
        more.extend(servers.map(|server| new("http", server)));
    }
    if asks.contains(&Capability::Identity) {
        let methods = newer.identity.difference(&running.identity);
        more.extend(methods.map(|method| new("identity", method)));
    }
    let chains = newer.chains.difference(&running.chains);
    more.extend(chains.map(|chain| new("chain", chain)));
    let (has, asks) = (&running.resources, &newer.resources);
    let numbers = [
        (
            "max_memory_bytes",
            has.max_memory_bytes,
            asks.max_memory_bytes,
        ),
        (
            "max_fuel_per_event",
            has.max_fuel_per_event,
            asks.max_fuel_per_event,
        ),
        ("max_state_bytes", has.max_state_bytes, asks.max_state_bytes),
    ];
    let grown = numbers.into_iter().filter(|(_, has, asks)| asks > has);
    more.extend(grown.map(|(key, has, asks)| Widening {
        kind: key.to_owned(),
        has: has.to_string(),
        asks: asks.to_string(),
    }));
    if asks.max_event_duration > has.max_event_duration {
        more.push(Widening {
            kind: "max_event_duration".to_owned(),
            has: format!("{:?}", has.max_event_duration),
            asks: format!("{:?}", asks.max_event_duration),
        });
    }
    more
}

/// The token that accepts `more` for the component with this digest.
pub(crate) fn token(more: &[Widening], component: Sha256) -> String {
    let mut hash = sha2::Sha256::new();
    hash.update(component.0);
    for widening in more {
        hash.update(widening.to_string());
        hash.update([0]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nexum_manifest::ModuleFile;

    use super::*;

    fn manifest(servers: &str) -> ModuleManifest {
        let text = format!(
            "[module]\nname = \"x\"\nversion = \"1\"\n[capabilities]\nrequired = [\"http\"]\n\
             [capabilities.http]\nallow = [{servers}]\n"
        );
        let file = ModuleFile::parse(Path::new("nexum.toml"), text).unwrap();
        file.into_manifest()
    }

    #[test]
    fn a_further_server_has_to_be_accepted() {
        let running = manifest("\"a.example\", \"b.example\"");
        assert_eq!(between(&running, &manifest("\"b.example\"")), []);
        let more = between(&running, &manifest("\"a.example\", \"*.a.example:8443\""));
        let told: Vec<_> = more.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["http https://*.a.example:8443"]);
    }
}
