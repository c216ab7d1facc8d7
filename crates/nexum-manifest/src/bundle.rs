//! Bundles: the folder that an entry of the operator's file names, and how it goes together with
//! the rest of that file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use nexum_types::{ChainId, Config, ConfigValue, ModuleName};

use crate::{
    Capability, Ceilings, IdentityGrant, ManifestErrors, ModuleManifest, ModulePlaces, Pin, Place,
    Problem, Rate, Resources,
    config::{RawConfig, value_kind},
    engine::{EngineParts, EntryParts},
    module::{self, ModuleFile, ModuleParts},
    source::{self, Span},
};

/// A module's manifest in a bundle.
const MANIFEST: &str = "nexum.toml";
/// A module's component in a bundle.
const COMPONENT: &str = "module.wasm";

/// A module that is to run: its manifest with the operator's word laid over, and its component.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The manifest as it takes effect: `name` is the one the module runs under, `config` has the
    /// operator's values, and resources, capabilities and chains are what the operator grants.
    pub manifest: ModuleManifest,
    /// The resources that the manifest asks for.
    pub asked: Resources,
    /// The operator's ceilings for the module.
    pub ceilings: Ceilings,
    /// The accounts that the operator gives the module.
    pub identity: IdentityGrant,
    /// How much the module may log.
    pub log_rate: Rate,
    /// Where the component is. Its bytes have not been read.
    pub component: PathBuf,
    /// The digest that its bytes must have, if anyone says so.
    pub pin: Option<Pin>,
    /// Where that is written; the entry where it is not.
    pub pin_place: Place,
    /// Where the manifest says what.
    pub places: ModulePlaces,
    /// The entry of the operator's file.
    pub entry: Place,
    /// Whether that is the operator's file, and not what was loaded beside it.
    pub is_configured: bool,
}

impl Bundle {
    /// The name that the module runs under.
    #[must_use]
    pub fn name(&self) -> &ModuleName {
        &self.manifest.name
    }
}

/// Reads the bundle that the entry of a module names now.
pub(crate) fn reread(engine: &EngineParts, before: &Bundle) -> Result<Bundle, ManifestErrors> {
    let name = before.name();
    let its = engine.entries.iter().filter(|entry| runs(entry, name));
    let (mut bundles, problems) = read(engine, its);
    match (ManifestErrors::new(problems), bundles.pop()) {
        (None, Some(bundle)) => Ok(bundle),
        (Some(errors), _) => Err(errors),
        (None, None) => Err(without(engine, before)),
    }
}

/// Whether an entry runs the module of that name.
fn runs(entry: &EntryParts, name: &ModuleName) -> bool {
    match &entry.entry.name {
        Some(named) => named == name,
        None => open(&entry.entry.path, &entry.path).is_ok_and(|it| it.name.as_ref() == Some(name)),
    }
}

/// Why no entry runs a module that ran.
fn without(engine: &EngineParts, before: &Bundle) -> ManifestErrors {
    let name = before.name();
    let mut found = Vec::new();
    // Those whose manifest has the name could be its entry.
    for entry in engine.entries.iter().filter(|it| it.entry.name.is_none()) {
        match open(&entry.entry.path, &entry.path) {
            Err(problem) => found.push(*problem),
            Ok(ModuleParts {
                name: Some(other), ..
            }) if entry.entry.path.join(COMPONENT) == before.component => found.push(
                Problem::new(
                    entry.path.clone(),
                    format!("the bundle is of module {other} now, not of {name}"),
                )
                .with_help("a module's name is the identity of its state: keep it"),
            ),
            Ok(ModuleParts { name: Some(_), .. }) => {}
            Ok(unnamed) => found.extend(unnamed.problems),
        }
    }
    ManifestErrors::new(found).unwrap_or_else(|| {
        let file = &engine.file;
        let what = format!("{file} does not run module {name} any more");
        let help = format!(
            "write its entry again, without `enabled = false`; or end the module with \
             `nexum module unload {name}`"
        );
        let problem = Problem::new(engine.source.whole(), what);
        problem.with_help(help).into()
    })
}

