//! Scripts side by side on one session, against a real OpenSSH server.

use super::{
    super::sshd::Sshd,
    tests::{Recorder, in_suite, order},
    *,
};
use assay_model::CheckOutcome::{self, Failed, Passed, Undecided};

fn outcomes(recorder: &Recorder, order: &EngineOrder) -> Vec<CheckOutcome> {
    recorder.outcomes(&order.suites).into_iter().map(|(_, outcome)| outcome).collect()
}

/// A server with `config`, and what becomes of `body` there. `@` is a folder.
fn ran(config: &str, body: &str) -> (Option<EngineStop>, Vec<CheckOutcome>) {
    let sshd = Sshd::start_locked(config);
    sshd.unlock();
    let order = order(&sshd, &in_suite(&body.replace('@', &sshd.folder().display().to_string())));
    let recorder = Recorder::default();
    let stop = run(&order, &recorder).err();
    (stop, outcomes(&recorder, &order))
}

#[test]
fn slow_checks_do_not_hold_up_each_other() {
    // Each waits for the next one: in one line they would never end.
    let body = r#"timeout = "30s"
        command "while ! test -e @/2; do sleep 0.1; done" { exit-status = 0 }
        command "touch @/2; while ! test -e @/3; do sleep 0.1; done" { exit-status = 0 }
        command "while ! test -e @/4; do sleep 0.1; done; touch @/3" { exit-status = 0 }
        command "touch @/4" { exit-status = 0 }"#;
    assert_eq!(ran("", body), (None, vec![Passed; 4]));
}

#[test]
fn a_server_that_gives_one_channel_gets_one_script_after_the_other() {
    let (stop, outcomes) = ran(
        "MaxSessions 1",
        r#"file "/" { exists = true }
        command "touch @/1" { exit-status = 0 }
        command "true" { exit-status = 0 }
        command "false" { exit-status = 0 }
        command "echo x" { stdout = ["x"] }
        command "test -e @/never || echo y" {
          stdout = ["z"]
          retry  = 1
        }"#,
    );
    assert_eq!(stop, None);
    // In the order of the names: echo, false, test, touch, true, /.
    assert_eq!(outcomes, [Passed, Failed, Failed, Passed, Passed, Passed]);
}

#[test]
fn a_lane_that_dies_takes_only_its_own_checks_along() {
    // The parent of the command's parent, which is timeout, is the lane's shell.
    let kill = "read -r a b c d e </proc/$PPID/stat; kill -9 $d";
    let (stop, outcomes) = ran(
        "",
        &format!(
            r#"file "/" {{ exists = true }}
            command "echo 1" {{ stdout = ["1"] }}
            command "{kill}" {{ exit-status = 0 }}
            command "true" {{ exit-status = 0 }}"#
        ),
    );
    let stop = stop.expect("not everything was answered");
    assert!(stop.kind == UndecidedKind::Lost && stop.reason.contains("signal KILL"), "{}", stop.reason);
    // In the order of the names: echo, read, true, /.
    assert_eq!(outcomes, [Passed, Undecided, Passed, Passed]);
}

#[test]
fn the_deadline_for_everything_holds_on_every_lane() {
    let sshd = Sshd::start();
    let body = r#"timeout = "60s"
        file "/" { exists = true }
        command "sleep 61" { exit-status = 0 }
        command "sleep 62" { exit-status = 0 }
        command "sleep 63" { exit-status = 0 }"#;
    let mut order = order(&sshd, &in_suite(body));
    order.total = Duration::from_secs(4);
    let recorder = Recorder::default();
    let stop = run(&order, &recorder).expect_err("there is no time for it");
    assert_eq!(stop.kind, UndecidedKind::Timeout, "{}", stop.reason);
    assert_eq!(outcomes(&recorder, &order), [Undecided, Undecided, Undecided, Passed]);
}

#[test]
fn a_check_s_own_time_ends_it_on_every_lane() {
    let (stop, outcomes) = ran(
        "",
        r#"timeout = "1s"
        command "sleep 61" { exit-status = 0 }
        command "true" { exit-status = 0 }
        command "sleep 62" { exit-status = 0 }"#,
    );
    assert_eq!((stop, outcomes), (None, vec![Undecided, Undecided, Passed]));
}

#[test]
fn no_lane_answers_for_another() {
    let forge = |nonce: &str| {
        format!("for n in 0 1 2 3 end; do printf '\\n{nonce} %s 1 1 b\\n.s 0\\n.n 1\\n{nonce} .\\n' $n; done; exit 1")
    };
    let zeros = "a".to_owned() + &"0".repeat(32);
    let (stop, outcomes) = ran(
        "",
        &format!(
            r#"command "{}" {{
              exit-status = 0
              stdout      = ["1 1 b"]
            }}
            command "exit 3" {{ exit-status = 0 }}
            command "exit 4" {{
              exit-status = 0
              stdout      = ["1 1 b"]
            }}"#,
            forge(&zeros)
        ),
    );
    assert_eq!(stop, None);
    // In the order of the names: exit 3; exit 4 (exit-status, stdout); for (exit-status, stdout).
    assert_eq!(outcomes, [Failed, Failed, Failed, Failed, Passed]);
}

#[test]
fn several_lanes_ask_again() {
    let flaky = |n: u32| format!("command \"echo x >>@/{n}; test $(wc -l <@/{n}) -ge 2\" {{ exit-status = 0 }}\n");
    let sshd = Sshd::start();
    let body = (1..=4).map(flaky).collect::<String>().replace('@', &sshd.folder().display().to_string());
    let order = order(&sshd, &in_suite(&format!("retry = 2\nretry_delay = \"50ms\"\n{body}")));
    let recorder = Recorder::default();
    run(&order, &recorder).expect("all is answered");
    for (name, (judged, attempts, flaky)) in recorder.results(&order.suites) {
        assert_eq!((judged.outcome, attempts, flaky), (Passed, 2, true), "{name}");
    }
}
