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
use assay_model::CheckOutcome::{self, Failed, Passed, Skipped, Undecided};
use assay_suite::load;

/// Keeps what is told.
#[derive(Default)]
pub(super) struct Recorder {
    events: Mutex<Vec<EngineEvent>>,
    gone: AtomicBool,
}

impl EventListener for Recorder {
    fn tell(&self, event: EngineEvent) {
        self.events.lock().expect("not poisoned").push(event);
    }
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }
}

impl Recorder {
    pub(super) fn events(&self) -> Vec<EngineEvent> {
        self.events.lock().expect("not poisoned").clone()
    }

    pub(super) fn reached(&self, step: EngineStep) -> bool {
        self.events().iter().any(|e| matches!(e, EngineEvent::Reached(s, _) if *s == step))
    }

    /// What was told of each property, by `resource id property`; each must have been told once.
    pub(super) fn results(&self, suites: &[Suite]) -> BTreeMap<String, (JudgedProperty, u32, bool)> {
        let mut results = BTreeMap::new();
        for event in self.events() {
            let EngineEvent::Check { suite, check, property, judged, attempts, flaky, .. } = event else { continue };
            let it = &suites[suite].checks[check];
            let name = format!("{} {} {}", it.resource, it.id, it.properties[property].name);
            let before = results.insert(name.clone(), (judged, attempts, flaky));
            assert!(before.is_none(), "{name} was told twice");
        }
        results
    }

    pub(super) fn outcomes(&self, suites: &[Suite]) -> Vec<(String, CheckOutcome)> {
        self.results(suites).into_iter().map(|(name, (judged, _, _))| (name, judged.outcome)).collect()
    }
}

pub(super) fn suites(text: &str) -> Vec<Suite> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    std::fs::write(&path, text).expect("written");
    load(&[path], Path::new("/"))
        .unwrap_or_else(|e| panic!("{}", e.iter().map(|d| format!("{d}\n")).collect::<String>()))
}

pub(super) fn order(sshd: &Sshd, text: &str) -> EngineOrder {
    EngineOrder {
        address: sshd.address.into(),
        user: sshd.user.clone(),
        private_key: sshd.client_key.clone().into(),
        host_keys: vec![HostKey::from_line(&sshd.host_key).expect("a key")],
        suites: suites(text).into(),
        connect_within: Duration::from_secs(30),
        total: Duration::from_secs(60),
        wait_cloud_init: false,
        facts: false,
        inventory: false,
    }
}

pub(super) fn in_suite(body: &str) -> String {
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
    let steps: Vec<EngineStep> = recorder
        .events()
        .iter()
        .filter_map(|e| if let EngineEvent::Reached(s, _) = e { Some(*s) } else { None })
        .collect();
    assert_eq!(steps, [EngineStep::Connected, EngineStep::Authenticated, EngineStep::Checks, EngineStep::Answered]);
    let wrong = &results["command WRONG stdout"].0;
    assert!(wrong.actual.to_string().contains("\\\\x1b[31m"), "shown escaped: {}", wrong.actual);
}

#[test]
fn what_is_in_the_image_is_told_after_the_last_check_and_touches_no_verdict() {
    let sshd = Sshd::start();
    let mut order = order(&sshd, &in_suite("command \"false\" { exit-status = 0 }"));
    order.inventory = true;
    let recorder = Recorder::default();
    run(&order, &recorder).expect("all is answered");
    let events = recorder.events();
    let answered =
        events.iter().position(|e| matches!(e, EngineEvent::Reached(EngineStep::Answered, _))).expect("answered");
    let pieces: Vec<_> = events[answered..].iter().filter(|e| matches!(e, EngineEvent::Inventory(_))).collect();
    let Some(EngineEvent::Inventory(last)) = pieces.last() else { panic!("no inventory") };
    assert!(last.last && pieces.len() == events.iter().filter(|e| matches!(e, EngineEvent::Inventory(_))).count());
    assert_eq!(recorder.outcomes(&order.suites), [("command false exit-status".to_owned(), Failed)]);
    order.inventory = false;
    let quiet = Recorder::default();
    run(&order, &quiet).expect("all is answered");
    assert!(!quiet.events().iter().any(|e| matches!(e, EngineEvent::Inventory(_))), "it was not asked");
}

