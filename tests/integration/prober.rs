//! The prober as a process: confined, answering over its socket, gone with its conductor.

use std::{
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use assay_model::{CheckOutcome, UndecidedKind, Verdict};
use assay_prober::{ConnectionWay, ProbeEvent, ProbePhase, ProbeRequest, Prober};
use assay_suite::{Suite, load};
use tokio::sync::mpsc;

use crate::{
    sshd::Sshd,
    support::processes::{hard_limit, status_fields},
};

const ASSAY: &str = env!("CARGO_BIN_EXE_assay");

fn suites(text: &str) -> Arc<[Suite]> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("smoke.hcl"), text).expect("written");
    load(&[PathBuf::from("smoke.hcl")], folder.path()).unwrap_or_else(|e| panic!("{}", e[0])).into()
}

fn request(sshd: &Sshd, text: &str) -> ProbeRequest {
    ProbeRequest {
        target: "test".into(),
        address: sshd.address,
        user: sshd.user.clone(),
        private_key: sshd.client_key.clone().into(),
        host_keys: vec![sshd.host_key.clone()],
        suites: suites(text),
        connect_within: Duration::from_secs(30),
        total: Duration::from_secs(60),
        wait_cloud_init: true,
        facts: false,
        inventory: false,
        way: ConnectionWay::Direct,
    }
}

const SUITE: &str = r#"
suite "smoke" {
  file "/etc/passwd" {
    exists   = true
    contents = ["root"]
  }
  command "printf '\\033[31m'; exit 7" {
    exit-status = 7
    stdout      = ["green"]
  }
}
"#;

#[tokio::test]
async fn a_whole_probe_in_the_confined_process() {
    let sshd = Sshd::start();
    let prober = Prober::start(Path::new(ASSAY)).await.expect("it starts");
    let (events, mut told) = mpsc::channel(100);
    let request = request(&sshd, SUITE);
    let (first, second) =
        tokio::join!(prober.probe(request.clone(), events), prober.probe(request, mpsc::channel(1).0));
    for result in [&first, &second] {
        assert_eq!(result.verdict, Verdict::Failed);
        assert_eq!(result.undecided, None);
        let outcomes: Vec<CheckOutcome> = result.checks.iter().map(|c| c.outcome).collect();
        assert_eq!(outcomes, [CheckOutcome::Passed, CheckOutcome::Passed, CheckOutcome::Passed, CheckOutcome::Failed]);
        let phases: Vec<&str> = result.phases.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(phases, ["ssh", "cloud-init", "checks"]);
        let key = result.host_key.as_ref().expect("it was seen");
        assert_eq!((key.line.as_str(), key.expected), (sshd.host_key.as_str(), true));
    }
    let failed = &first.checks[3];
    assert_eq!(
        (failed.suite.as_str(), failed.resource.as_str(), failed.property.as_str()),
        ("smoke", "command", "stdout")
    );
    assert_eq!(failed.expected, serde_json::json!({ "have-patterns": ["green"] }));
    assert_eq!(failed.actual, serde_json::json!("\\x1b[31m"));
    let mut reached = Vec::new();
    while let Some(event) = told.recv().await {
        if let ProbeEvent::Reached(phase, _) = event {
            reached.push(phase);
        }
    }
    use ProbePhase::{Answered, Authenticated, Checks, CloudInit, Connected};
    assert_eq!(reached, [Connected, Authenticated, CloudInit, Checks, Answered]);
}

#[tokio::test]
async fn a_console_is_read_in_the_prober() {
    let prober = Prober::start(Path::new(ASSAY)).await.expect("it starts");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    let console = format!(
        "\x1b[32mboot\n-----BEGIN SSH HOST KEY KEYS-----\r\n{key} root@x\r\n-----END SSH HOST KEY KEYS-----\r\n"
    );
    assert_eq!(prober.parse_console(console.into_bytes()).await.expect("an answer"), [key]);
    assert!(prober.parse_console(vec![0xff; 3 << 20]).await.expect("an answer").is_empty());
}

