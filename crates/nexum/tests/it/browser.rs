//! A real browser without a window, driven over the `DevTools` protocol: one page, what it asks the
//! network for, what it complains about, and pictures of it.

use std::{
    env, fs, io,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::engine::DEADLINE;

/// Ended when dropped.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    /// The page that is driven.
    session: String,
    last_id: u64,
    /// What has happened on the page since it was opened.
    events: Vec<Value>,
    profile: TempDir,
}

impl Browser {
    /// A browser with an empty page, as wide and high as a desk's screen.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let program = env::var_os("NEXUM_CHROMIUM").unwrap_or_else(|| "chromium".into());
        let started = Command::new(&program)
            .args([
                "--headless=new",
                // A sandbox of its own needs rights that a build machine may not give.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-extensions",
                "--disable-sync",
                "--no-first-run",
                "--no-default-browser-check",
                "--remote-debugging-port=0",
                // No name leads anywhere.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => panic!(
                "no browser: {} cannot be started: {error}. Run the tests with `cargo xtask test`, \
                 which installs one, or install chromium (`apt-get install chromium`) and name it \
                 in NEXUM_CHROMIUM",
                program.display()
            ),
        };
        let socket = connect(&mut child, profile.path());
        let mut browser = Self {
            child,
            socket,
            session: String::new(),
            last_id: 0,
            events: Vec::new(),
            profile,
        };
        browser.attach();
        browser.resize(1440, 900);
        browser
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = self.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        );
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Network", "Log", "Audits"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", &json!({ "url": url }));
        assert_eq!(opened.get("errorText"), None, "{url}: {opened}");
    }

    /// The size of the screen, in CSS pixels.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({
                "width": width,
                "height": height,
                "deviceScaleFactor": if width < 600 { 2 } else { 1 },
                "mobile": width < 600,
            }),
        );
    }

    /// What the person at the screen prefers: `light` or `dark`, and no motion or any.
    pub(crate) fn prefer(&mut self, scheme: &str, motion: &str) {
        let feature = |name: &str, value: &str| json!({ "name": name, "value": value });
        let features = [
            feature("prefers-color-scheme", scheme),
            feature("prefers-reduced-motion", motion),
        ];
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
    }

    /// Presses a key, such as `Tab`.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                &json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code }),
            );
        }
    }

    /// The value of an expression on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let told = self.call(
            "Runtime.evaluate",
            &json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        let failed = told.get("exceptionDetails");
        assert_eq!(failed, None, "{expression}");
        told["result"]["value"].clone()
    }

    /// The text of an expression.
    pub(crate) fn text(&mut self, expression: &str) -> String {
        match self.value(expression) {
            Value::String(text) => text,
            other => panic!("{expression} is {other}"),
        }
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, what: &str, expression: &str) {
        let end = Instant::now() + DEADLINE;
        while self.value(expression) != Value::Bool(true) {
            if Instant::now() > end {
                let text = self.text("document.documentElement.innerText");
                panic!("not within {DEADLINE:?}: {what}; the page is\n{text}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that the page has asked the network for.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        self.settle();
        let sent = self.happened("Network.requestWillBeSent");
        sent.map(|params| params["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Everything that the browser finds wrong with the page: exceptions, what the console says,
    /// what a policy has kept from happening.
    pub(crate) fn complaints(&mut self) -> Vec<Value> {
        self.settle();
        [
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
            "Audits.issueAdded",
        ]
        .into_iter()
        .flat_map(|method| self.happened(method))
        .cloned()
        .collect()
    }

    fn happened<'a>(&'a self, method: &'static str) -> impl Iterator<Item = &'a Value> {
        let these = self.events.iter();
        these
            .filter(move |event| event["method"] == method)
            .map(|event| &event["params"])
    }

    /// What happened before this was sent is heard before its answer.
    fn settle(&mut self) {
        self.value("new Promise((done) => setTimeout(done, 0)).then(() => null)");
    }

    /// A picture of the page, in `target/status-page/`; of a long one, its upper part.
    pub(crate) fn picture(&mut self, name: &str) -> Picture {
        let layout = self.call("Page.getLayoutMetrics", &json!({}));
        let size = &layout["cssContentSize"];
        let height = size["height"].as_f64().unwrap().min(4000.0);
        let taken = self.call(
            "Page.captureScreenshot",
            &json!({
                "format": "png",
                "captureBeyondViewport": true,
                "clip": {
                    "x": 0, "y": 0, "scale": 1,
                    "width": size["width"], "height": height,
                },
            }),
        );
        let base64 = taken["data"].as_str().unwrap().to_owned();
        let folder = target().join("status-page");
        fs::create_dir_all(&folder).unwrap();
        let bytes = BASE64_STANDARD.decode(&base64).unwrap();
        fs::write(folder.join(name).with_extension("png"), bytes).unwrap();
        Picture { base64 }
    }

    /// Sends a command, and answers what comes of it.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.socket
            .send(Message::text(command.to_string()))
            .unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else {
                continue;
            };
            let mut told: Value = serde_json::from_str(&text).unwrap();
            if told["id"] == self.last_id {
                assert_eq!(told.get("error"), None, "{command}");
                return told["result"].take();
            }
            self.events.push(told);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its helpers go with it; killed at once, it would leave some behind.
        let command = json!({ "id": 0, "method": "Browser.close" }).to_string();
        let end = Instant::now() + Duration::from_secs(10);
        if self.socket.send(Message::text(command)).is_ok() {
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
                thread::sleep(Duration::from_millis(10));
            }
        }
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What is left of its files goes with the folder.
        let _ = fs::remove_dir_all(self.profile.path());
    }
}

/// A picture of a page.
pub(crate) struct Picture {
    base64: String,
}

impl Picture {
    /// How many colours it has, and which part of it has the most frequent one. The browser looks.
    pub(crate) fn colours(&self, browser: &mut Browser) -> (u64, f64) {
        browser.open("about:blank");
        let counted = browser.value(&format!(
            r#"(async () => {{
                const bytes = Uint8Array.from(atob("{}"), (c) => c.charCodeAt(0));
                const image = await createImageBitmap(new Blob([bytes], {{ type: "image/png" }}));
                const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
                context.drawImage(image, 0, 0);
                const {{ data }} = context.getImageData(0, 0, image.width, image.height);
                const counts = new Map();
                for (const pixel of new Uint32Array(data.buffer)) {{
                    counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
                }}
                return [counts.size, Math.max(...counts.values()) / (image.width * image.height)];
            }})()"#,
            self.base64
        ));
        (counted[0].as_u64().unwrap(), counted[1].as_f64().unwrap())
    }
}

/// The browser's own socket, once it has said where that is.
fn connect(child: &mut Child, profile: &Path) -> WebSocket<TcpStream> {
    let end = Instant::now() + DEADLINE;
    let (address, url) = loop {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the browser has ended: {status}");
        }
        match fs::read_to_string(profile.join("DevToolsActivePort")) {
            Ok(text) => {
                if let Some((port, path)) = text.split_once('\n')
                    && !path.is_empty()
                {
                    let address = format!("127.0.0.1:{port}");
                    let url = format!("ws://{address}{}", path.trim_end());
                    break (address, url);
                }
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        }
        assert!(Instant::now() < end, "the browser does not say where it is");
        thread::sleep(Duration::from_millis(10));
    };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    client(url, stream).unwrap().0
}

/// The workspace's target folder.
fn target() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_nexum"));
    binary.ancestors().nth(2).unwrap().to_owned()
}
