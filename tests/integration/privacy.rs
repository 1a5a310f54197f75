//! What other processes of the same user cannot read: the environment (and with it the memory) of the processes that hold credentials. All of it as a user
//! without privileges, since nothing is hidden from root; and everything that assay starts must still start for such a user.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::{cloud::Cloud, tools};

/// The numeric user and group `nobody`.
const NOBODY: u32 = 65534;
/// Stands in the environment of every process that a test starts.
const SECRET: &str = "a-secret-that-stays-here";

/// `program` as an unprivileged user.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={NOBODY}"))
        .arg(format!("--regid={NOBODY}"))
        .arg("--clear-groups")
        .arg(program)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("SECRET", SECRET)
        .stdin(Stdio::null());
    command
}

/// A folder of that user's own, with the program under test in it.
fn home() -> (TempDir, PathBuf) {
    let folder = TempDir::with_prefix("assay-nobody-").expect("a folder");
    let program = folder.path().join("assay");
    fs::copy(tools::assay(), &program).expect("the program is copied");
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("these tests run as root: use sudo");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    (folder, program)
}

/// Whether another process of that user can read the environment of `pid`.
fn nobody_reads(pid: u32) -> bool {
    let output = as_nobody(Path::new("cat"))
        .arg(format!("/proc/{pid}/environ"))
        .output()
        .expect("setpriv runs; install it with: apt-get install util-linux");
    String::from_utf8_lossy(&output.stdout).contains(SECRET)
}

/// The secret stands there, as root sees.
fn holds_secret(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| String::from_utf8_lossy(&text).contains(SECRET))
}

/// A child that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn the_plugin_is_closed_to_other_processes_of_its_user() {
    let (folder, program) = home();
    let start = |mut command: Command| {
        Ended(command.stdout(Stdio::piped()).current_dir(folder.path()).spawn().expect("starts"))
    };
    let mut plain = as_nobody(Path::new("sh"));
    // It waits by itself: a process that is just becoming another program has no environment to read for a moment.
    plain.args(["-c", "echo up; read -r never"]).stdin(Stdio::piped());
    let mut plugin = as_nobody(&program);
    plugin
        .args(["start", "post-processor", "-packer-default-plugin-name-"])
        .env("PACKER_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");
    for (command, readable) in [(plain, true), (plugin, false)] {
        let mut child = start(command);
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert!(line.starts_with(if readable { "up" } else { "5|0|unix|" }), "{line:?}");
        assert!(holds_secret(child.0.id()), "there is something to read");
        assert_eq!(nobody_reads(child.0.id()), readable, "readable: {line:?}");
    }
}

/// The processes that run `program`, as their ids and arguments.
fn processes_of(program: &Path) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()));
    let mine = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
    pids.filter(mine)
        .map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

#[test]
fn an_unprivileged_user_gets_conductor_reaper_and_prober_and_reads_none_of_them() {
    let cloud = Cloud::start();
    let (folder, program) = home();
    let suite = folder.path().join("slow.hcl");
    fs::write(&suite, "suite \"slow\" {\n  timeout = \"60s\"\n  command \"sleep 6\" {\n    exit-status = 0\n  }\n}\n")
        .expect("written");
    let ami = format!("us-east-1:{}", cloud.own_image("light", "us-east-1", "private"));
    let mut command = as_nobody(&program);
    command
        .args(["validate", "--ami", &ami, "--suite"])
        .arg(&suite)
        .args(["--ssh-username", "debian", "--no-stamp", "--format", "json"])
        .args(["--temporary-security-group-source-cidr", "127.0.0.1/32"])
        .envs(cloud.environment("main"))
        .env("HOME", folder.path())
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    let parts = ["validate", "reaper --journal", "prober"];
    let running = loop {
        let running = processes_of(&program);
        if parts.iter().all(|part| running.iter().any(|(_, line)| line.contains(part))) && !cloud.left().is_empty() {
            break running;
        }
        if Instant::now() > deadline {
            let output = child.wait_with_output().expect("an end");
            panic!("{running:?} were seen: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    for (pid, line) in &running {
        assert!(!nobody_reads(*pid), "{line}");
        // Of the prober, which has no environment, only this tells: what may not be dumped belongs to root in /proc.
        let owner = fs::metadata(format!("/proc/{pid}/environ")).map(|it| std::os::unix::fs::MetadataExt::uid(&it));
        assert_eq!(owner.expect("it runs"), 0, "{line}");
        assert_eq!(holds_secret(*pid), !line.contains("prober"), "the prober gets no environment: {line}");
    }
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    cloud.wait_until_clean(10);
}
