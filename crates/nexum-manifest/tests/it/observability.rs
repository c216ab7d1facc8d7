//! `[observability]` of `nexum-engine.toml`.

use std::{net::SocketAddr, path::Path};

use nexum_manifest::{EngineFile, ObservabilitySettings, Place, StatusPage};

use crate::check::{ENGINE, Folder, check_engine, env};

/// A problem that stands after [`ENGINE`].
#[track_caller]
fn check_after(text: &str, report: &str) {
    check_engine(&format!("{ENGINE}{text}"), report);
}

fn settings(text: &str) -> ObservabilitySettings {
    let text = format!("{ENGINE}[observability]\n{text}");
    let folder = Folder::with(&[("nexum-engine.toml", &text)]);
    folder.engine().unwrap().observability
}

fn address(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn each_is_an_address_or_off() {
    let default = settings("");
    assert_eq!(default, ObservabilitySettings::default());
    let off = settings("metrics = \"off\"\nhealth = \"off\"\n");
    assert_eq!((off.metrics, off.health), (None, None));
    let open = settings("metrics = \"0.0.0.0:9100\"\nhealth = \"[::]:80\"\n");
    assert_eq!(open.metrics, address("0.0.0.0:9100"));
    assert_eq!(open.health, address("[::]:80"));
}

#[test]
fn the_log_is_shown_on_loopback_or_where_the_operator_says_so() {
    let page = |text: &str| settings(text).status_page;
    for (health, unsaid) in [
        ("127.0.0.1:8080", StatusPage::WithLogs),
        ("127.1.2.3:8080", StatusPage::WithLogs),
        ("[::1]:8080", StatusPage::WithLogs),
        ("0.0.0.0:8080", StatusPage::WithoutLogs),
        ("[::]:8080", StatusPage::WithoutLogs),
        ("10.0.0.5:8080", StatusPage::WithoutLogs),
    ] {
        let health = format!("health = \"{health}\"\n");
        assert_eq!(page(&health), unsaid, "{health}");
        for (word, said) in [
            ("with-logs", StatusPage::WithLogs),
            ("without-logs", StatusPage::WithoutLogs),
            ("off", StatusPage::Off),
        ] {
            assert_eq!(page(&format!("{health}status_page = \"{word}\"\n")), said);
        }
    }
}

#[test]
fn what_no_status_page_is() {
    check_after(
        "[observability]\nstatus_page = \"with-log\"\n",
        "
nexum-engine.toml:4:15: `observability.status_page` does not take \"with-log\"
  help: did you mean \"with-logs\"?
",
    );
    check_after(
        "[observability]\nstatus_page = false\n",
        "
nexum-engine.toml:4:15: `observability.status_page` takes \"with-logs\", \"without-logs\" or \"off\", not a boolean
  help: What the status page shows: \"with-logs\", \"without-logs\", or \"off\" for no page
",
    );
}

#[test]
fn what_is_no_address() {
    check_after(
        "[observability]
metrics = \"localhost:9090\"
health = 8080
metric = \"off\"
",
        "
nexum-engine.toml:4:11: `observability.metrics` is \"localhost:9090\", which is no address
  help: write an IP address and a port, such as \"127.0.0.1:9090\", or \"off\"
nexum-engine.toml:5:10: `observability.health` takes an address such as \"127.0.0.1:9090\", or \"off\", not an integer
  help: The address of the health reports, under `/health`, and of the status page, or \"off\"
nexum-engine.toml:6:1: unknown key `metric` in `observability`
  help: the keys here are `metrics`, `health`, `hosts`, `status_page`
",
    );
}

#[test]
fn two_servers_at_one_address() {
    let same = "metrics = \"127.0.0.1:9000\"\nhealth = \"127.0.0.1:9000\"\n";
    check_after(
        &format!("[observability]\n{same}"),
        "
nexum-engine.toml:5:10: `metrics` and `health` both have the address 127.0.0.1:9000
  nexum-engine.toml:4:11: first here
  help: give each a port of its own
",
    );
    // One of them is the default.
    check_after(
        "[observability]\nmetrics = \"127.0.0.1:8080\"\n",
        "
nexum-engine.toml:4:11: `metrics` and `health` both have the address 127.0.0.1:8080
  help: give each a port of its own
",
    );
    check_after(
        "[observability]\nhealth = \"127.0.0.1:9090\"\n",
        "
nexum-engine.toml:4:10: `metrics` and `health` both have the address 127.0.0.1:9090
  help: give each a port of its own
",
    );
    // Each gets a free port, and nothing listens twice.
    settings("metrics = \"127.0.0.1:0\"\nhealth = \"127.0.0.1:0\"\n");
    settings("metrics = \"off\"\nhealth = \"off\"\n");
}

#[test]
fn what_is_no_host_name() {
    check_after(
        "[observability]\nhosts = [\"ok\", \"http://nexum\", \"nexum:80\", \"\", 3]\n",
        "
nexum-engine.toml:4:16: an entry of `observability.hosts` is \"http://nexum\", which is no host name
  help: write the name alone, without scheme and port, such as \"nexum.internal\"
nexum-engine.toml:4:32: an entry of `observability.hosts` is \"nexum:80\", which is no host name
  help: write the name alone, without scheme and port, such as \"nexum.internal\"
nexum-engine.toml:4:44: an entry of `observability.hosts` is \"\", which is no host name
  help: write the name alone, without scheme and port, such as \"nexum.internal\"
nexum-engine.toml:4:48: an entry of `observability.hosts` takes a host name, not an integer
  help: The host names by which both are asked, such as \"nexum.internal\"
",
    );
    let many = vec!["\"a\""; 65].join(", ");
    check_after(
        &format!("[observability]\nhosts = [{many}]\n"),
        "
nexum-engine.toml:4:330: `observability.hosts` has more than 64
",
    );
}

#[test]
fn the_file_knows_where_the_addresses_are() {
    let text = format!("{ENGINE}[observability]\nhealth = \"off\"\n");
    let folder = Folder::with(&[("nexum-engine.toml", &text)]);
    let file = EngineFile::load_with(&folder.path("nexum-engine.toml"), &env).unwrap();
    let line = |place: &Place| {
        assert!(Path::new(place.file()).ends_with("nexum-engine.toml"));
        place.line()
    };
    assert_eq!(line(file.health()), Some(4));
    assert_eq!(line(file.metrics()), None, "it is the default");
}
