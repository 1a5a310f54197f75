//! Ways to a machine that is not reached directly: a proxy command, a bastion.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    sshd::{Sshd, free_port},
    support::probing::{PASSING, Probe},
};

/// Relays between its standard streams and HOST PORT; writes its process id to PIDFILE, and starts a process that would outlive it.
const RELAY: &str = r#"
import os, socket, subprocess, sys, threading
open(sys.argv[3], "w").write(str(os.getpid()))
subprocess.Popen(["sleep", "1000"])
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while True:
        data = os.read(0, 65536)
        if not data: break
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data: break
    os.write(1, data)
"#;

fn is_running(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// The processes of a process group.
fn group(leader: &str) -> Vec<String> {
    let of_group = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(2)) == Some(leader) && is_running(pid)
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
    all.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(of_group).collect()
}

fn gone_soon(what: &str, gone: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !gone() {
        assert!(Instant::now() < end, "{what} still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_proxy_command_is_the_connection_and_ends_with_it() {
    let sshd = Sshd::start();
    let probe = Probe::of(&sshd, PASSING);
    probe.file("relay.py", RELAY);
    // The shell stays the group's leader, and the relay is its child.
    let probe = probe.with(&["--ssh-proxy-command", "echo $$ >group; python3 relay.py {host} %p pid"]);
    let probed = probe.run();
    assert_eq!(probed.code, Some(0), "{probed:?}");
    assert_eq!(probed.outcomes().len(), 1);
    let folder = probe.command().get_current_dir().map(Path::to_owned).unwrap();
    let leader = std::fs::read_to_string(folder.join("group")).unwrap();
    let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
    gone_soon("the relay", || !is_running(pid.trim()));
    gone_soon("what the command started", || group(leader.trim()).is_empty());
}

#[test]
fn a_proxy_command_that_fails_says_why() {
    let sshd = Sshd::start();
    let command = "printf 'first\\nno such \\033[31mprofile\\n' >&2; exit 7";
    let probed = Probe::of(&sshd, PASSING).with(&["--ssh-proxy-command", command, "--ssh-timeout", "4s"]).run();
    probed.assert_undecided("unreachable", &["exit status: 7", "no such \\x1b[31mprofile", "proxy command"]);
}

#[test]
fn a_proxy_command_that_cannot_run_is_given_up_at_once() {
    let sshd = Sshd::start();
    let probe = Probe::of(&sshd, PASSING);
    let command = "echo started >>starts; nosuchprogram {host}";
    let probe = probe.with(&["--ssh-proxy-command", command, "--ssh-timeout", "5m"]);
    let probed = probe.run();
    probed.assert_undecided("unreachable", &["exit status: 127", "nosuchprogram"]);
    let folder = probe.command().get_current_dir().map(Path::to_owned).unwrap();
    let starts = std::fs::read_to_string(folder.join("starts")).unwrap();
    assert!(starts.lines().count() <= 3, "it was started {} times", starts.lines().count());
}

#[test]
fn a_proxy_command_of_other_machines_cannot_name_an_instance() {
    let sshd = Sshd::start();
    let probed = Probe::of(&sshd, PASSING).with(&["--ssh-proxy-command", "x {instance_id}"]).run();
    probed.assert_undecided("configuration", &["{instance_id}"]);
    let probed = Probe::of(&sshd, PASSING).with(&["--ssh-proxy-command", "nc {hots}"]).run();
    assert_eq!(probed.code, Some(1), "{probed:?}");
    assert!(probed.stderr.contains("did you mean {host}"), "{}", probed.stderr);
}

#[test]
fn a_command_that_says_nothing_is_waited_for_no_longer_than_a_login() {
    let sshd = Sshd::start();
    let probed = Probe::of(&sshd, PASSING).with(&["--ssh-proxy-command", "sleep 1000", "--ssh-timeout", "2s"]).run();
    probed.assert_undecided("unreachable", &["no login"]);
}

/// A bastion, and a target that only listens where the bastion reaches it.
struct Hop {
    bastion: Sshd,
    target: Sshd,
}

impl Hop {
    fn new() -> Self {
        let bastion = Sshd::start();
        let target = Sshd::start_locked("ListenAddress 127.0.0.9");
        target.unlock();
        Self { bastion, target }
    }

    fn probe(&self, known_hosts: Option<&str>, key: &str) -> Probe {
        let host = format!("{}@127.0.0.9:{}", self.target.user, self.target.address.port());
        let probe = Probe::anywhere(&host, &self.target, PASSING);
        probe.file("bastion_key", key);
        let port = self.bastion.address.port().to_string();
        let probe = probe.with(&[
            "--host-key",
            &self.target.host_key,
            "--ssh-bastion-host",
            "127.0.0.1",
            "--ssh-bastion-port",
            &port,
            "--ssh-bastion-username",
            &self.bastion.user,
            "--ssh-bastion-private-key-file",
            "bastion_key",
        ]);
        match known_hosts {
            None => probe,
            Some(line) => {
                probe.file("known", &format!("[127.0.0.1]:{port} {line}\n"));
                probe.with(&["--ssh-bastion-known-hosts-file", "known"])
            }
        }
    }
}

#[test]
fn through_a_bastion_whose_key_is_known() {
    let hop = Hop::new();
    let probed = hop.probe(Some(&hop.bastion.host_key), &hop.bastion.client_key).run();
    assert_eq!(probed.code, Some(0), "{probed:?}");
    assert_eq!(probed.evidence["targets"][0]["bastion_host_key"], "given");
    assert_eq!(probed.evidence["targets"][0]["host_key"], "given");
    assert!(!probed.stderr.contains("nothing verifies"), "{}", probed.stderr);
}

#[test]
fn through_a_bastion_whose_key_is_not_known_and_the_record_says_so() {
    let hop = Hop::new();
    let probed = hop.probe(None, &hop.bastion.client_key).run();
    assert_eq!(probed.code, Some(0), "{probed:?}");
    assert_eq!(probed.evidence["targets"][0]["bastion_host_key"], "none");
    assert!(probed.stderr.contains(&hop.bastion.host_key) && probed.stderr.contains("nothing verifies"), "{probed:?}");
}

#[test]
fn a_bastion_with_another_key_is_left_at_once() {
    let hop = Hop::new();
    let probed = hop.probe(Some(&hop.target.host_key), &hop.bastion.client_key).run();
    probed.assert_undecided("unreachable", &["the bastion", &hop.bastion.host_key, "which is not"]);
}

#[test]
fn a_bastion_that_does_not_let_us_in_or_through() {
    let hop = Hop::new();
    let refused = hop.probe(Some(&hop.bastion.host_key), &hop.target.client_key).with(&["--ssh-timeout", "4s"]).run();
    refused.assert_undecided("unreachable", &["the bastion", "login refused"]);

    let closed = free_port();
    let host = format!("{}@{closed}", hop.target.user);
    let probe = Probe::anywhere(&host, &hop.target, PASSING);
    probe.file("bastion_key", &hop.bastion.client_key);
    let port = hop.bastion.address.port().to_string();
    let flags = ["--ssh-bastion-host", "127.0.0.1", "--ssh-bastion-port", &port, "--ssh-bastion-username"];
    let more = [&*hop.bastion.user, "--ssh-bastion-private-key-file", "bastion_key", "--ssh-timeout", "4s"];
    let probed = probe.with(&flags).with(&more).run();
    probed.assert_undecided("unreachable", &["the bastion does not connect", &closed.to_string()]);
}

#[test]
fn half_a_bastion_is_a_mistake() {
    let sshd = Sshd::start();
    let probed = Probe::of(&sshd, PASSING).with(&["--ssh-bastion-host", "x"]).run();
    assert_eq!(probed.code, Some(1));
    for name in ["ssh_bastion_username", "ssh_bastion_private_key_file"] {
        assert!(probed.stderr.contains(name), "{}", probed.stderr);
    }
}
