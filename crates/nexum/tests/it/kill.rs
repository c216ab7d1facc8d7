//! An engine that is killed at any moment loses nothing and repeats nothing.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use nexum_testkit::{Address, B256, Branch, NewLog, ScriptedChain, keccak256};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    engine::eventually,
    folder::{Folder, State, component, log_manifest, manifest},
    node::Node,
};

const KILLS: usize = 50;
/// How many blocks are mined, at most, from one start of the engine to the next.
const BLOCKS_PER_RUN: usize = 20;
const MODULES: [&str; 3] = ["tally", "counter", "lazy-counter"];

/// Given a chain that goes on and on, when the engine is killed 50 times at random moments, then
/// every state it leaves is of one moment, and in the end each block took effect exactly once.
#[test]
fn each_block_takes_effect_once_however_often_the_engine_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let node = Node::at(1);
    let folder = Folder::following(&node.ws(), &["tally", "counter"]);
    let lazily =
        manifest("lazy-counter") + "[module.state]\ndurability = { interval = \"50ms\" }\n";
    folder.bundle("lazy-counter", &lazily, &component("counter"));
    folder.append(
        "nexum-engine.toml",
        "[[modules]]\npath = \"lazy-counter\"\n",
    );

    let done = AtomicBool::new(false);
    let started = AtomicUsize::new(0);
    let mut cursors = [0; MODULES.len()];
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut blocks = 0;
            while !done.load(Ordering::Relaxed) {
                // No more than a slow machine makes up for at the end.
                if blocks < BLOCKS_PER_RUN * started.load(Ordering::Relaxed) {
                    node.chain().mine(1);
                    blocks += 1;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        let _mining = Until(&done);
        for kill in 0..KILLS {
            let engine = folder.run();
            engine.wait_for_line("module is running");
            started.fetch_add(1, Ordering::Relaxed);
            // How long it runs is what is being tried out.
            thread::sleep(Duration::from_millis(random.random_range(5..=300)));
            engine.kill();

            let module = kill % MODULES.len();
            let state = folder.state(MODULES[module]);
            let cursor = check(MODULES[module], &node, &state);
            assert!(cursor >= cursors[module], "{} went back", MODULES[module]);
            cursors[module] = cursor;
        }
    });
    assert!(cursors.iter().all(|cursor| *cursor > 0), "{cursors:?}");

    let head = node.chain().head().number;
    let engine = folder.run();
    for module in MODULES {
        eventually(&format!("{module} is at the head"), || {
            (folder.committed(module)? == head).then_some(())
        });
    }
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for module in MODULES {
        assert_eq!(check(module, &node, &folder.state(module)), head);
    }
    println!("{head} blocks, {KILLS} kills");
}

/// Checks that the state is exactly what the blocks from 1 to the cursor make, and answers the
/// cursor: 0 where there is none.
fn check(module: &str, node: &Node, state: &State) -> u64 {
    let Some(cursor) = state.cursor() else {
        assert_eq!(state.entries().count(), 0, "{module}: state without cursor");
        return 0;
    };
    let hash = |number| node.chain().block(number).unwrap().hash.to_string();
    assert_eq!(state.cursor_hash(), hash(cursor), "{module}");
    assert_eq!(state.number("count"), Some(cursor), "{module}: count");
    assert_eq!(state.number("last"), Some(cursor), "{module}: last");
    if module == "tally" {
        assert_eq!(state.number("first"), Some(1));
        assert_eq!(state.number("sum"), Some(cursor * (cursor + 1) / 2));
        assert_eq!(
            (state.number("gaps"), state.number("repeats")),
            (None, None)
        );
    } else {
        assert_eq!(state.number("violations"), None, "{module}");
        let seen: Vec<_> = state
            .entries()
            .filter(|(key, _)| key.starts_with("block/"))
            .map(|(key, hash)| (key.to_owned(), hash.to_owned()))
            .collect();
        let expected: Vec<_> = (1..=cursor)
            .map(|number| (format!("block/{number:020}"), hash(number)))
            .collect();
        assert!(
            seen == expected,
            "{module}: not each block once up to {cursor}"
        );
    }
    cursor
}

const LOG_KILLS: usize = 200;
/// How many blocks a reorg replaces at most.
const DEEPEST: u64 = 8;
/// How often the chain goes on, at most, from one start of the engine to the next.
const STEPS_PER_RUN: usize = 6;
/// A module inspected after each kill would spend its time on inspections.
const KILLS_PER_INSPECTION: usize = 5;

const TRANSFER: &str = "Transfer(address,address,uint256)";
const PING: &str = "Ping(uint256)";

