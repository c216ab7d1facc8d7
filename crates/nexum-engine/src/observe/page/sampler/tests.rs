use tokio::time::timeout;

use super::*;
use crate::logbook::LogLine;

fn sampler(log: Option<&Arc<LogBook>>) -> Arc<Sampler> {
    let roster = Arc::new(Roster::new());
    Arc::new(Sampler::new(roster, log.cloned()))
}

fn write(log: &LogBook, message: &str) {
    log.write(LogLine {
        message: message.to_owned(),
        ..LogLine::default()
    });
}

/// The messages of the lines that are told in these events.
fn messages<'a>(events: impl IntoIterator<Item = &'a Bytes>) -> Vec<String> {
    let mut found = Vec::new();
    for event in events {
        let text = std::str::from_utf8(event).unwrap();
        if let Some(data) = text.strip_prefix("event: log\ndata: ") {
            let report: serde_json::Value = serde_json::from_str(data).unwrap();
            let lines = report["lines"].as_array().unwrap();
            let messages = lines.iter().map(|line| line["message"].as_str().unwrap());
            found.extend(messages.map(str::to_owned));
        }
    }
    found
}

async fn next(view: &mut View) -> Arc<Frame> {
    let news = timeout(Duration::from_secs(10), view.news.recv());
    news.await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn everything_is_told_at_once_and_then_every_second() {
    let sampler = sampler(None);
    let mut view = sampler.join();
    let told: Vec<_> = view.first.iter().map(|part| &part[..]).collect();
    assert_eq!(told[0], RETRY);
    assert!(told[1].starts_with(b"event: status\ndata: {\"time_ms\":"));
    assert!(told[1].ends_with(b"}\n\n"));
    assert_eq!(told.len(), 2, "no log is shown");
    let begun = Instant::now();
    for second in 1..=3 {
        next(&mut view).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(second));
    }
}

#[tokio::test(start_paused = true)]
async fn all_viewers_share_one_look() {
    let sampler = sampler(None);
    let mut views: Vec<_> = (0..20).map(|_| sampler.join()).collect();
    let first = &views[0].first[1];
    for view in &views {
        assert_eq!(view.first[1].as_ptr(), first.as_ptr());
    }
    for _ in 0..3 {
        let frame = next(&mut views[0]).await;
        for view in &mut views[1..] {
            assert!(Arc::ptr_eq(&next(view).await, &frame));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_while_nobody_watches() {
    let sampler = sampler(None);
    let mut view = sampler.join();
    next(&mut view).await;
    let last = Arc::downgrade(&sampler.now().as_ref().unwrap().last);
    drop(view);
    // One more turn, at which it is seen that nobody is there.
    tokio::time::sleep(PERIOD * 2).await;
    assert!(sampler.now().is_none());
    assert!(last.upgrade().is_none(), "nothing is kept");

    // Whoever comes then is told of a fresh look.
    let mut view = sampler.join();
    assert_eq!(view.first.len(), 2);
    next(&mut view).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_falls_behind_is_let_go_and_the_others_are_not() {
    let sampler = sampler(None);
    let (mut slow, mut quick) = (sampler.join(), sampler.join());
    for _ in 0..MAX_BEHIND {
        next(&mut quick).await;
    }
    assert_eq!(slow.news.len(), MAX_BEHIND);
    next(&mut quick).await;
    let behind = slow.news.recv().await.unwrap_err();
    assert_eq!(behind, broadcast::error::RecvError::Lagged(1));
    next(&mut quick).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_is_told_once_and_whoever_comes_later_is_told_the_last_ones() {
    let log = Arc::new(LogBook::default());
    for n in 1..=LINES + 5 {
        write(&log, &n.to_string());
    }
    let sampler = sampler(Some(&log));
    let mut early = sampler.join();
    let told = messages(&early.first);
    assert_eq!((told.len(), told[0].as_str()), (LINES, "6"));

    let frame = next(&mut early).await;
    assert_eq!(messages(&frame.parts().collect::<Vec<_>>()), [""; 0]);
    write(&log, "a");
    write(&log, "b");
    // Between two looks: what is told then is not told with the next one again.
    let mut late = sampler.join();
    assert_eq!(messages(&late.first).last().unwrap(), "105");
    for view in [&mut early, &mut late] {
        let parts: Vec<_> = next(view).await.parts().collect();
        assert_eq!(messages(&parts), ["a", "b"]);
    }
    let later = sampler.join();
    assert_eq!(messages(&later.first).last().unwrap(), "b");

    // More than an event takes: the last ones, and their numbers say that there were others.
    for n in 0..3 * LINES {
        write(&log, &n.to_string());
    }
    let parts: Vec<_> = next(&mut early).await.parts().collect();
    let told = messages(&parts);
    assert_eq!((told.len(), told[0].as_str()), (LINES, "200"));
    let text = String::from_utf8_lossy(&parts[1]).into_owned();
    assert!(text.contains("\"number\":308"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_is_very_long_is_cut() {
    let log = Arc::new(LogBook::default());
    let long = "x".repeat(100_000);
    let fields = (0..100).map(|n| (format!("field-{n}"), long.clone().into()));
    log.write(LogLine {
        message: long.clone(),
        fields: fields.collect(),
        ..LogLine::default()
    });
    let view = sampler(Some(&log)).join();
    assert!(view.first[2].len() < 20_000, "{}", view.first[2].len());
}
