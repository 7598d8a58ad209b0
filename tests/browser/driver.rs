//! A browser that is told what to do: keys, sizes, addresses, by the Chrome DevTools Protocol over
//! two pipes, a message of JSON and a zero at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Key, and its number for Windows, by which Chromium knows it.
pub const TAB: (&str, u32) = ("Tab", 9);
pub const ENTER: (&str, u32) = ("Enter", 13);
pub const ESCAPE: (&str, u32) = ("Escape", 27);
pub const LEFT: (&str, u32) = ("ArrowLeft", 37);
pub const RIGHT: (&str, u32) = ("ArrowRight", 39);
pub const DOWN: (&str, u32) = ("ArrowDown", 40);

/// A browser with one page.
pub struct Driver {
    process: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// What went wrong in the page, as its console tells.
    pub console: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    pub fn start(browser: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // Chromium reads commands from descriptor 3 and writes answers to 4.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--remote-debugging-pipe", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, answers) = channel();
        thread::spawn(move || {
            for message in stdout.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).unwrap();
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut driver = Self {
            process,
            commands,
            answers,
            last: 0,
            session: None,
            console: Vec::new(),
            _profile: profile,
        };
        driver.attach();
        driver
    }

    fn attach(&mut self) {
        let target = self.tell("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.tell("Target.attachToTarget", target);
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.tell(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Sends a command, and waits for its answer.
    fn tell(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        write!(self.commands, "{command}\0").unwrap();
        loop {
            let mut answer = self.answers.recv_timeout(PATIENCE).unwrap();
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.hear(&answer);
        }
    }

    /// Keeps what an event says of an error.
    fn hear(&mut self, event: &Value) {
        let params = &event["params"];
        let is_error = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => params["type"] == "error",
            Some("Log.entryAdded") => params["entry"]["level"] == "error",
            _ => false,
        };
        if is_error {
            self.console.push(params.to_string());
        }
    }

    /// A window of so many pixels, as of a telephone where it is narrow.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 600});
        self.tell("Emulation.setDeviceMetricsOverride", size);
    }

    pub fn open(&mut self, address: &str) {
        self.tell("Page.navigate", json!({"url": address}));
        self.wait_for("document.readyState === 'complete'");
    }

    /// What JavaScript comes to, once it has.
    pub fn value(&mut self, script: &str) -> Value {
        let script = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.tell("Runtime.evaluate", script);
        let error = &answer["exceptionDetails"];
        assert!(error.is_null(), "{error}");
        answer["result"]["value"].take()
    }

    pub fn text(&mut self, script: &str) -> String {
        let value = self.value(script);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{script} is {value}"))
            .to_owned()
    }

    /// Waits until JavaScript comes to true.
    #[track_caller]
    pub fn wait_for(&mut self, script: &str) {
        let begun = Instant::now();
        while self.value(script) != true {
            if begun.elapsed() > PATIENCE {
                let page = self.text("document.body.innerText");
                panic!("{script} does not come true of {page}\n{:?}", self.console);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn press(&mut self, (key, number): (&str, u32)) {
        let text = if key == "Enter" { "\r" } else { "" };
        let mut press = json!({"type": "keyDown", "key": key, "code": key,
            "windowsVirtualKeyCode": number, "text": text});
        self.tell("Input.dispatchKeyEvent", press.clone());
        press["type"] = json!("keyUp");
        press["text"] = json!("");
        self.tell("Input.dispatchKeyEvent", press);
    }

    pub fn write(&mut self, text: &str) {
        self.tell("Input.insertText", json!({"text": text}));
    }
}
