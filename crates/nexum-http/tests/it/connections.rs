//! Whose requests go over which connection.

use nexum_http::{Egress, ModuleHttp};
use nexum_testkit::web::{Authority, Reply, WebServer};

use crate::support::{Names, credential, egress, get, grants, open};

fn module_called(shared: &Egress, name: &str, url: &str) -> ModuleHttp {
    let mut granted = grants(&[url]);
    granted.module = name.parse().unwrap();
    shared.of(granted)
}

/// Has two modules ask `server` in turns, and answers on which connections each of them came.
async fn in_turns(shared: &Egress, server: &WebServer) -> [Vec<usize>; 2] {
    let url = server.url();
    let modules = ["first", "second"].map(|name| module_called(shared, name, &url));
    for _ in 0..3 {
        for (module, path) in modules.iter().zip(["first", "second"]) {
            let response = get(module, &format!("{url}/{path}")).await.unwrap();
            assert_eq!(response.body, path.as_bytes());
        }
    }
    let seen = server.seen();
    ["/first", "/second"].map(|path| {
        let of_path = seen.iter().filter(|request| request.path == path);
        of_path.map(|request| request.connection).collect()
    })
}

#[tokio::test]
async fn a_module_uses_its_own_connection_again_and_no_other_modules() {
    let server = WebServer::start(|request| Reply::new(200, &[], &request.path[1..]))
        .await
        .unwrap();
    let mut settings = open(&[&server.url()]);
    settings.credentials = vec![credential(&server.url(), "authorization", "Bearer s3cret")];
    let shared = egress(settings, &Names::new(&[]));
    assert_eq!(
        in_turns(&shared, &server).await,
        [vec![1, 1, 1], vec![2, 2, 2]]
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let authority = Authority::new().unwrap();
    let server = WebServer::start_tls(&authority, &["127.0.0.1"], |request| {
        Reply::new(200, &[], &request.path[1..])
    })
    .await
    .unwrap();
    let mut settings = open(&[]);
    settings.authorities = Some(authority.pem());
    settings.allow_private = vec![server.url().parse().unwrap()];
    let shared = egress(settings, &Names::new(&[]));
    assert_eq!(
        in_turns(&shared, &server).await,
        [vec![1, 1, 1], vec![2, 2, 2]]
    );
    assert_eq!(server.connections(), 2);
}