/// The stop and all outcomes of a run of `text` on a server with `config`.
fn stopped(config: &str, text: &str) -> (Option<EngineStop>, Vec<(String, CheckOutcome)>) {
    let sshd = Sshd::start_locked(config);
    sshd.unlock();
    let order = order(&sshd, text);
    let recorder = Recorder::default();
    let stop = run(&order, &recorder).err();
    (stop, recorder.outcomes(&order.suites))
}

const TRUE: &str = "command \"true\" { exit-status = 0 }";

#[test]
fn a_command_cannot_forge_answers() {
    let sshd = Sshd::start();
    let forge = r#"command "for n in 0 1 2 end; do printf '\na%032d %s 1 1 b\n.s 0\n.e\n\n.o\n\na%032d .\n' 0 $n 0; done; ls -l /proc/self/fd/9 2>&1; exit 1" {
        exit-status = 0
        stdout      = ["No such file"]
      }
      command "false" { exit-status = 0 }
      command "echo >&9" { exit-status = { not = 0 } }"#;
    let order = order(&sshd, &in_suite(forge));
    let recorder = Recorder::default();
    run(&order, &recorder).expect("all is answered");
    let outcomes: Vec<CheckOutcome> = recorder.outcomes(&order.suites).into_iter().map(|(_, o)| o).collect();
    // In the order of the names: echo, false, for (exit-status, stdout).
    assert_eq!(outcomes, [Passed, Failed, Failed, Passed]);
}

#[test]
fn endless_output_and_endless_time_end() {
    let sshd = Sshd::start();
    let order = order(
        &sshd,
        &in_suite(
            r#"timeout = "1s"
            command "yes" { stdout = ["y"] }
            command "sleep 100" { exit-status = 0 }
            command "trap '' TERM; sleep 100 & wait; sleep 100" { exit-status = 0 }
            command "setsid sleep 9 & echo started" { stdout = ["started"] }
            command "true" { exit-status = 0 }"#,
        ),
    );
    let recorder = Recorder::default();
    run(&order, &recorder).expect("all is answered");
    for (name, (judged, _, _)) in recorder.results(&order.suites) {
        if name.starts_with("command true") {
            assert_eq!(judged.outcome, Passed, "the others do not hold it up");
        } else {
            assert_eq!(judged.outcome, Undecided, "{name}: {judged:?}");
            assert!(judged.message.contains("timeout of 1 s"), "{name}: {}", judged.message);
        }
    }
}

#[test]
fn a_check_that_passes_later_is_flaky() {
    let sshd = Sshd::start();
    let at = sshd.folder().display();
    let order = order(
        &sshd,
        &in_suite(&format!(
            r#"retry = 3
            retry_delay = "100ms"
            command "echo x >>{at}/tries; test $(wc -l <{at}/tries) -ge 3 && echo ok" {{
              exit-status = 0
              stdout      = ["ok"]
              stderr      = ""
            }}
            command "true" {{ exit-status = 0 }}
            command "false" {{
              exit-status = 0
              retry       = 1
            }}"#
        )),
    );
    let recorder = Recorder::default();
    run(&order, &recorder).expect("all is answered");
    let found: Vec<(CheckOutcome, u32, bool)> = recorder
        .results(&order.suites)
        .into_values()
        .map(|(judged, attempts, flaky)| (judged.outcome, attempts, flaky))
        .collect();
    // In the order of the names: echo (exit-status, stderr, stdout), false, true.
    assert_eq!(
        found,
        [(Passed, 3, true), (Passed, 3, false), (Passed, 3, true), (Failed, 2, false), (Passed, 1, false)]
    );
}

#[test]
fn a_private_key_that_cannot_be_used_is_no_matter_for_the_host() {
    let sshd = Sshd::start();
    let mut order = order(&sshd, &in_suite(TRUE));
    order.private_key = sshd.client_key.lines().take(2).collect::<Vec<_>>().join("\n").into();
    let recorder = Recorder::default();
    let began = Instant::now();
    let stop = run(&order, &recorder).expect_err("no login");
    assert_eq!(stop.kind, UndecidedKind::Configuration, "{}", stop.reason);
    assert!(stop.reason.contains("private key cannot be used") && began.elapsed() < Duration::from_secs(10));
    let keys = recorder.events().iter().filter(|e| matches!(e, EngineEvent::Reached(EngineStep::Connected, _))).count();
    assert_eq!(keys, 1, "it was tried once");
}

