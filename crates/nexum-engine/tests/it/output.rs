//! What guests log and print: told with the module's name, cut where it is too much.

use std::time::Instant;

use crate::{
    log::{self, Line},
    world::{Module, Via, World, server},
};

/// What the engine lets one module log: at once, and a second.
const BURST: usize = 1000;
const PER_SECOND: usize = 100;
const MAX_LINE_BYTES: usize = 8 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_lines_is_cut_and_every_line_of_it_is_counted() {
    log::keep();
    let server = server(2).await;
    let flood = Module::fixture("log-flood")
        .named("flood")
        .config("lines = 5000");
    let world = World::over(&server, Via::Ws).module(flood);

    let begun = Instant::now();
    let engine = world.start().await;
    engine.delivered("flood", 2).await;
    engine.stop().await;
    let seconds = begun.elapsed().as_secs() as usize + 1;

    let lines = log::lines_of("flood");
    let passed = lines.iter().filter(|line| line.source.is_some()).count();
    let dropped: u64 = lines.iter().filter_map(|line| line.dropped).sum();
    assert!(
        (BURST..=BURST + PER_SECOND * seconds).contains(&passed),
        "{passed} lines passed in {seconds} s"
    );
    assert_eq!(passed as u64 + dropped, 2 * 2 * 5000);
    assert_eq!(world.state("flood").number("count"), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_never_longer_than_the_limit() {
    log::keep();
    let server = server(1).await;
    let long = Module::fixture("log-flood")
        .named("long-lines")
        .config("lines = 2")
        .config("bytes = 100_000");
    let world = World::over(&server, Via::Ws).module(long);
    let engine = world.start().await;
    engine.delivered("long-lines", 1).await;
    engine.stop().await;

    let lines = log::lines_of("long-lines");
    let of = |source: &str| -> Vec<&str> {
        let of_source = |line: &&Line| line.source.as_deref() == Some(source);
        let lines = lines.iter().filter(of_source);
        lines.map(|line| &*line.message).collect()
    };
    let [one, other] = of("logging")[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(one, other);
    let cut = format!("({} bytes cut)", 100_000 - MAX_LINE_BYTES);
    assert!(one.ends_with(&cut), "{}", &one[MAX_LINE_BYTES..]);
    for line in of("stdout") {
        let text = line.trim_end_matches(|c| c != 'x');
        assert!(text.len() <= MAX_LINE_BYTES, "{} bytes", text.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_prints_is_logged_line_by_line_under_its_name() {
    log::keep();
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("stdout").named("talkative"));
    let engine = world.start().await;
    engine.delivered("talkative", 2).await;
    engine.stop().await;

    let printed: Vec<_> = log::lines_of("talkative")
        .into_iter()
        .filter_map(|line| Some((line.source?, line.message)))
        .collect();
    let expected = [1, 2].map(|n| {
        [
            ("stdout", format!("out {n}")),
            ("stderr", format!("err {n}")),
            ("stdout", format!("begun, ended {n}")),
            ("stdout", "no text: \u{fffd}\u{fffd}".to_owned()),
            ("stdout", format!("unfinished {n}")),
        ]
    });
    let expected: Vec<_> = expected
        .into_iter()
        .flatten()
        .map(|(source, line)| (source.to_owned(), line))
        .collect();
    assert_eq!(printed, expected);
}