/// Reads the bundle of each entry, and checks how they go together. The problems of the
/// operator's own file come first.
pub(crate) fn read_all(engine: &EngineParts) -> (Vec<Bundle>, Vec<Problem>) {
    read(engine, &engine.entries)
}

fn read<'a>(
    engine: &EngineParts,
    entries: impl IntoIterator<Item = &'a EntryParts>,
) -> (Vec<Bundle>, Vec<Problem>) {
    let (mut of_engine, mut of_modules, mut bundles) = (Vec::new(), Vec::new(), Vec::new());
    let mut named: BTreeMap<ModuleName, &EntryParts> = BTreeMap::new();
    // One bundle can stand behind several entries; what is wrong with its file is told once.
    let mut told = BTreeSet::new();
    for entry in entries {
        let folder = &entry.entry.path;
        let parts = match open(folder, &entry.path) {
            Ok(parts) => parts,
            Err(problem) => {
                of_engine.push(*problem);
                continue;
            }
        };
        if !fs::metadata(folder.join(COMPONENT)).is_ok_and(|file| file.is_file()) {
            of_engine.push(missing(
                &entry.path,
                folder,
                COMPONENT,
                "build the component into it",
            ));
        }
        if let Some(name) = entry.entry.name.as_ref().or(parts.name.as_ref()) {
            match named.get(name) {
                Some(first) => of_engine.push(same_name(name, first, entry)),
                None => drop(named.insert(name.clone(), entry)),
            }
        }
        of_engine.extend(differing_types(entry, &parts));
        of_engine.extend(denied(engine, entry, &parts));
        of_engine.extend(without_accounts(engine, entry, &parts));
        of_engine.extend(differing_digests(entry, &parts));
        if told.insert(folder) {
            of_modules.extend(missing_chains(engine, &parts));
            of_modules.extend(parts.problems);
        }
        if let Some(file) = parts.file {
            bundles.push(overlaid(engine, entry, file));
        }
    }
    of_engine.extend(of_modules);
    (bundles, of_engine)
}

/// The name that an entry's module would run under, if its bundle can be read.
pub(crate) fn name_of(entry: &EntryParts) -> Option<ModuleName> {
    let named = entry.entry.name.clone();
    named.or_else(|| open(&entry.entry.path, &entry.path).ok()?.name)
}

/// The bundle's manifest, or what the entry at `place` gets for an answer.
fn open(folder: &Path, place: &Place) -> Result<ModuleParts, Box<Problem>> {
    let path = folder.join(MANIFEST);
    let error = match source::read(&path) {
        Ok(text) => return Ok(module::parse(&path, text)),
        Err(error) => error,
    };
    let problem = if !folder.is_dir() {
        Problem::new(
            place.clone(),
            format!("there is no bundle at {}", folder.display()),
        )
        .with_label("no such folder")
        .with_help(
            "write the path of a folder with nexum.toml and module.wasm, relative to this \
                 file's folder",
        )
    } else if !path.exists() {
        missing(
            place,
            folder,
            MANIFEST,
            "write the module's manifest into it",
        )
    } else {
        Problem::new(place.clone(), format!("{}: {error}", path.display()))
            .with_label("this bundle")
            .with_help("check who may read it")
    };
    Err(Box::new(problem))
}

fn missing(place: &Place, folder: &Path, file: &str, help: &str) -> Problem {
    Problem::new(
        place.clone(),
        format!("the bundle {} has no {file}", folder.display()),
    )
    .with_label("this bundle")
    .with_help(help)
}

fn same_name(name: &ModuleName, first: &EntryParts, second: &EntryParts) -> Problem {
    let place = |entry: &EntryParts| entry.name.as_ref().unwrap_or(&entry.path).clone();
    Problem::new(place(second), format!("two modules are named `{name}`"))
        .with_label(format!("`{name}` again"))
        .with_also(place(first), format!("`{name}` is this one"))
        .with_help(format!(
            "a name is the identity of a module's state: give one of them another, such as name = \"{name}-2\""
        ))
}

