//! `[http]` of the operator's file: what modules may do to servers outside, and the credentials
//! that the engine adds.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use nexum_types::ModuleName;
use serde_json::{Value, json};

use crate::{
    HostPattern, HttpCredential, HttpSettings, Scheme, SecretText,
    decode::{At, Decode, Decoder, Node, table},
    secret::{Env, Secret},
    source::{self, Span},
    values::Between,
    wording::quoted,
};

/// The longest value of a credential, in bytes: servers take no longer header.
const MAX_VALUE_BYTES: usize = 8 * 1024;

table! {
    /// What modules may do to servers outside, and the credentials that the engine adds.
    struct RawHttp {
        /// How long a connection may take to be made, the lookup of the name and TLS included.
        default connect_timeout: Duration = HttpSettings::default().connect_timeout,
        /// How long a server may send nothing while an answer is waited for.
        default idle_timeout: Duration = HttpSettings::default().idle_timeout,
        /// How long a request may take in all, redirects included, whatever the module asks for.
        default request_timeout: Duration = HttpSettings::default().request_timeout,
        /// The largest request: its URL, headers and body, in bytes.
        default max_request_bytes: Bytes = Between(HttpSettings::default().max_request_bytes),
        /// The largest body of a response, decoded, in bytes. What is larger is an error.
        default max_response_bytes: Bytes = Between(HttpSettings::default().max_response_bytes),
        /// How many requests of all modules are under way at once.
        default max_concurrent: Between<1, 10_000> = Between(HttpSettings::default().max_concurrent),
        /// How many redirects of one request are followed. With 0, none is: the module gets the redirect as its response.
        default max_redirects: Between<0, 10> = Between(HttpSettings::default().max_redirects),
        /// The servers that may be reached over http, in the clear, such as "10.0.0.5:8080".
        optional allow_http: Vec<At<Plain>>,
        /// The servers that may be reached at a loopback, private or otherwise special address, such as "10.0.0.5:8080".
        optional allow_private: Vec<At<HostPattern>>,
        /// A file with certificates in PEM of authorities to trust beside those of the machine, relative to this file's folder.
        optional ca_file: At<PathBuf>,
        /// The credentials that the engine adds to requests.
        optional credentials: Vec<At<RawCredential>>,
    }
}

/// More than a guest can hold is of no use.
type Bytes = Between<1, 67_108_864>;

table! {
    /// A header that the engine adds to requests as they leave. No module sees it.
    struct RawCredential {
        /// The servers that get it, such as "api.example.org" or "*.example.org:8443"; https unless "http://" stands before it.
        required host: At<Secure>,
        /// The header's name, such as "authorization".
        required header: At<HeaderName>,
        /// The header's whole value, such as "Bearer …": the text itself, { env = "NAME" } or { file = "path" }.
        required value: At<Secret>,
        /// The modules whose requests get it, by the names that they run under. Without this key, those of all modules.
        optional modules: Vec<At<ModuleName>>,
    }
}

fn decoded(node: &Node<'_>, decoder: &mut Decoder) -> Option<HostPattern> {
    let text = decoder.text::<HostPattern>(node)?;
    match text.parse() {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message = format!("{} is {}: {error}", decoder.subject(), quoted(text));
            let help = "write a host such as \"api.example.org\", \"*.example.org\" or \
                        \"api.example.org:8443\"; before it, \"http://\" where it is not https";
            decoder.report_with_help(node.span(), message, "no host", help);
            None
        }
    }
}

impl Decode for HostPattern {
    const EXPECTS: &'static str = "a host such as \"api.example.org\"";

