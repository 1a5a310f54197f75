//! Whole probes against a real OpenSSH server on a loopback port, and against servers that are none.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use super::{super::sshd::Sshd, *};
use crate::{
    model::Outcome::{self, Failed, Passed, Skipped, Undecided},
    suite::load,
};

/// Keeps what is told.
#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<Event>>,
    gone: AtomicBool,
}

impl Listener for Recorder {
    fn tell(&self, event: Event) {
        self.events.lock().expect("not poisoned").push(event);
    }
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }
}

impl Recorder {
    fn events(&self) -> Vec<Event> {
        self.events.lock().expect("not poisoned").clone()
    }

    fn reached(&self, step: Step) -> bool {
        self.events().iter().any(|e| matches!(e, Event::Reached(s, _) if *s == step))
    }

    /// What was told of each property, by `resource id property`; each must have been told once.
    fn results(&self, suites: &[Suite]) -> BTreeMap<String, (Judged, u32, bool)> {
        let mut results = BTreeMap::new();
        for event in self.events() {
            let Event::Check { suite, check, property, judged, attempts, flaky, .. } = event else { continue };
            let it = &suites[suite].checks[check];
            let name = format!("{} {} {}", it.resource, it.id, it.properties[property].name);
            let before = results.insert(name.clone(), (judged, attempts, flaky));
            assert!(before.is_none(), "{name} was told twice");
        }
        results
    }

    fn outcomes(&self, suites: &[Suite]) -> Vec<(String, Outcome)> {
        self.results(suites).into_iter().map(|(name, (judged, _, _))| (name, judged.outcome)).collect()
    }
}

fn suites(text: &str) -> Vec<Suite> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    std::fs::write(&path, text).expect("written");
    load(&[path], Path::new("/"))
        .unwrap_or_else(|e| panic!("{}", e.iter().map(|d| format!("{d}\n")).collect::<String>()))
}

fn order(sshd: &Sshd, text: &str) -> Order {
    Order {
        address: sshd.address,
        user: sshd.user.clone(),
        private_key: sshd.client_key.clone().into(),
        host_keys: vec![HostKey::from_line(&sshd.host_key).expect("a key")],
        suites: suites(text),
        connect_within: Duration::from_secs(30),
        total: Duration::from_secs(60),
        wait_cloud_init: false,
    }
}

fn in_suite(body: &str) -> String {
    format!("suite \"x\" {{\n{body}\n}}\n")
}

#[test]
fn thirty_checks_of_every_kind() {
    let sshd = Sshd::start();
    let at = sshd.folder().display().to_string();
    std::fs::write(sshd.folder().join("it's a file"), "one\ntwo\n").expect("written");
    std::os::unix::fs::symlink("/etc/passwd", sshd.folder().join("link")).expect("linked");
    let port = sshd.address.port();
    let text = include_str!("fixtures/thirty.hcl").replace("@DIR@", &at).replace("@PORT@", &port.to_string());
    let order = order(&sshd, &text);
    let recorder = Recorder::default();
    run(&order, &recorder).expect("all is answered");
    let results = recorder.results(&order.suites);
    assert_eq!(results.len(), order.suites[0].planned());
    assert!(order.suites[0].checks.len() >= 30, "{}", order.suites[0].checks.len());
    let mut surprises = Vec::new();
    for (name, (judged, attempts, flaky)) in &results {
        let wanted = match name.as_str() {
            n if n.starts_with("file /nowhere") && !n.ends_with("exists") => Skipped,
            n if n.starts_with("service ") || n.starts_with("systemd ") || n.starts_with("cloud-init ") => continue,
            n if n.contains("WRONG") || n.starts_with("user nosuch uid") => Failed,
            _ => Passed,
        };
        if judged.outcome != wanted {
            surprises.push(format!("{name}: {judged:?}"));
        }
        assert_eq!((*attempts, *flaky), (u32::from(wanted != Skipped), false), "{name}");
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let steps: Vec<Step> =
        recorder.events().iter().filter_map(|e| if let Event::Reached(s, _) = e { Some(*s) } else { None }).collect();
    assert_eq!(steps, [Step::Connected, Step::Authenticated, Step::Checks, Step::Answered]);
    let wrong = &results["command WRONG stdout"].0;
    assert!(wrong.actual.to_string().contains("\\\\x1b[31m"), "shown escaped: {}", wrong.actual);
}
