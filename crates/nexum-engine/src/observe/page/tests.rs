use super::*;

fn policy() -> String {
    let document = Document::new();
    document.policy.to_str().unwrap().to_owned()
}

/// What stands between the two, once.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    let (found, rest) = rest.split_once(to).unwrap();
    assert!(!rest.contains(from), "{from} is there twice");
    found
}

#[test]
fn the_policy_lets_run_what_is_in_the_page_and_nothing_else() {
    let document = Document::new();
    let style = between(&document.html, "<style>", "</style>");
    let script = between(&document.html, "<script>", "</script>");
    let policy = policy();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    for (directive, text) in [("style-src", style), ("script-src", script)] {
        let only = format!("; {directive} '{}';", fingerprint(text));
        assert!(policy.contains(&only), "{only} is not in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
}

/// `printf abc | openssl dgst -sha256 -binary | base64`
#[test]
fn a_fingerprint_is_what_browsers_take() {
    assert_eq!(
        fingerprint("abc"),
        "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    );
}

/// No attribute of an element makes it fetch or run something, and the script makes no markup.
#[test]
fn the_page_names_nothing_outside_of_itself() {
    let document = Document::new();
    let html = document.html.replace("http://www.w3.org/", "");
    for word in [
        "http://", "https://", "src=", "onclick", "onload", "@import",
    ] {
        assert!(!html.contains(word), "{word}");
    }
    for word in [
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
    ] {
        assert!(!html.contains(word), "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_engine_and_for_who_is_too_slow() {
    let roster = Arc::new(Roster::new());
    let sampler = Arc::new(Sampler::new(roster, None));
    let stop = CancellationToken::new();
    let mut quick = Box::pin(told(sampler.join(), stop.clone()));
    let mut slow = Box::pin(told(sampler.join(), stop.clone()));
    // What is told at once, and the first news.
    for _ in 0..3 {
        assert!(slow.next().await.is_some());
    }
    for _ in 0..20 {
        assert!(quick.next().await.is_some());
    }
    assert_eq!(slow.next().await, None, "it is behind by more than is kept");
    stop.cancel();
    assert_eq!(quick.next().await, None);
}

#[test]
fn a_request_from_another_page_is_told_apart() {
    let from = |site: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        if let Some(site) = site {
            headers.insert(SEC_FETCH_SITE, HeaderValue::from_static(site));
        }
        is_of_another_site(&headers)
    };
    assert!(!from(None) && !from(Some("same-origin")) && !from(Some("none")));
    assert!(from(Some("cross-site")) && from(Some("same-site")));
}