    fn schema() -> Value {
        json!({
            "type": "string",
            "examples": ["api.example.org", "*.example.org:8443", "http://10.0.0.5:8080"],
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        decoded(node, decoder)
    }
}

/// A server that is reached over TLS unless the pattern says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Secure(pub(crate) HostPattern);

impl Decode for Secure {
    const EXPECTS: &'static str = HostPattern::EXPECTS;

    fn schema() -> Value {
        HostPattern::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        decoded(node, decoder).map(|pattern| Self(pattern.or_scheme(Scheme::Https)))
    }
}

/// A server that is reached in the clear.
#[derive(Debug, Clone)]
pub(crate) struct Plain(pub(crate) HostPattern);

impl Decode for Plain {
    const EXPECTS: &'static str = "a host such as \"10.0.0.5:8080\"";

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["10.0.0.5:8080", "http://localhost:8080"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let pattern = decoded(node, decoder)?;
        if pattern.scheme() == Some(Scheme::Https) {
            let message = format!("{} is an https server", decoder.subject());
            let help = "this list is for those that are reached over http; take it out";
            decoder.report_with_help(node.span(), message, "needs no permission", help);
            return None;
        }
        Some(Self(pattern.or_scheme(Scheme::Http)))
    }
}

/// The name of a header that may be set: a token (RFC 9110, section 5.1), in small letters.
#[derive(Clone)]
pub(crate) struct HeaderName(String);

impl Decode for HeaderName {
    const EXPECTS: &'static str = "the name of a header";

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+.^_`|~-".contains(c);
        let name = text.to_ascii_lowercase();
        if !(1..=128).contains(&name.len()) || !name.chars().all(is_token) {
            let message = format!(
                "{} is {}, which is no header's name",
                decoder.subject(),
                quoted(text)
            );
            let help = "write the name alone, such as \"authorization\" or \"x-api-key\"";
            decoder.report_with_help(node.span(), message, "no name", help);
            return None;
        }
        if HttpSettings::is_reserved_header(&name) {
            let message = format!(
                "{} is \"{name}\", which concerns the connection",
                decoder.subject()
            );
            let help = "the engine sets it itself; name a header that the server reads";
            decoder.report_with_help(node.span(), message, "not for a credential", help);
            return None;
        }
        Some(Self(name))
    }
}

/// The settings with their secrets resolved. What is bad is reported and left out.
pub(crate) fn resolve(
    raw: Option<&RawHttp>,
    folder: &Path,
    env: &Env<'_>,
    decoder: &mut Decoder,
) -> HttpSettings {
    let Some(raw) = raw else {
        return HttpSettings::default();
    };
    decoder.within("http", "", |decoder| HttpSettings {
        connect_timeout: raw.connect_timeout,
        idle_timeout: raw.idle_timeout,
        request_timeout: raw.request_timeout,
        max_request_bytes: raw.max_request_bytes.0,
        max_response_bytes: raw.max_response_bytes.0,
        max_concurrent: raw.max_concurrent.0,
        max_redirects: raw.max_redirects.0,
        allow_http: raw
            .allow_http
            .iter()
            .flatten()
            .map(|at| at.value.0.clone())
            .collect(),
        allow_private: raw
            .allow_private
            .iter()
            .flatten()
            .map(|at| at.value.clone())
            .collect(),
        authorities: raw
            .ca_file
            .as_ref()
            .and_then(|at| authorities(at, folder, decoder)),
        credentials: credentials(raw, folder, env, decoder),
    })
}

/// The modules that credentials are for, each with its place.
pub(crate) fn named_modules(raw: Option<&RawHttp>) -> Vec<(ModuleName, Span)> {
    let credentials = raw.iter().filter_map(|raw| raw.credentials.as_ref());
    let modules = credentials
        .flatten()
        .filter_map(|raw| raw.value.modules.as_ref())
        .flatten();
    modules
        .map(|at| (at.value.clone(), at.span.clone()))
        .collect()
}

fn authorities(path: &At<PathBuf>, folder: &Path, decoder: &mut Decoder) -> Option<String> {
    let file = folder.join(&path.value);
    let text = match source::read(&file) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return Some(text),
        Ok(_) => "it has no certificate in PEM".to_owned(),
        Err(error) => error,
    };
    let message = format!("`http.ca_file`: {}: {text}", file.display());
    let help = "write the path of a file with \"-----BEGIN CERTIFICATE-----\" in it";
    decoder.report_with_help(path.span.clone(), message, "of no use", help);
    None
}

fn credentials(
    raw: &RawHttp,
    folder: &Path,
    env: &Env<'_>,
    decoder: &mut Decoder,
) -> Vec<HttpCredential> {
    let mut seen: BTreeMap<(HostPattern, String, Option<ModuleName>), Span> = BTreeMap::new();
    let mut credentials = Vec::new();
    decoder.within("credentials", "", |decoder| {
        for At { value: raw, span } in raw.credentials.iter().flatten() {
            let modules: Option<BTreeSet<ModuleName>> = raw
                .modules
                .as_ref()
                .map(|modules| modules.iter().map(|at| at.value.clone()).collect());
            if modules.as_ref().is_some_and(BTreeSet::is_empty) {
                let message = "`http.credentials.modules` is empty".to_owned();
                let help = "name the modules, or leave the key out: then it is for all of them";
                decoder.report_with_help(span.clone(), message, "for nobody", help);
            }
            let value = raw
                .value
                .as_ref()
                .and_then(|at| value(at, folder, env, decoder));
            let (Some(host), Some(header)) = (&raw.host, &raw.header) else {
                continue;
            };
            let (host, header_name) = (&host.value.0, &header.value.0);
            let whose: Vec<_> = match &modules {
                None => vec![None],
                Some(modules) => modules.iter().cloned().map(Some).collect(),
            };
            for module in whose {
                let key = (host.clone(), header_name.clone(), module);
                if let Some(first) = seen.insert(key, header.span.clone()) {
                    let message =
                        format!("two credentials set the header \"{header_name}\" of {host}");
                    let help = "take one out, or name different `modules`";
                    decoder.report_twice(first, header.span.clone(), message, help);
                }
            }
            let Some(value) = value else { continue };
            credentials.push(HttpCredential {
                host: host.clone(),
                header: header_name.clone(),
                value,
                modules,
            });
        }
    });
    credentials
}

/// A credential's value. What is wrong with it is said without any part of it.
fn value(
    secret: &At<Secret>,
    folder: &Path,
    env: &Env<'_>,
    decoder: &mut Decoder,
) -> Option<SecretText> {
    let (message, help) = match secret.value.resolve(folder, env) {
        Ok(text) if text.is_empty() => ("the value is empty".to_owned(), "write it".to_owned()),
        Ok(text) if text.len() > MAX_VALUE_BYTES => (
            format!(
                "{} has more than {MAX_VALUE_BYTES} bytes",
                secret.value.origin()
            ),
            "servers take no longer header".to_owned(),
        ),
        Ok(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text => {
            return Some(SecretText::new(text));
        }
        Ok(_) => (
            format!(
                "{} has a character that no header's value has, or a blank at an end",
                secret.value.origin()
            ),
            "a value is visible ASCII on one line".to_owned(),
        ),
        Err(error) => (error.message, error.help),
    };
    let message = format!("`http.credentials.value`: {message}");
    decoder.report_with_help(secret.span.clone(), message, "from here", help);
    None
}
