//! An engine that is killed at any moment loses nothing and repeats nothing.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    engine::eventually,
    folder::{Folder, State, component, manifest},
    node::Node,
};

const KILLS: usize = 50;
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
    let mut cursors = [0; MODULES.len()];
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                node.chain().mine(1);
                thread::sleep(Duration::from_millis(10));
            }
        });
        let _mining = Until(&done);
        for kill in 0..KILLS {
            let engine = folder.run();
            engine.wait_for_line("module is running");
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

/// Ends the mining, also where an assertion fails.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