#[tokio::test]
async fn a_prober_that_dies_leaves_no_verdict() {
    let sshd = Sshd::start();
    let prober = Prober::start(Path::new(ASSAY)).await.expect("it starts");
    let text = "suite \"x\" {\n timeout = \"60s\"\n command \"sleep 60\" { exit-status = 0 }\n}";
    let (events, mut told) = mpsc::channel(100);
    let pid = prober.pid().expect("it runs");
    let kill = async {
        while let Some(event) = told.recv().await {
            if matches!(event, ProbeEvent::Reached(ProbePhase::Checks, _)) {
                let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
            }
        }
    };
    let (result, ()) = tokio::join!(prober.probe(request(&sshd, text), events), kill);
    assert_eq!(result.verdict, Verdict::Undecided);
    let undecided = result.undecided.expect("a reason");
    assert_eq!(undecided.kind, UndecidedKind::Prober, "{}", undecided.reason);
    assert_eq!(result.checks.len(), 1);
    assert!(prober.parse_console(Vec::new()).await.is_err());
}

#[tokio::test]
async fn an_unusable_request_is_undecided() {
    let sshd = Sshd::start();
    let prober = Prober::start(Path::new(ASSAY)).await.expect("it starts");
    let mut request = request(&sshd, SUITE);
    request.host_keys = vec!["nonsense".into()];
    let result = prober.probe(request, mpsc::channel(1).0).await;
    assert_eq!(result.verdict, Verdict::Undecided);
    assert!(result.undecided.expect("a reason").reason.contains("nonsense"));
}

#[tokio::test]
async fn a_program_that_is_no_prober() {
    for program in ["/bin/false", "/bin/cat", "/nowhere"] {
        assert!(Prober::start(Path::new(program)).await.is_err(), "{program}");
    }
}

#[test]
fn the_prober_ends_with_its_conductor() {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let mut prober = Command::new(ASSAY)
        .arg("prober")
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_millis(300));
    assert!(prober.try_wait().expect("its state").is_none(), "it waits for us");
    drop(ours);
    assert!(prober.wait().expect("it ends").success());
}

#[test]
fn an_environment_is_refused() {
    let output = Command::new(ASSAY)
        .arg("prober")
        .env_clear()
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("environment is not empty"));
    let output = Command::new(ASSAY).arg("prober").env_clear().stdin(Stdio::null()).output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no socket"));
}

/// What a confined prober reaches.
fn reached(things: &[String]) -> Vec<String> {
    let output =
        Command::new(ASSAY).args(["prober", "--check-confinement"]).args(things).env_clear().output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn no_file_no_program_no_environment_is_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("credentials");
    std::fs::write(&secret, "secret").expect("written");
    // Anybody may read it: only confinement keeps the prober from it.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = format!("tcp:{}", listener.local_addr().expect("its address"));
    let mut things: Vec<String> = [
        secret.display().to_string(),
        folder.path().display().to_string(),
        format!("/proc/{}/environ", std::process::id()),
        format!("/proc/{}/fd", std::process::id()),
        "/proc/self/environ".to_owned(),
        "/proc/self/mem".to_owned(),
        "/etc/passwd".to_owned(),
        "/etc".to_owned(),
        "/dev/null".to_owned(),
        "exec:/bin/true".to_owned(),
        format!("exec:{ASSAY}"),
    ]
    .into();
    things.extend(std::env::var("HOME").ok());
    things.extend([format!("remove:{}", secret.display()), "memory-file:x".to_owned()]);
    if can_refuse_ports() {
        things.push("listen:127.0.0.1:0".to_owned());
    }
    let mut expected: Vec<String> = things.iter().map(|t| format!("no {t}")).collect();
    things.push(open.clone());
    expected.push(format!("yes {open}"));
    let found: Vec<String> = reached(&things).into_iter().filter(|line| !line.starts_with("missing ")).collect();
    assert_eq!(found, expected);
}

