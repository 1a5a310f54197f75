//! One mini cloud per test. It owns starting it, asking it, and ending it so that nothing is left.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Once,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{http, tools};

/// A running mini cloud. Ends with the value.
pub(crate) struct Cloud {
    folder: TempDir,
    child: Child,
    ready: Value,
}

impl Cloud {
    /// Starts one and waits until it answers.
    pub(crate) fn start() -> Self {
        say_failures_at_once();
        let folder = TempDir::with_prefix("assay-cloud-").expect("a folder");
        let ready_file = folder.path().join("ready.json");
        let log = std::fs::File::create(folder.path().join("server.log")).expect("a log");
        let mut child = Command::new(tools::mini_cloud())
            .args(["up", "--state"])
            .arg(folder.path().join("state"))
            .arg("--ready-file")
            .arg(&ready_file)
            .args(["--parent-pid", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the mini cloud starts");
        let deadline = Instant::now() + Duration::from_secs(120);
        let ready = loop {
            if let Some(ready) = std::fs::read_to_string(&ready_file).ok().and_then(|t| serde_json::from_str(&t).ok()) {
                break ready;
            }
            let ended = child.try_wait().expect("a status");
            let log = || std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
            assert!(
                ended.is_none(),
                "the mini cloud ended ({ended:?}); run: {} setup\n{}",
                tools::mini_cloud().display(),
                log()
            );
            assert!(Instant::now() < deadline, "the mini cloud is not ready after 120 s:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        };
        Self { folder, child, ready }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        self.ready["endpoint"].as_str().expect("an endpoint")
    }

    /// The environment of the account called `name` in the ready file: AWS_* variables that SDKs read.
    pub(crate) fn environment(&self, account: &str) -> Vec<(String, String)> {
        let keys = &self.ready["accounts"][account];
        let text =
            |key: &str| keys[key].as_str().unwrap_or_else(|| panic!("account {account} in {}", self.ready)).to_owned();
        [
            ("AWS_ENDPOINT_URL", self.endpoint().to_owned()),
            ("AWS_ACCESS_KEY_ID", text("access_key")),
            ("AWS_SECRET_ACCESS_KEY", text("secret_key")),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_POLL_DELAY_SECONDS", "1".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
    }

    /// The id of an account.
    pub(crate) fn account(&self, name: &str) -> &str {
        self.ready["accounts"][name]["id"].as_str().expect("an account's id")
    }

    /// The names of the accounts, the usual one first.
    pub(crate) fn accounts(&self) -> Vec<String> {
        self.ready["accounts"].as_object().expect("accounts").keys().cloned().collect()
    }

    /// Everything in the cloud: `instances`, `images`, `key_pairs`, `security_groups`, `volumes`, `snapshots`, each a list with region and tags.
    pub(crate) fn inventory(&self) -> Value {
        http::request(self.endpoint(), "GET", "/_minicloud/inventory", None)
    }

    /// One AMI of the inventory.
    pub(crate) fn image(&self, id: &str) -> Value {
        let all = self.inventory();
        let images = all["images"].as_array().expect("images");
        images.iter().find(|i| i["id"] == id).cloned().unwrap_or(Value::Null)
    }

    /// The Parameter Store of a region: name → value.
    pub(crate) fn parameters(&self, region: &str) -> Value {
        let all = self.inventory();
        let parameters = all["parameters"].as_array().expect("parameters").iter();
        let mine = parameters.filter(|p| p["region"] == region);
        mine.map(|p| (p["name"].as_str().expect("a name").to_owned(), p["value"].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// A copy of the stock image of `kind` (`booted`, or `light`: sshd alone, up in a moment) that belongs to the usual account.
    pub(crate) fn own_image(&self, kind: &str, region: &str, name: &str) -> String {
        let wish = json!({ "image": self.stock(kind, region), "region": region, "name": name });
        let answer = http::request(self.endpoint(), "POST", "/_minicloud/copy", Some(&wish));
        answer["image"].as_str().expect("an image id").to_owned()
    }

    /// The stock image of `kind` in a region.
    pub(crate) fn stock(&self, kind: &str, region: &str) -> &str {
        let stock = if kind == "light" { &self.ready["light_images"] } else { &self.ready["images"] };
        stock[region].as_str().expect("an image id")
    }

    /// Forgets all fault scripts.
    pub(crate) fn clear_faults(&self) {
        http::request(self.endpoint(), "DELETE", "/_minicloud/faults", None);
    }

    /// Adds fault scripts.
    pub(crate) fn faults(&self, scripts: Value) {
        http::request(self.endpoint(), "POST", "/_minicloud/faults", Some(&scripts));
    }

    /// Makes the next instances of an image boot without ever opening port 22.
    pub(crate) fn unreachable(&self, image: &str) {
        http::request(self.endpoint(), "POST", "/_minicloud/unreachable", Some(&json!({ "image": image })));
    }

    /// A request to the cloud itself: `POST /_minicloud/VERB`.
    pub(crate) fn control(&self, verb: &str, wish: &Value) -> Value {
        http::request(self.endpoint(), "POST", &format!("/_minicloud/{verb}"), Some(wish))
    }

    /// Takes `unreachable` back.
    pub(crate) fn reachable(&self, image: &str) {
        let wish = json!({ "image": image, "unreachable": false });
        http::request(self.endpoint(), "POST", "/_minicloud/unreachable", Some(&wish));
    }

    /// Turns an image's deregistration protection on, as its owner would have.
    pub(crate) fn protect(&self, image: &str, region: &str) {
        http::request(
            self.endpoint(),
            "POST",
            "/_minicloud/protect",
            Some(&json!({ "image": image, "region": region })),
        );
    }

    /// The API calls so far, oldest first.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let path = self.ready["call_log"].as_str().expect("a call log");
        let text = std::fs::read_to_string(path).expect("the call log is readable");
        // The last line may still be on its way into the file.
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// What of assay's (and, with `packer`, of Packer's) is still there and costs money or grants access.
    pub(crate) fn left(&self) -> Vec<String> {
        let all = self.inventory();
        let mut left = Vec::new();
        for instance in all["instances"].as_array().expect("instances") {
            if instance["state"] != "terminated" && instance["state"] != "shutting-down" {
                left.push(format!("instance {} {}", instance["id"], instance["state"]));
            }
        }
        for (kind, key) in [("key pair", "key_pairs"), ("security group", "security_groups"), ("volume", "volumes")] {
            for thing in all[key].as_array().expect(key) {
                if thing["name"] != "default" {
                    left.push(format!("{kind} {} {}", thing["id"], thing["name"]));
                }
            }
        }
        left
    }

    /// Waits until nothing is left; panics with what is after `seconds`.
    pub(crate) fn wait_until_clean(&self, seconds: u64) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left after {seconds} s: {left:#?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A path beside the cloud's state.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let down = Command::new(tools::mini_cloud())
            .args(["down", "--state"])
            .arg(self.folder.path().join("state"))
            .stdout(Stdio::null())
            .status();
        if !down.is_ok_and(|status| status.success()) {
            eprintln!("mini-cloud down did not succeed for {}", self.folder.path().display());
        }
        let _status = self.child.wait();
    }
}

/// What failed and why is written when it fails, and not only after the last test, which may be half an hour later.
fn say_failures_at_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let text: String = panic.to_string().chars().take(8000).collect();
            // Not by eprintln, which the test harness keeps back.
            let _written = writeln!(std::io::stderr().lock(), "{} {text}", thread.name().unwrap_or("a thread"));
            before(panic);
        }));
    });
}
