//! Requests that are made to reach what they should not: by name, by address, by spelling.

use nexum_http::Egress;
use nexum_manifest::HttpSettings;
use nexum_testkit::web::{Reply, WebServer};
use nexum_types::HostErrorKind;
use url::Url;

use crate::support::{Names, egress, fetch, get, grants, open, patterns, request, told};

/// Addresses, in every spelling, that no request may dial. `PORT` is that of a server on this
/// machine, which must hear nothing.
const LITERALS: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.0.0.2:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0x7f.0x0.0x0.0x1:PORT/",
    "http://017700000001:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://169.254.0.23/",
    "http://192.0.0.192/opc/v2/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "https://127.0.0.1:PORT/",
];

/// Addresses that a name of the outside is made to point at.
const RESOLVED: &[&str] = &[
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.1.1",
    "100.64.1.1",
    "169.254.169.254",
    "169.254.0.23",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.5",
    "198.19.0.1",
    "224.0.0.251",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2001::1",
    "fe80::1",
    "fd00:ec2::254",
    "fc00::1",
    "ff02::1",
    "2001:db8::1",
];

/// The pattern of the server of a URL.
fn server(url: &str) -> String {
    let url = Url::parse(url).unwrap();
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap())
}

async fn trap() -> WebServer {
    WebServer::start(|_| Reply::new(200, &[], "caught"))
        .await
        .unwrap()
}

#[tokio::test]
async fn no_spelling_of_an_address_is_dialled() {
    let trap = trap().await;
    for case in LITERALS {
        let url = case.replace("PORT", &trap.port().to_string());
        let server = server(&url);
        // All is allowed but the address.
        let settings = HttpSettings {
            allow_http: patterns(&[&server]),
            ..HttpSettings::default()
        };
        let names = Names::new(&[]);
        let http = egress(settings, &names).of(grants(&[&server]));
        let failure = get(&http, &url).await.unwrap_err();
        assert_eq!(
            failure.error.kind,
            HostErrorKind::Denied,
            "{case}: {failure:?}"
        );
        assert!(
            failure
                .denied
                .unwrap()
                .contains("not of the public internet"),
            "{case}"
        );
        assert!(failure.error.message.contains("`allow_private`"), "{case}");
        assert!(names.asked().is_empty(), "{case} is looked up by nobody");
    }
    assert_eq!(trap.connections(), 0);
    assert!(LITERALS.len() + RESOLVED.len() >= 40);
}