/// A check that waits for something, and what it is when the waiting is cut short.
const WAITS: &str =
    "file \"/nowhere/ready\" {\n exists = true\n mode = \"0644\"\n retry = 100\n retry_delay = \"1s\"\n}\n";

#[test]
fn a_check_with_attempts_left_has_not_failed_when_the_connection_goes() {
    let sshd = Sshd::start();
    // The session's own process is the parent of the lane's shell.
    let cut = "command \"sleep 1; read -r a b c d e </proc/$PPID/stat; read -r a b c e f </proc/$d/stat; kill -9 $e\" { exit-status = 0 }";
    for body in [
        format!("{WAITS}{cut}"),
        format!("{WAITS}command \"sleep 1; read -r a b c d e </proc/$PPID/stat; kill -9 $d\" {{ exit-status = 0 }}"),
    ] {
        let order = order(&sshd, &in_suite(&body));
        let recorder = Recorder::default();
        run(&order, &recorder).expect_err("not everything was answered");
        let results = recorder.results(&order.suites);
        let (judged, attempts, _) = &results["file /nowhere/ready exists"];
        assert_eq!((judged.outcome, &judged.actual, *attempts), (Undecided, &false.into(), 1), "{}", judged.message);
        assert!(judged.message.contains("1 of at most 101 attempts"), "{}", judged.message);
        let (judged, ..) = &results["file /nowhere/ready mode"];
        assert_eq!((judged.outcome, judged.message.as_str()), (Skipped, "\"exists\" is undecided"));
    }
}

#[test]
fn what_was_found_last_is_told_when_there_is_no_time_for_more_attempts() {
    let sshd = Sshd::start();
    let mut order = order(&sshd, &in_suite(WAITS));
    order.total = Duration::from_millis(3_500);
    let recorder = Recorder::default();
    let stop = run(&order, &recorder).expect_err("not all attempts were made");
    assert_eq!(stop.kind, UndecidedKind::Timeout);
    let results = recorder.results(&order.suites);
    let (judged, attempts, _) = &results["file /nowhere/ready exists"];
    assert_eq!((judged.outcome, &judged.actual), (Undecided, &false.into()));
    assert!(*attempts >= 2 && judged.message.contains("left no time to ask again"), "{attempts}: {}", judged.message);
}

#[test]
fn each_check_waits_for_its_own_delay() {
    let sshd = Sshd::start();
    let at = sshd.folder().display();
    let waits = |name: &str, retry: u32, delay: &str| {
        format!(
            "command \"echo x >>{at}/{name}; test $(wc -l <{at}/{name}) -ge {retry}\" {{\n exit-status = 0\n retry = {retry}\n retry_delay = \"{delay}\"\n}}\n"
        )
    };
    let order = order(&sshd, &in_suite(&(waits("quick", 5, "100ms") + &waits("slow", 2, "4s"))));
    let recorder = Recorder::default();
    let began = Instant::now();
    run(&order, &recorder).expect("all is answered");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(recorder.outcomes(&order.suites).iter().all(|(_, outcome)| *outcome == Passed));
}

#[test]
fn a_server_that_wants_signs_of_life_gets_them_between_attempts() {
    let sshd = Sshd::start_locked("ClientAliveInterval 1\nClientAliveCountMax 2");
    sshd.unlock();
    let at = sshd.folder().display();
    let body = format!(
        "command \"echo x >>{at}/x; test $(wc -l <{at}/x) -ge 2\" {{\n exit-status = 0\n retry = 1\n retry_delay = \"9s\"\n}}"
    );
    let order = order(&sshd, &in_suite(&body));
    let recorder = Recorder::default();
    assert_eq!(run(&order, &recorder), Ok(()));
    assert_eq!(recorder.outcomes(&order.suites)[0].1, Passed);
}

#[test]
fn a_login_that_works_later_works() {
    let sshd = Sshd::start_locked("");
    let order = order(&sshd, &in_suite(TRUE));
    let recorder = Recorder::default();
    std::thread::scope(|scope| {
        let unlock = scope.spawn(|| {
            while !recorder.reached(EngineStep::Connected) {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(300));
            sshd.unlock();
        });
        run(&order, &recorder).expect("it is let in in the end");
        unlock.join().expect("unlocked");
    });
    assert_eq!(recorder.outcomes(&order.suites)[0].1, Passed);
    let keys = recorder.events().iter().filter(|e| matches!(e, EngineEvent::HostKey { .. })).count();
    assert_eq!(keys, 1, "the same key is told once");
}