/// Whether this kernel can keep a process from listening: landlock, and Linux 6.7 or newer.
fn can_refuse_ports() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (6, 7) && !reached(&[]).iter().any(|line| line.contains("landlock"))
}

/// What confinement gives up, as the kernel tells of the running process: each of these can be forgotten while files stay closed.
#[tokio::test]
async fn the_running_prober_is_filtered_limited_nobody_and_closed() {
    let prober = Prober::start(Path::new(ASSAY)).await.expect("it starts");
    // It has answered, so it is confined.
    assert!(prober.parse_console(Vec::new()).await.expect("an answer").is_empty());
    let pid = prober.pid().expect("it runs");
    let status = status_fields(pid);
    assert_eq!(status["Seccomp"], "2", "system calls are filtered: {status:?}");
    assert_eq!(status["NoNewPrivs"], "1", "{status:?}");
    if rustix::process::getuid().is_root() {
        assert_eq!(status["Uid"], "65534\t65534\t65534\t65534");
        assert_eq!(status["Gid"], "65534\t65534\t65534\t65534");
        assert_eq!(status["Groups"], "");
    }
    let limits = [
        ("Max address space", "2147483648"),
        ("Max open files", "4096"),
        ("Max core file size", "0"),
        ("Max file size", "0"),
    ];
    for (name, wanted) in limits {
        let found = hard_limit(pid, name).parse::<u64>().unwrap_or(u64::MAX);
        assert!(found <= wanted.parse().expect("a number"), "{name}: {found}");
    }
    // What a process that may not be dumped shows in /proc belongs to root, whoever runs it.
    let owner =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{pid}/environ")).expect("it runs"));
    assert_eq!(owner, 0, "others of its user can look into it");
}

#[test]
fn nothing_is_missing_on_this_system() {
    let missing: Vec<String> = reached(&[]);
    let landlock = std::fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|lsm| lsm.contains("landlock"));
    let allowed = |line: &String| !landlock && line.contains("landlock");
    assert!(missing.iter().all(allowed), "{missing:?}");
}

/// Three hundred targets, more than the prober takes on at once: all pass, and it has no more threads than it says.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_targets_with_a_bounded_number_of_threads() {
    let servers: Vec<Sshd> = (0..4).map(|_| Sshd::start()).collect();
    let prober = Prober::start(Path::new(ASSAY)).await.expect("it starts");
    let status = format!("/proc/{}/status", prober.pid().expect("it runs"));
    let suites = suites("suite \"x\" {\n user \"root\" { exists = true }\n file \"/\" { exists = true }\n}\n");
    let asked = (0..300).map(|n| {
        let sshd = &servers[n % servers.len()];
        let mut request = request(sshd, "suite \"x\" {\n user \"root\" { exists = true }\n}\n");
        request.suites = Arc::clone(&suites);
        request.wait_cloud_init = false;
        (request.connect_within, request.total) = (Duration::from_secs(300), Duration::from_secs(400));
        prober.probe(request, mpsc::channel(1).0)
    });
    let over = std::sync::atomic::AtomicBool::new(false);
    let count = async {
        let mut most = 0;
        while !over.load(std::sync::atomic::Ordering::SeqCst) {
            let text = tokio::fs::read_to_string(&status).await.expect("the prober lives");
            let threads = text.lines().find_map(|l| l.strip_prefix("Threads:")).expect("proc(5) has it");
            most = most.max(threads.trim().parse::<usize>().expect("a number"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    };
    let all = async {
        let results = futures::future::join_all(asked).await;
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        results
    };
    let (results, most) = tokio::join!(all, count);
    for result in &results {
        assert_eq!((result.verdict, &result.undecided), (Verdict::Passed, &None));
    }
    assert_eq!(results.len(), 300);
    // A thread for each target that it takes on (256), one that watches all deadlines, and the runtime's own.
    assert!((2..=256 + 8).contains(&most), "{most} threads");
}
