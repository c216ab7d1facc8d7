//! Scripts on the mock host: what a module is given, and when.

use nexum_sdk::{
    Event, HostError, local_store,
    testing::{Failure, MockHost, PlayError, Running},
};

use crate::{Recorder, manifest, module, word};

const SUBSCRIPTIONS: &str = r#"
[[subscription]]
kind = "block"
chain_id = 1

[[subscription]]
kind = "log"
chain_id = 1
address = "0x00000000000000000000000000000000000000c0"

[[subscription]]
kind = "log"
chain_id = 1
event = "Pong(uint256 value)"
"#;

fn given(running: &Running<Recorder>) -> Vec<String> {
    running.instance().unwrap().seen.iter().map(word).collect()
}

fn played(script: &str) -> Vec<String> {
    let host = MockHost::of(&manifest(SUBSCRIPTIONS));
    let mut running = host.start::<Recorder>().unwrap();
    running.play(script).unwrap();
    given(&running)
}

#[test]
fn a_block_comes_before_its_logs_and_logs_by_subscription() {
    let script = "
        chain 1
        log 0xc0 Ping(uint256) 1
        log 0xc1 Pong(uint256) 1
        log 0xc0 Pong(uint256) 1
        log 0xc2 Ping(uint256) 1
        mine 2";
    assert_eq!(
        played(script),
        ["block 1", "logs 1: 0,2", "logs 1: 1,2", "block 2"]
    );
}

#[test]
fn what_left_the_chain_is_taken_back_newest_first() {
    let script = "
        chain 1
        log 0xc0 Pong(uint256) 1
        mine
        log 0xc0 Ping(uint256) 1
        log 0xc0 Ping(uint256) 2
        mine
        reorg 2 {
          mine
          log 0xc0 Ping(uint256) 3
          mine 2
        }";
    assert_eq!(
        played(script),
        [
            "block 1",
            "logs 1: 0",
            "logs 1: 0",
            "block 2",
            "logs 2: 0,1",
            "-logs 2: 1,0",
            "-logs 1: 0",
            "-logs 1: 0",
            "block 1",
            "block 2",
            "logs 2: 0",
            "block 3",
        ]
    );
}

#[test]
fn a_head_that_goes_back_takes_nothing_back_until_there_is_another_branch() {
    let script = "
        chain 1
        log 0xc0 Ping(uint256) 1
        mine
        rollback 1
        mine";
    assert_eq!(
        played(script),
        ["block 1", "logs 1: 0", "-logs 1: 0", "block 1"]
    );
}

#[test]
fn confirmations_are_waited_for_and_a_start_is_kept() {
    let host = MockHost::of(&manifest(
        "
        [[subscription]]
        kind = 'block'
        chain_id = 1
        start = 1
        every = 2
        confirmations = 3",
    ));
    let mut running = host.start::<Recorder>().unwrap();
    running.play("chain 1\nmine 4").unwrap();
    assert_eq!(given(&running), [""; 0], "block 1 is no multiple of 2");
    running.play("chain 1\nmine 3").unwrap();
    assert_eq!(given(&running), ["block 2", "block 4"]);
}

module!(FailsOnTwo, |event| {
    let Event::Block(block) = event else {
        return Ok(());
    };
    local_store::set("last", block.number.to_string().as_bytes())?;
    if block.number == 2 && local_store::get("healed")?.is_none() {
        return Err(HostError::unavailable("not yet"));
    }
    Ok(())
});

#[test]
fn an_event_that_failed_is_rolled_back_and_comes_again_to_a_fresh_instance() {
    let host = MockHost::of(&manifest(SUBSCRIPTIONS));
    let mut running = host.start::<FailsOnTwo>().unwrap();
    let Err(PlayError::Failed { line, failure }) = running.play("chain 1\nmine 1\nmine 3") else {
        panic!("block 2 fails");
    };
    assert_eq!(line, 3);
    assert_eq!(failure, Failure::Error(HostError::unavailable("not yet")));
    assert!(running.instance().is_none());
    assert_eq!(host.state("last").unwrap(), b"1");

    assert_eq!(running.settle(), Err(failure), "it is still due");
    host.enter(|| local_store::set("healed", b"").unwrap());
    running.settle().unwrap();
    assert_eq!(host.state("last").unwrap(), b"4");
    let seen: Vec<_> = running
        .instance()
        .unwrap()
        .0
        .seen
        .iter()
        .map(word)
        .collect();
    assert_eq!(
        seen,
        ["block 2", "block 3", "block 4"],
        "by the instance that came after"
    );
}

#[test]
fn a_script_that_is_wrong_names_its_line() {
    let host = MockHost::of(&manifest(SUBSCRIPTIONS));
    let mut running = host.start::<Recorder>().unwrap();
    let error = running.play("chain 1\nmine\nmien 2").unwrap_err();
    assert!(matches!(error, PlayError::Script(_)));
    assert!(error.to_string().starts_with("line 3: "), "{error}");
}