#[test]
fn a_login_that_never_works_is_undecided() {
    let sshd = Sshd::start_locked("");
    let mut order = order(&sshd, &in_suite(TRUE));
    order.connect_within = Duration::from_secs(2);
    let recorder = Recorder::default();
    let stop = run(&order, &recorder).expect_err("nobody is let in");
    assert_eq!(stop.kind, UndecidedKind::Unreachable);
    assert!(stop.reason.contains("login refused"), "{}", stop.reason);
    assert!(!recorder.reached(EngineStep::Authenticated));
}

#[test]
fn another_host_key_ends_it_before_the_login() {
    let sshd = Sshd::start();
    let other = Sshd::start();
    let mut order = order(&sshd, &in_suite(TRUE));
    order.host_keys = vec![HostKey::from_line(&other.host_key).expect("a key")];
    let recorder = Recorder::default();
    let stop = run(&order, &recorder).expect_err("the key is another");
    assert_eq!(stop.kind, UndecidedKind::HostKey);
    assert!(stop.reason.contains(&sshd.host_key) && stop.reason.contains(&other.host_key), "{}", stop.reason);
    let seen = EngineEvent::HostKey { line: sshd.host_key.clone(), expected: false };
    assert!(recorder.events().contains(&seen) && !recorder.reached(EngineStep::Authenticated));
    order.host_keys.clear();
    let unpinned = Recorder::default();
    run(&order, &unpinned).expect("any key will do");
    assert!(unpinned.events().contains(&seen));
}

#[test]
fn a_session_killed_in_the_middle_is_undecided() {
    let sshd = Sshd::start();
    let at = sshd.folder().display();
    let order = order(
        &sshd,
        &in_suite(&format!(
            "user \"root\" {{ exists = true }}\ncommand \"touch {at}/here; sleep 60\" {{ exit-status = 0 }}\nfile \"/\" {{ exists = true }}"
        )),
    );
    let recorder = Recorder::default();
    let stop = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&order, &recorder));
        while !sshd.folder().join("here").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        sshd.kill_sessions();
        run.join().expect("it ends").expect_err("nothing more can be asked")
    });
    assert_eq!(stop.kind, UndecidedKind::Lost, "{}", stop.reason);
    let outcomes: Vec<CheckOutcome> = recorder.outcomes(&order.suites).into_iter().map(|(_, o)| o).collect();
    // In the order of the names: touch, /, root.
    assert_eq!(outcomes, [Undecided, Undecided, Passed]);
}

#[test]
fn the_deadline_for_everything_holds() {
    let sshd = Sshd::start();
    let mut order =
        order(&sshd, &in_suite(&format!("timeout = \"60s\"\n{TRUE}\ncommand \"sleep 60\" {{ exit-status = 0 }}")));
    order.total = Duration::from_secs(3);
    let recorder = Recorder::default();
    let stop = run(&order, &recorder).expect_err("there is no time for it");
    assert_eq!(stop.kind, UndecidedKind::Timeout, "{}", stop.reason);
    assert_eq!(recorder.outcomes(&order.suites).iter().map(|(_, o)| *o).collect::<Vec<_>>(), [Undecided, Passed]);
}

#[test]
fn nobody_listens_any_more() {
    let sshd = Sshd::start();
    let order = order(&sshd, &in_suite("timeout = \"60s\"\ncommand \"sleep 60\" { exit-status = 0 }"));
    let recorder = Recorder::default();
    let stop = std::thread::scope(|scope| {
        let run = scope.spawn(|| run(&order, &recorder));
        while !recorder.reached(EngineStep::Checks) {
            std::thread::sleep(Duration::from_millis(20));
        }
        recorder.gone.store(true, Ordering::SeqCst);
        run.join().expect("it ends").expect_err("it is cancelled")
    });
    assert_eq!(stop.kind, UndecidedKind::Cancelled);
}

#[test]
fn a_script_that_does_not_end_as_it_should_proves_nothing() {
    let text = in_suite(TRUE);
    for (config, why) in [
        ("ForceCommand exit 0", "ended without a word"),
        ("ForceCommand echo go away; exit 1", "exit status 1; it said: go away"),
        ("ForceCommand kill -9 $$", "signal KILL"),
        // All answers, but not the end that they should have.
        ("ForceCommand sh -s; exit 0", "ended without a word"),
        ("ForceCommand sh -s; kill -9 $$", "signal KILL"),
    ] {
        let (stop, outcomes) = stopped(config, &text);
        let stop = stop.expect(config);
        assert_eq!((stop.kind, outcomes[0].1), (UndecidedKind::Lost, Undecided), "{config}");
        assert!(stop.reason.contains(why), "{config}: {}", stop.reason);
    }
}

