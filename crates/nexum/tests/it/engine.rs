//! A running `nexum run`: its lines as they come, signals to it, and its end.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read, Write as _},
    iter,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Far beyond what anything here takes, on a machine that does much else.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Killed when dropped.
pub(crate) struct Engine {
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Lines {
    read: Mutex<Vec<String>>,
    more: Condvar,
}

impl Lines {
    /// All of them so far, each with its end, so that what follows begins a line of its own.
    fn text(&self) -> String {
        let lines = self.read.lock().unwrap();
        lines.iter().flat_map(|line| [line, "\n"]).collect()
    }
}

/// How an engine has ended. Its output is of whole lines.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
    pub(crate) stderr: String,
}

impl Engine {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (Arc::<Lines>::default(), Arc::<Lines>::default());
        let readers = vec![
            follow(child.stdout.take().unwrap(), Arc::clone(&stdout)),
            follow(child.stderr.take().unwrap(), Arc::clone(&stderr)),
        ];
        Self {
            child,
            stdout,
            stderr,
            readers,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line of the log has `text`.
    pub(crate) fn wait_for_line(&self, text: &str) {
        self.line(text);
    }

    /// The first line of the log that has `text`, once there is one.
    pub(crate) fn line(&self, text: &str) -> String {
        let lines = self.stdout.read.lock().unwrap();
        let found = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        let missing = |lines: &mut Vec<String>| found(lines).is_none();
        let waited = self
            .stdout
            .more
            .wait_timeout_while(lines, DEADLINE, missing);
        let (lines, timeout) = waited.unwrap();
        assert!(
            !timeout.timed_out(),
            "no line with {text:?}, but\n{}\n{}",
            lines.join("\n"),
            self.stderr.text()
        );
        found(&lines).unwrap()
    }

    /// Where it serves health, as its log tells.
    pub(crate) fn health(&self) -> SocketAddr {
        self.listening("health is served")
    }

    /// Where it serves metrics, as its log tells.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.listening("metrics are served")
    }

    /// The field of the line, in either format.
    fn listening(&self, text: &str) -> SocketAddr {
        let line = self.line(text);
        let (_, field) = line.split_once("listening").unwrap();
        let address: String = field
            .trim_start_matches(['"', '=', ':'])
            .chars()
            .take_while(|c| !c.is_whitespace() && *c != '"')
            .collect();
        address.parse().unwrap()
    }

    /// Whether a line of the log has `text`.
    pub(crate) fn has_line(&self, text: &str) -> bool {
        let lines = self.stdout.read.lock().unwrap();
        lines.iter().any(|line| line.contains(text))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not end: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Ended {
            code: status.code(),
            log: self.log(),
            stderr: self.stderr.text(),
        }
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// SIGKILL.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        let ended = self.wait();
        assert_eq!(ended.code, None, "it ended by itself: {ended:?}");
        ended
    }

    fn log(&self) -> String {
        self.stdout.text()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(output: impl Read + Send + 'static, lines: Arc<Lines>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.read.lock().unwrap().push(line);
            lines.more.notify_all();
        }
    })
}

/// A port for whoever binds it later, or twice: below those that the system gives to programs that
/// ask for any, above those that browsers refuse, and no other test's.
pub(crate) fn free_port() -> u16 {
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut ports = iter::repeat_with(|| rand::random_range(20_000..32_768));
    let is_free = |port: &u16| {
        TcpListener::bind(("127.0.0.1", *port)).is_ok() && TAKEN.lock().unwrap().insert(*port)
    };
    ports.find(is_free).unwrap()
}

/// Waits until `condition` answers.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What the stream of the status page says first: how everything is, and the last lines.
pub(crate) fn first_events(address: SocketAddr) -> String {
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    stream.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!("GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    let mut read = String::new();
    let is_whole = |read: &str| {
        let log = read.split("event: log\n").nth(1);
        log.is_some_and(|log| log.contains("\n\n"))
    };
    while !is_whole(&read) {
        assert_ne!(stream.read_line(&mut read).unwrap(), 0, "{read}");
    }
    read
}

/// The answer to a GET, head and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
