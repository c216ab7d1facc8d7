//! `[observability]` of the operator's file: where the engine tells how it and its modules are.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::{
    ObservabilitySettings, StatusPage,
    decode::{At, Decode, Decoder, Node, Written, table},
    source::Span,
    wording::quoted,
};

/// So many names are enough for every way to one engine.
const MAX_HOSTS: usize = 64;
/// The longest host name (RFC 1035, section 2.3.4).
const MAX_HOST_BYTES: usize = 253;

table! {
    /// Where the engine tells how it and its modules are.
    struct RawObservability {
        /// The address where metrics are served to Prometheus, under `/metrics`, or "off".
        default metrics: At<Listen> = At::nowhere(loopback(ObservabilitySettings::METRICS_PORT)),
        /// The address of the health reports, under `/health`, and of the status page, or "off".
        default health: At<Listen> = At::nowhere(loopback(ObservabilitySettings::HEALTH_PORT)),
        /// The host names by which both are asked, such as "nexum.internal". An IP address and `localhost` always do.
        optional hosts: Vec<At<HostName>>,
        /// What the status page shows: "with-logs", "without-logs", or "off" for no page. Without this key, the last lines of the log are shown only where `health` is a loopback address.
        optional status_page: StatusPage,
    }
}

/// An address to listen on. `None`: nothing listens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listen(Option<SocketAddr>);

fn loopback(port: u16) -> Listen {
    Listen(Some((Ipv4Addr::LOCALHOST, port).into()))
}

impl Decode for Listen {
    const EXPECTS: &'static str = "an address such as \"127.0.0.1:9090\", or \"off\"";

    fn schema() -> Value {
        json!({ "type": "string", "examples": ["127.0.0.1:9090", "[::1]:9090", "off"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        if text == "off" {
            return Some(Self(None));
        }
        if let Ok(address) = text.parse() {
            return Some(Self(Some(address)));
        }
        let subject = decoder.subject();
        let message = format!("{subject} is {}, which is no address", quoted(text));
        let help = "write an IP address and a port, such as \"127.0.0.1:9090\", or \"off\"";
        decoder.report_with_help(node.span(), message, "no address", help);
        None
    }
}

impl Written for Listen {
    fn written(&self) -> Value {
        match self.0 {
            Some(address) => json!(address.to_string()),
            None => json!("off"),
        }
    }
}

/// A host name without a port, in lower case.
#[derive(Clone)]
pub(crate) struct HostName(String);

impl Decode for HostName {
    const EXPECTS: &'static str = "a host name";

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,253}$" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if (1..=MAX_HOST_BYTES).contains(&text.len()) && text.chars().all(allowed) {
            return Some(Self(text.to_ascii_lowercase()));
        }
        let subject = decoder.subject();
        let message = format!("{subject} is {}, which is no host name", quoted(text));
        let help = "write the name alone, without scheme and port, such as \"nexum.internal\"";
        decoder.report_with_help(node.span(), message, "no host name", help);
        None
    }
}

impl Decode for StatusPage {
    const EXPECTS: &'static str = "\"with-logs\", \"without-logs\" or \"off\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["with-logs", "without-logs", "off"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["with-logs", "without-logs", "off"])?;
        Some([Self::WithLogs, Self::WithoutLogs, Self::Off][index])
    }
}

/// Where the addresses are written. `None`: it is the default.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    pub(crate) metrics: Option<Span>,
    pub(crate) health: Option<Span>,
}

/// The settings, and where they are.
pub(crate) fn resolve(
    raw: Option<&RawObservability>,
    decoder: &mut Decoder,
) -> (ObservabilitySettings, Spans) {
    let Some(raw) = raw else {
        return Default::default();
    };
    decoder.within("observability", "", |decoder| {
        check_apart(&raw.metrics, &raw.health, decoder);
        let hosts = raw.hosts.as_deref().unwrap_or_default();
        if let Some(first_over) = hosts.get(MAX_HOSTS) {
            let message = format!("`{}.hosts` has more than {MAX_HOSTS}", decoder.keys());
            decoder.report(first_over.span.clone(), message, "too many");
        }
        let settings = ObservabilitySettings {
            metrics: raw.metrics.value.0,
            health: raw.health.value.0,
            hosts: hosts.iter().map(|host| host.value.0.clone()).collect(),
            status_page: raw
                .status_page
                .unwrap_or_else(|| StatusPage::unsaid(raw.health.value.0)),
        };
        let written = |at: &At<Listen>| Some(at.span.clone()).filter(|span| !span.is_empty());
        let spans = Spans {
            metrics: written(&raw.metrics),
            health: written(&raw.health),
        };
        (settings, spans)
    })
}

/// Two servers cannot have one address. Port 0 is a free one for each.
fn check_apart(metrics: &At<Listen>, health: &At<Listen>, decoder: &mut Decoder) {
    let Some(address) = metrics.value.0 else {
        return;
    };
    if address.port() == 0 || health.value != metrics.value {
        return;
    }
    let message = format!("`metrics` and `health` both have the address {address}");
    let help = "give each a port of its own";
    match (metrics.span.is_empty(), health.span.is_empty()) {
        (false, false) => {
            decoder.report_twice(metrics.span.clone(), health.span.clone(), message, help);
        }
        (true, _) => decoder.report_with_help(health.span.clone(), message, "taken", help),
        (_, true) => decoder.report_with_help(metrics.span.clone(), message, "taken", help),
    }
}