/// A pin of the operator's that is not the author's: no bytes could satisfy both.
fn differing_digests(entry: &EntryParts, parts: &ModuleParts) -> Option<Problem> {
    let (pinned, place) = entry.entry.digest.zip(entry.digest.clone())?;
    let file = parts.file.as_ref()?;
    let (named, authors) = file
        .manifest
        .component
        .zip(file.places.component.clone())
        .filter(|(named, _)| *named != pinned)?;
    let name = entry.entry.name.as_ref().unwrap_or(&file.manifest.name);
    Some(
        Problem::new(
            place,
            format!(
                "the pin of module {name} is {pinned} here, and its manifest says that its \
                 component is {named}"
            ),
        )
        .with_label("pinned to this")
        .with_also(authors, "another one here")
        .with_help(format!(
            "if the component was meant to change, pin digest = \"sha256:{named}\"; if not, get \
             the bundle anew"
        )),
    )
}

/// Capabilities that the module requires and the operator denies.
fn denied(engine: &EngineParts, entry: &EntryParts, parts: &ModuleParts) -> Vec<Problem> {
    let Some(file) = &parts.file else {
        return Vec::new();
    };
    let name = entry.entry.name.as_ref().unwrap_or(&file.manifest.name);
    let denied = engine.policy.of(name).denied();
    let denied = file.manifest.capabilities.required.intersection(&denied);
    let problem = |capability: &Capability| {
        let denied_at = &engine.said.denied;
        let own = denied_at.get(&(Some(name.clone()), *capability));
        let place = own.or_else(|| denied_at.get(&(None, *capability)));
        let message = format!(
            "module {name} requires the capability \"{capability}\", which the policy denies"
        );
        Problem::new(place.unwrap_or(&entry.path).clone(), message)
            .with_label("denied here")
            .with_also(file.places.capabilities.clone(), "required here")
            .with_help(format!(
                "leave the module out, or give it ceilings of its own under [policy.modules.{name}]"
            ))
    };
    denied.map(problem).collect()
}

/// A module that requires accounts, and to which the operator gives none.
fn without_accounts(
    engine: &EngineParts,
    entry: &EntryParts,
    parts: &ModuleParts,
) -> Option<Problem> {
    let file = parts.file.as_ref()?;
    let name = entry.entry.name.as_ref().unwrap_or(&file.manifest.name);
    let required = &file.manifest.capabilities.required;
    let has_some = engine.identity.modules.contains_key(name);
    if !required.contains(&Capability::Identity) || has_some {
        return None;
    }
    let message = format!("module {name} requires \"identity\", and no account is given to it");
    Some(
        Problem::new(entry.path.clone(), message)
            .with_label("this module")
            .with_also(file.places.capabilities.clone(), "required here")
            .with_help(format!(
                "write to {}:\n[identity.modules.{name}]\naccounts = [\"0x…\"]",
                engine.file
            )),
    )
}

/// A value of the operator's that has another type than the author's.
fn differing_types(entry: &EntryParts, parts: &ModuleParts) -> Vec<Problem> {
    let Config(over) = &entry.entry.config;
    let differing = over.iter().filter_map(|(key, value)| {
        let place = entry.config.get(key)?;
        let (authors_key, authors_kind, span) = author(key, value, &parts.config)?;
        let authors = parts.source.place(span);
        let kind = value_kind(value);
        let message = if authors_key == *key {
            format!("`config.{}` is {kind} here and {authors_kind} in the module's manifest", key.escape_debug())
        } else {
            let (key, authors_key) = (key.escape_debug(), authors_key.escape_debug());
            format!("`config.{key}` is {kind} here, and the module's manifest has `config.{authors_key}` as {authors_kind}")
        };
        Some(
            Problem::new(place.clone(), message)
                .with_label(kind)
                .with_also(authors, format!("{authors_kind} here"))
                .with_help("write the type that the module's author chose"),
        )
    });
    differing.collect()
}

