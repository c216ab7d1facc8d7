//! A person at a terminal: a real one, of `script`'s, on which `nexum` is run, typed to and read.

use std::{
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
};

use crate::{engine::DEADLINE, folder::Folder};

/// What is typed first: it is shown, as everything is that nobody hides.
const VISIBLE: &str = "typed and shown";

/// Killed when dropped.
pub(crate) struct Terminal {
    script: Child,
    keys: ChildStdin,
    screen: Arc<Screen>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Screen {
    shown: Mutex<String>,
    more: Condvar,
}

impl Terminal {
    /// Runs `nexum` in the folder, on a terminal that shows what is typed.
    pub(crate) fn run(folder: &Folder, args: &str) -> Self {
        let nexum = folder.command(&[]);
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--echo", "always", "--command"])
            .arg(format!("read -r line; exec \"$NEXUM\" {args}"))
            .arg("/dev/null")
            .env("NEXUM", nexum.get_program())
            .current_dir(folder.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        // `script` is part of util-linux.
        let mut script = command.spawn().unwrap();
        let screen = Arc::<Screen>::default();
        let (mut output, seen) = (script.stdout.take().unwrap(), Arc::clone(&screen));
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..read]);
                seen.shown.lock().unwrap().push_str(&text);
                seen.more.notify_all();
            }
        });
        let keys = script.stdin.take().unwrap();
        let mut terminal = Self {
            script,
            keys,
            screen,
            reader: Some(reader),
        };
        terminal.enter(VISIBLE);
        terminal.wait_for(VISIBLE);
        terminal
    }

    /// Waits until the screen has shown that.
    pub(crate) fn wait_for(&self, text: &str) {
        let shown = self.screen.shown.lock().unwrap();
        let missing = |shown: &mut String| !shown.contains(text);
        let waited = self
            .screen
            .more
            .wait_timeout_while(shown, DEADLINE, missing);
        let (shown, timeout) = waited.unwrap();
        assert!(
            !timeout.timed_out(),
            "no {text:?} on the screen, but {shown}"
        );
    }

    /// Types a line, once that is asked.
    pub(crate) fn answer(&mut self, question: &str, line: &str) {
        self.wait_for(question);
        self.enter(line);
    }

    pub(crate) fn interrupt(&mut self) {
        self.press("\x03");
    }

    fn enter(&mut self, line: &str) {
        self.press(&format!("{line}\r"));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end of `nexum`: its exit code, 128 and the signal where one ended it, and all
    /// that was shown.
    pub(crate) fn ended(mut self) -> (i32, String) {
        // It ends with what it runs, which is where the screen ends.
        self.reader.take().unwrap().join().unwrap();
        let code = self.script.wait().unwrap().code().unwrap();
        let shown = self.screen.shown.lock().unwrap().clone();
        (code, shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
