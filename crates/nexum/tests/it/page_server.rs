//! Serves the real page with a stream that a test makes up: for what no test could run, such as a
//! thousand modules.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// A server of one page and its stream, for as long as the process lives.
pub(crate) struct PageServer {
    pub(crate) address: SocketAddr,
    report: Arc<Mutex<Value>>,
}

impl PageServer {
    /// `page`: the whole answer of an engine, head and body.
    pub(crate) fn start(page: String, report: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let report = Arc::new(Mutex::new(report));
        let told = Arc::clone(&report);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (page, told) = (page.clone(), Arc::clone(&told));
                // An error: the browser has gone.
                thread::spawn(move || drop(answer(stream, &page, &told)));
            }
        });
        Self { address, report }
    }

    /// From now on, the stream says this.
    pub(crate) fn tell(&self, report: Value) {
        *self.report.lock().unwrap() = report;
    }
}

fn answer(mut stream: TcpStream, page: &str, report: &Mutex<Value>) -> std::io::Result<()> {
    let mut asked = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !asked.ends_with("\r\n\r\n") {
        if reader.read_line(&mut asked)? == 0 {
            return Ok(());
        }
    }
    if asked.starts_with("GET / ") {
        return stream.write_all(page.as_bytes());
    }
    assert!(asked.starts_with("GET /events "), "{asked}");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
    loop {
        let data = report.lock().unwrap().to_string();
        stream.write_all(format!("event: status\ndata: {data}\n\n").as_bytes())?;
        thread::sleep(Duration::from_millis(200));
    }
}

/// A module, as `/health` tells of one that is well.
pub(crate) fn module(name: &str) -> Value {
    json!({
        "name": name, "phase": "run", "busy_ms": null, "lag": [{ "chain_id": 1, "blocks": 0 }],
        "delivered": 12_345_678, "failed": 0, "consecutive_failures": 0, "restarts": 0,
        "dead_letters": 0, "skipped": 0, "stalled": null, "last_error": null,
        "state_bytes": 41_943_040, "state_limit_bytes": 52_428_800,
        "memory_bytes": 1_114_112, "memory_limit_bytes": 67_108_864,
    })
}

/// A report on these modules, each with a pace of its own.
pub(crate) fn report(modules: &[Value]) -> Value {
    let paces = modules.iter().enumerate().map(|(index, module)| {
        json!({
            "name": module["name"], "events_per_second": index as f64 / 8.0,
            "run_p50_us": 40 + index, "run_p99_us": 900 * (index + 1),
        })
    });
    json!({
        "time_ms": 1_700_000_100_000_u64, "started_ms": 1_700_000_000_000_u64, "logs": false,
        "status": "ok", "reasons": [], "ready": true, "stage": "running", "version": "0.3.0",
        "uptime_ms": 100_000, "paces": paces.collect::<Vec<_>>(), "letters": [],
        "modules": modules, "chains": [],
    })
}