#[test]
fn answers_given_twice_are_none() {
    let (stop, outcomes) =
        stopped("ForceCommand a=$(sh -s; echo $?); printf '%s\\n' \"$a\" \"$a\"; exit 91", &in_suite(TRUE));
    assert_eq!((stop, outcomes[0].1), (None, Undecided));
}

#[test]
fn greetings_are_not_answers() {
    let (stop, outcomes) =
        stopped("Banner /etc/passwd\nForceCommand echo Welcome; printf 'no end'; exec sh -s", &in_suite(TRUE));
    assert_eq!((stop, outcomes[0].1), (None, Passed));
}

#[test]
fn a_flood_ends() {
    let (stop, outcomes) = stopped("ForceCommand exec yes", &in_suite(TRUE));
    let stop = stop.expect("too much");
    assert_eq!((stop.kind, outcomes[0].1), (UndecidedKind::Lost, Undecided));
    assert!(stop.reason.contains("16 MiB"), "{}", stop.reason);
}

/// Probes a server that `serve` plays, which gets each connection, and returns why there is no verdict.
fn against(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> EngineStop {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (end, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            serve(socket);
            if ended.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                return;
            }
        }
    });
    let order = EngineOrder {
        address: address.into(),
        user: "root".into(),
        private_key: String::new().into(),
        host_keys: Vec::new(),
        suites: suites(&in_suite(TRUE)).into(),
        connect_within: Duration::from_millis(1_500),
        total: Duration::from_secs(10),
        wait_cloud_init: true,
        facts: false,
        inventory: false,
    };
    let stop = run(&order, &Recorder::default()).expect_err("it is no SSH server");
    drop(end);
    // One more connection lets the thread look.
    drop(std::net::TcpStream::connect(address));
    stop
}

#[test]
fn servers_that_are_none() {
    let silent = against(|mut socket| {
        let _ = socket.read(&mut [0; 256]);
        std::thread::sleep(Duration::from_millis(300));
        let _ = socket.read(&mut [0; 256]);
    });
    assert_eq!(silent.kind, UndecidedKind::Unreachable, "{}", silent.reason);
    let tarpit = against(|mut socket| while socket.write_all(b"go away, slowly\r\n").is_ok() {});
    assert_eq!(tarpit.kind, UndecidedKind::Unreachable, "{}", tarpit.reason);
    let garbage = against(|mut socket| {
        let _ = socket.write_all(b"SSH-2.0-\x1b[31mx\r\n");
        while socket.write_all(&[0xff; 4096]).is_ok() {}
    });
    assert_eq!(garbage.kind, UndecidedKind::Unreachable, "{}", garbage.reason);
    assert!(!garbage.reason.contains('\x1b'));
    let closed = against(drop);
    assert_eq!(closed.kind, UndecidedKind::Unreachable, "{}", closed.reason);
}

#[test]
fn sudo_where_a_suite_asks_for_it() {
    let (stop, outcomes) = stopped(
        "",
        "suite \"x\" {\n sudo = true\n command \"id -u\" { stdout = [\"/^0$/\"] }\n}\nsuite \"y\" {\n user \"root\" { exists = true }\n}\n",
    );
    if super::super::sshd::is_root() {
        assert_eq!(stop, None);
        assert_eq!(outcomes.iter().map(|(_, o)| *o).collect::<Vec<_>>(), [Passed, Passed]);
    } else {
        assert_eq!(outcomes[1].1, Passed, "the other suite does not suffer");
    }
}

#[test]
fn a_skipped_check_is_never_asked() {
    let sshd = Sshd::start();
    let at = sshd.folder().display();
    let order = order(
        &sshd,
        &in_suite(&format!("{TRUE}\ncommand \"touch {at}/asked\" {{\n skip = true\n exit-status = 0\n}}")),
    );
    let recorder = Recorder::default();
    run(&order, &recorder).expect("all is answered");
    assert_eq!(recorder.outcomes(&order.suites).iter().map(|(_, o)| *o).collect::<Vec<_>>(), [Skipped, Passed]);
    assert!(!sshd.folder().join("asked").exists());
}