/// The author's key that `value` at `key` goes against, with its type and its place. A table
/// goes against a value of the same name, too.
fn author<'a>(
    key: &'a str,
    value: &ConfigValue,
    config: &'a RawConfig,
) -> Option<(&'a str, &'static str, Span)> {
    if let Some(entry) = config.0.get(key) {
        let kind = value_kind(&entry.value);
        return (kind != value_kind(value)).then(|| (key, kind, entry.span.clone()));
    }
    let below = format!("{key}.");
    if let Some((_, entry)) = config
        .0
        .range(below.clone()..)
        .next()
        .filter(|(k, _)| k.starts_with(&below))
    {
        return Some((key, "a table", entry.span.clone()));
    }
    let above = key.match_indices('.').map(|(dot, _)| &key[..dot]);
    above.into_iter().find_map(|above| {
        let (above, entry) = config.0.get_key_value(above)?;
        Some((above.as_str(), value_kind(&entry.value), entry.span.clone()))
    })
}

/// The chains that the module requires and the operator's file does not have.
fn missing_chains(engine: &EngineParts, parts: &ModuleParts) -> Vec<Problem> {
    let configured = &engine.chains;
    let missing = parts
        .chains
        .iter()
        .filter(|chain| !configured.contains(&chain.value));
    missing
        .map(|chain| {
            let id = chain.value;
            let file = &engine.file;
            Problem::new(
                parts.source.place(chain.span.clone()),
                format!("the module requires chain {id}, which {file} does not configure"),
            )
            .with_label("not configured")
            .with_help(format!(
                "add to {file}:\n[chains.{id}]\n[[chains.{id}.endpoints]]\nurl = {{ env = \"CHAIN_{id}_URL\" }}"
            ))
        })
        .collect()
}

/// The bundle as it takes effect.
fn overlaid(engine: &EngineParts, entry: &EntryParts, file: ModuleFile) -> Bundle {
    let ModuleFile {
        mut manifest,
        places,
    } = file;
    if let Some(name) = &entry.entry.name {
        manifest.name = name.clone();
    }
    let mut config: BTreeMap<_, _> = std::mem::take(&mut manifest.config.0).into_iter().collect();
    config.extend(entry.entry.config.0.iter().cloned());
    manifest.config = Config(config.into_iter().collect());
    let ceilings = engine.policy.of(&manifest.name);
    let asked = manifest.resources;
    manifest.resources = ceilings.cap(asked);
    manifest.capabilities.denied = ceilings.denied();
    let is_absent =
        |chain: &ChainId| places.optional_chains.contains(chain) && !engine.chains.contains(chain);
    manifest.absent_chains = manifest.chains.iter().copied().filter(is_absent).collect();
    manifest.chains.retain(|chain| !is_absent(chain));
    let subscriptions = &mut manifest.subscriptions;
    subscriptions.retain(|subscription| !subscription.chain_id().is_some_and(|id| is_absent(&id)));
    let (pin, pin_place) = pin(entry, &manifest, &places);
    Bundle {
        identity: engine
            .identity
            .modules
            .get(&manifest.name)
            .cloned()
            .unwrap_or_default(),
        log_rate: engine.policy.log_rate(&manifest.name),
        manifest,
        asked,
        ceilings,
        pin,
        pin_place,
        component: entry.entry.path.join(COMPONENT),
        places,
        entry: entry.path.clone(),
        is_configured: engine.is_operators,
    }
}

/// The operator's word where there is one, else the author's, and where it is written.
fn pin(
    entry: &EntryParts,
    manifest: &ModuleManifest,
    places: &ModulePlaces,
) -> (Option<Pin>, Place) {
    let operators = entry.entry.digest.map(Pin::Operator);
    let place = entry.digest.as_ref().or(places.component.as_ref());
    (
        operators.or(manifest.component.map(Pin::Manifest)),
        place.unwrap_or(&entry.path).clone(),
    )
}