#[tokio::test]
async fn no_name_leads_to_such_an_address() {
    let trap = trap().await;
    let url = trap.url_by("api.example.org");
    for address in RESOLVED {
        let settings = HttpSettings {
            allow_http: patterns(&[&url]),
            ..HttpSettings::default()
        };
        let names = Names::new(&[("api.example.org", &[&[address]])]);
        let http = egress(settings, &names).of(grants(&[&url]));
        let failure = get(&http, &url).await.unwrap_err();
        assert_eq!(
            failure.error.kind,
            HostErrorKind::Denied,
            "{address}: {failure:?}"
        );
        assert_eq!(names.asked(), ["api.example.org"], "{address}");
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn what_is_not_a_request_to_a_server_is_malformed() {
    let trap = trap().await;
    let port = trap.port();
    let http = egress(open(&["*.example.org", "127.0.0.1"]), &Names::new(&[])).of(grants(&[
        "http://api.example.org",
        &format!("http://127.0.0.1:{port}"),
    ]));
    for url in [
        format!("http://user:pass@127.0.0.1:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://api.example.org@127.0.0.1:{port}/"),
        format!("http://:pass@127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "gopher://api.example.org/_x".to_owned(),
        "ftp://api.example.org/".to_owned(),
        "unix:/run/docker.sock".to_owned(),
        "data:text/plain,x".to_owned(),
        "javascript:alert(1)".to_owned(),
        "//api.example.org/".to_owned(),
        "http://".to_owned(),
        "http://127.0.0.1:99999/".to_owned(),
        "http://256.0.0.1/".to_owned(),
        "http://1.2.3.4.5/".to_owned(),
    ] {
        let (kind, message) = told(get(&http, &url).await);
        assert_eq!(kind, HostErrorKind::InvalidInput, "{url}");
        assert!(!message.contains("pass"), "{message}");
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn only_listed_servers_are_asked() {
    let trap = trap().await;
    let names = Names::new(&[]);
    let base = HttpSettings {
        allow_http: patterns(&["*.example.org", "plain.example.net"]),
        ..HttpSettings::default()
    };
    let mut granted = grants(&[
        "https://api.example.org",
        "http://api.example.org",
        "https://*.example.net",
        "http://other.example.com",
    ]);
    granted.policy_deny = patterns(&["bad.example.net"]);
    granted.policy_allow = Some(patterns(&[
        "api.example.org",
        "*.example.net",
        "other.example.com",
    ]));
    let http = egress(base.clone(), &names).of(granted.clone());
    for (url, why) in [
        ("https://example.org/", "does not list"),
        ("https://api.example.org:8443/", "does not list"),
        ("https://api.example.org.evil.com/", "does not list"),
        ("https://evilapi.example.org/", "does not list"),
        ("https://api.example.org./", "does not list"),
        ("https://example.net/", "does not list"),
        ("http://a.example.net/", "does not list"),
        ("https://bad.example.net/", "policy denies"),
        ("http://other.example.com/", "without TLS"),
    ] {
        let failure = get(&http, url).await.unwrap_err();
        assert_eq!(failure.error.kind, HostErrorKind::Denied, "{url}");
        assert!(
            failure.denied.as_ref().unwrap().contains(why),
            "{url}: {failure:?}"
        );
    }
    granted.policy_allow = Some(patterns(&["*.example.net"]));
    let narrow = egress(base, &names).of(granted);
    let failure = get(&narrow, "https://api.example.org/").await.unwrap_err();
    assert!(failure.denied.unwrap().contains("not among those"));
    // Nothing of that was looked up; and what is listed is.
    assert!(names.asked().is_empty());
    let (kind, message) = told(get(&http, "https://api.example.org/?key=tok3n").await);
    assert_eq!(kind, HostErrorKind::Unavailable);
    assert_eq!(message, "the name of api.example.org has no address");
    assert_eq!(names.asked(), ["api.example.org"]);
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn what_the_operator_lists_is_reached_and_nothing_beside_it() {
    let server = trap().await;
    let other = trap().await;
    let (by_address, by_name) = (server.url(), server.url_by("inside.example.org"));
    let elsewhere = other.url();
    let names = Names::new(&[
        ("inside.example.org", &[&["127.0.0.1"]]),
        (
            "keys.example.org",
            &[
                &["169.254.169.254"],
                &["169.254.0.23"],
                &["100.100.100.200"],
                &["192.0.0.192"],
            ],
        ),
        ("many.example.org", &[&["0.0.0.0", "255.255.255.255"]]),
    ]);
    let mut settings = open(&[
        &by_address,
        &by_name,
        "keys.example.org",
        "many.example.org",
    ]);
    settings.allow_http.extend(patterns(&[&elsewhere]));
    let allow = [
        &*by_address,
        &*by_name,
        &*elsewhere,
        "http://keys.example.org",
        "http://many.example.org",
    ];
    let http = egress(settings, &names).of(grants(&allow));
    for url in [
        &by_address,
        &by_name,
        &by_address.replace("127.0.0.1", "0x7f.1"),
    ] {
        let response = get(&http, url).await.unwrap();
        assert_eq!(
            (response.status, &*response.body),
            (200, &b"caught"[..]),
            "{url}"
        );
    }
    // Another port of the same machine is another server.
    let (kind, _) = told(get(&http, &elsewhere).await);
    assert_eq!((kind, other.connections()), (HostErrorKind::Denied, 0));
    // A listed name may be made to point anywhere: not at what tells a machine its keys.
    for (url, answers) in [
        ("http://keys.example.org/", 4),
        ("http://many.example.org/", 1),
    ] {
        for answer in 0..answers {
            assert_eq!(
                told(get(&http, url).await).0,
                HostErrorKind::Denied,
                "{url}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn the_address_that_is_checked_is_the_one_that_is_dialled() {
    let trap = trap().await;
    let url = trap.url_by("rebind.example.org");
    // Public when it is asked first, though nobody is there (RFC 3701), and this machine ever after.
    let names = Names::new(&[("rebind.example.org", &[&["3ffe::1"], &["127.0.0.1"]])]);
    let settings = HttpSettings {
        allow_http: patterns(&[&url]),
        connect_timeout: std::time::Duration::from_millis(300),
        ..HttpSettings::default()
    };
    let http = egress(settings, &names).of(grants(&[&url]));
    // One lookup for one request: what comes of it is what is dialled, and nobody answers there.
    let (kind, _) = told(get(&http, &url).await);
    assert_ne!(kind, HostErrorKind::Denied);
    assert_eq!(names.asked().len(), 1);
    // The next one is told this machine, and that is looked at like the first.
    let (kind, _) = told(get(&http, &url).await);
    assert_eq!((kind, names.asked().len()), (HostErrorKind::Denied, 2));
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_are_dialled() {
    let server = trap().await;
    let url = server.url_by("both.example.org");
    let names = Names::new(&[(
        "both.example.org",
        &[&["169.254.169.254", "0.0.0.0", "127.0.0.1"]],
    )]);
    let http = egress(open(&[&url]), &names).of(grants(&[&url]));
    let response = fetch(&http, request("GET", &url)).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(
        server.seen()[0].header("host").unwrap(),
        url.replace("http://", "")
    );
}

/// As the system answers names.
#[tokio::test]
async fn a_name_of_this_machine_is_not_dialled_unless_it_is_listed() {
    let server = trap().await;
    let url = server.url_by("localhost");
    let settings = HttpSettings {
        allow_http: patterns(&[&url]),
        ..HttpSettings::default()
    };
    let http = Egress::new(settings).unwrap().of(grants(&[&url]));
    let (kind, message) = told(get(&http, &url).await);
    assert_eq!(kind, HostErrorKind::Denied, "{message}");
    assert_eq!(server.connections(), 0);
    let http = Egress::new(open(&[&url])).unwrap().of(grants(&[&url]));
    assert_eq!(get(&http, &url).await.unwrap().status, 200);
}
