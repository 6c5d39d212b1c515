//! Chromium, driven by chromedriver (W3C WebDriver, and the browser's own protocol where that has no word for it).

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::program::{PATIENCE, has};
use crate::running::{Running, until};

/// Without these, the browser wants a user, a graphics card, or its makers.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A screen that a page is looked at on.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

pub const WIDE: Screen = Screen { width: 1400, height: 900, dark: false };
pub const PHONE: Screen = Screen { width: 360, height: 740, dark: false };

impl Screen {
    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

/// A browser with one page open.
pub struct Browser {
    agent: Agent,
    session: String,
    // in this order: the session ends before its driver does
    _driver: Running,
    _profile: TempDir,
}

impl Browser {
    /// Starts one; `None`, and a word, where there is none.
    pub fn start(screen: Screen) -> Option<Self> {
        if !has("chromedriver", "the page is not looked at in a browser") {
            return None;
        }
        let mut driver = Running::start(Command::new("chromedriver").arg("--port=0").stdin(Stdio::null()));
        let port = driver.await_state("says its port", |driver| {
            let said = driver.stdout();
            let port = said.split_once("started successfully on port ")?.1.split_once('.')?.0.to_owned();
            Some(port)
        });
        let profile = tempfile::tempdir().expect("a folder");
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent: Agent = config.build().into();
        let data_dir = format!("--user-data-dir={}", profile.path().display());
        let args: Vec<_> = FLAGS.iter().copied().chain([data_dir.as_str(), "about:blank"]).collect();
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let root = format!("http://127.0.0.1:{port}");
        let opened = call(&agent, &format!("{root}/session"), &capabilities);
        let session = format!("{root}/session/{}", opened["sessionId"].as_str().expect("a session"));
        let browser = Self { agent, session, _driver: driver, _profile: profile };
        browser.look_on(screen);
        // a new browser has a page of its own, which is forgotten here
        browser.open("about:blank");
        browser.requests();
        Some(browser)
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        call(&self.agent, &format!("{}/{command}", self.session), body)
    }

    /// A command of the browser's own protocol.
    pub fn protocol(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Changes the screen.
    pub fn look_on(&self, screen: Screen) {
        let Screen { width, height, dark } = screen;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.protocol("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.protocol("Emulation.setEmulatedMedia", &features);
    }

    pub fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    pub fn open_file(&self, path: &Path) {
        self.open(&format!("file://{}", path.display()));
    }

    /// What a function body returns.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a function body that calls its last argument back gives to it.
    pub fn run_async(&self, script: &str) -> Value {
        self.post("execute/async", &json!({ "script": script, "args": [] }))
    }

    /// The text of the first element that a selector finds.
    pub fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.textContent ?? ''", Value::from(selector));
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    /// The texts of all elements that a selector finds.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let script =
            format!("return [...document.querySelectorAll({})].map(e => e.textContent)", Value::from(selector));
        serde_json::from_value(self.run(&script)).expect("texts")
    }

    /// Waits until a function body returns what is true.
    #[track_caller]
    pub fn until(&self, script: &str) {
        until(&script, || (self.run(script) == Value::Bool(true)).then_some(()));
    }

    /// Waits until the first element that a selector finds has a text.
    #[track_caller]
    pub fn until_text(&self, selector: &str, text: &str) {
        until(&format!("{selector} says {text:?}"), || (self.text(selector) == text).then_some(()));
    }

    /// Clicks on the middle of an element, as a mouse does.
    pub fn click(&self, selector: &str) {
        let (x, y) = self.middle(selector);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.protocol("Input.dispatchMouseEvent", &event);
        }
    }

    /// Moves the mouse.
    pub fn point(&self, x: f64, y: f64) {
        self.protocol("Input.dispatchMouseEvent", &json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// Touches a place, and lets go.
    pub fn touch(&self, x: f64, y: f64) {
        self.protocol(
            "Input.dispatchTouchEvent",
            &json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] }),
        );
        self.protocol("Input.dispatchTouchEvent", &json!({ "type": "touchEnd", "touchPoints": [] }));
    }

    /// Where the middle of an element is, once it is in view.
    pub fn middle(&self, selector: &str) -> (f64, f64) {
        let script = format!(
            "const e = document.querySelector({}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }});
             const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]",
            Value::from(selector)
        );
        serde_json::from_value(self.run(&script)).expect("a place")
    }

    /// Presses keys, one after the other; those of WebDriver's private characters too (section 17.4.2).
    pub fn keys(&self, keys: &str) {
        let pressed = keys.chars().map(String::from);
        let actions: Vec<_> = pressed
            .flat_map(|key| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })])
            .collect();
        self.post("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// What the browser has to complain about since it was last asked: errors of scripts, violations of the policy, what
    /// could not be loaded.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({ "type": "browser" }));
        let messages = log.as_array().expect("a log").iter();
        messages.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What was asked for over any network, or from files, since it was last asked. What is inside of the page is nothing.
    pub fn requests(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({ "type": "performance" }));
        let events = log.as_array().expect("a log").iter();
        let events = events.filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        let urls =
            sent.map(|event| event["message"]["params"]["request"]["url"].as_str().unwrap_or_default().to_owned());
        urls.filter(|url| !url.starts_with("data:")).collect()
    }

    /// Keeps a picture of the whole page where `PORTLABEL_PICTURES` names a folder, to be looked at.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("PORTLABEL_PICTURES") else { return };
        let size = self.run("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]");
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let shot = json!({ "captureBeyondViewport": true, "clip": clip });
        let shot = self.protocol("Page.captureScreenshot", &shot)["data"].as_str().expect("a picture").to_owned();
        let picture = base64::prelude::BASE64_STANDARD.decode(shot).expect("base64");
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), picture).expect("the folder can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // else the browser would outlive its driver
        let _ = self.agent.delete(&self.session).call();
    }
}

/// Sends a command, and takes its value.
fn call(agent: &Agent, url: &str, body: &Value) -> Value {
    let mut answer = agent.post(url).send_json(body).unwrap_or_else(|error| panic!("{url}: {error}"));
    let mut document: Value = answer.body_mut().with_config().limit(u64::MAX).read_json().expect("JSON");
    let value = document["value"].take();
    assert!(answer.status().is_success(), "{body}: {value}");
    value
}

/// Presses of WebDriver's characters.
pub const LEFT: &str = "\u{e012}";
pub const RIGHT: &str = "\u{e014}";
pub const HOME: &str = "\u{e011}";
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";