/// Given a chain that goes on, and back, when the engine is killed 200 times at random moments,
/// then whatever it leaves is the fold over one branch, and in the end over the canonical one.
#[test]
fn the_logs_of_a_chain_that_reorganises_take_effect_once_however_often_the_engine_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let node = Node::at(DEEPEST);
    let chain = node.chain();
    let folder = Folder::empty();
    let manifest = log_manifest(
        "log-fold",
        &[
            "Transfer(address indexed from, address indexed to, uint256 value)",
            PING,
        ],
    );
    folder.bundle("log-fold", &manifest, &component("log-fold"));
    folder.engine_file("", &node.ws(), &["log-fold"]);

    let done = AtomicBool::new(false);
    let started = AtomicUsize::new(0);
    let mut positions = BTreeMap::<String, usize>::new();
    thread::scope(|scope| {
        let mut choice = StdRng::seed_from_u64(random.random());
        let (done, started) = (&done, &started);
        scope.spawn(move || {
            let mut steps = 0;
            while !done.load(Ordering::Relaxed) {
                // A chain that runs away from the module would show it no reorg.
                if steps < STEPS_PER_RUN * started.load(Ordering::Relaxed) {
                    go_on(chain, &mut choice);
                    steps += 1;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        let _mining = Until(done);
        for kill in 0..LOG_KILLS {
            let engine = folder.run();
            started.fetch_add(1, Ordering::Relaxed);
            engine.wait_for_line("module is running");
            // How long it runs is what is being tried out.
            thread::sleep(Duration::from_millis(random.random_range(1..=120)));
            engine.kill();
            if kill % KILLS_PER_INSPECTION == 0 {
                let state = folder.state("log-fold");
                check_fold(chain, &state);
                let position = state.cursor().map_or("none", |_| state.position());
                *positions.entry(position.to_owned()).or_default() += 1;
            }
        }
    });

    // No other branch has had a block of this number.
    emit(chain, &[TRANSFER, PING]);
    chain.mine(1);
    let head = chain.head();
    let engine = folder.run();
    eventually("the head is committed", || {
        (folder.committed("log-fold")? == head.number).then_some(())
    });
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let state = folder.state("log-fold");
    assert_eq!(state.position(), "after");
    assert_eq!(state.cursor_hash(), head.hash.to_string());
    check_fold(chain, &state);
    let given = state.number("given").unwrap();
    let removed = state.number("removed").unwrap();
    assert!(removed > 0, "no reorg has reached the module");
    println!(
        "{} blocks, {given} logs given, {removed} removed, {LOG_KILLS} kills, left at {positions:?}",
        head.number
    );
}

/// The chain's next step: mostly a block, at times a reorg.
fn go_on(chain: &ScriptedChain, random: &mut StdRng) {
    if random.random_ratio(3, 4) {
        emit(chain, some_events(random));
        chain.mine(1);
        return;
    }
    let depth = random.random_range(1..=DEEPEST);
    match random.random_range(0..3) {
        0 => chain.reorg(depth).unwrap(),
        1 => chain.reorg_replaying(depth, 0).unwrap(),
        _ => {
            let build = |branch: &mut Branch| {
                for _ in 0..depth {
                    let logs = some_events(random).iter().map(|event| log(event));
                    branch.transaction(logs.collect());
                    branch.mine(1);
                }
            };
            chain.reorg_to(depth, build).unwrap();
        }
    }
}

fn some_events(random: &mut StdRng) -> &'static [&'static str] {
    match random.random_range(0..5) {
        0 => &[],
        1 => &[TRANSFER],
        2 => &[PING],
        3 => &[PING, TRANSFER, "Unasked()"],
        _ => &[TRANSFER, PING, TRANSFER, PING],
    }
}

fn emit(chain: &ScriptedChain, events: &[&str]) {
    if !events.is_empty() {
        chain.transaction(events.iter().map(|event| log(event)).collect());
    }
}

fn log(event: &str) -> NewLog {
    NewLog::of(Address::repeat_byte(0xc0), event)
}

/// Checks that the state is the fold over the branch that the cursor names.
fn check_fold(chain: &ScriptedChain, state: &State) {
    assert_eq!(state.number("violations"), None);
    let folded: BTreeMap<_, _> = state
        .entries()
        .filter(|(key, _)| key.starts_with("log/"))
        .map(|(key, hash)| (key.to_owned(), hash.to_owned()))
        .collect();
    let count = |key| state.number(key).unwrap_or(0);
    assert_eq!(folded.len() as u64, count("given") - count("removed"));
    let Some(cursor) = state.cursor() else {
        assert!(folded.is_empty(), "state without cursor");
        return;
    };
    match state.position() {
        "after" => {
            let hash = state.cursor_hash().parse().unwrap();
            assert!(folded == fold(chain, hash), "not the fold up to {cursor}");
        }
        "within" => {
            let block = chain.block_by_hash(&state.cursor_hash().parse().unwrap());
            let block = block.unwrap();
            let begun = format!("log/{:020}/", block.number);
            let (part, before): (BTreeMap<_, _>, BTreeMap<_, _>) = folded
                .into_iter()
                .partition(|(key, _)| key.starts_with(&begun));
            assert!(
                before == fold(chain, block.parent_hash),
                "not the fold up to the block before {cursor}"
            );
            let whole = fold(chain, block.hash);
            assert!(part.iter().all(|(key, hash)| whole.get(key) == Some(hash)));
            assert!(part.len() < whole.len() - before.len(), "no part of it");
        }
        _ => {
            let bound = format!("log/{cursor:020}/");
            assert!(folded.keys().all(|key| *key < bound), "not taken back");
            // What is left is of one branch.
            if let Some((_, hash)) = folded.last_key_value() {
                assert!(folded == fold(chain, hash.parse().unwrap()));
            }
        }
    }
}

/// What `log-fold` makes of the branch that ends with that block.
fn fold(chain: &ScriptedChain, last: B256) -> BTreeMap<String, String> {
    let wanted = [TRANSFER, PING].map(keccak256);
    let mut folded = BTreeMap::new();
    let mut next = last;
    while let Some(block) = chain.block_by_hash(&next).filter(|block| block.number > 0) {
        for (index, log) in block.logs.iter().enumerate() {
            if wanted.contains(&log.topics[0]) {
                let topic = hex::encode(log.topics[0]);
                let key = format!("log/{:020}/{index:010}/{topic}", block.number);
                folded.insert(key, block.hash.to_string());
            }
        }
        next = block.parent_hash;
    }
    folded
}

/// Ends the mining, also where an assertion fails.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
