//! External suites run for real: what they get, what they do not get, and what their end amounts to.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;
use assay_model::CheckOutcome;
use assay_prober::ReportedTest;
use assay_suite::{SuiteBounds, load};

fn external(folder: &Path, text: &str) -> ExternalSuite {
    let path = folder.join("x.hcl");
    fs::write(&path, format!("external \"mine\" {{\n{text}\n}}\n")).expect("written");
    let suites = load(&[path], folder).unwrap_or_else(|e| panic!("{}", e[0]));
    let bounds = SuiteBounds { allowed_users: vec!["daemon".to_owned()], ..SuiteBounds::default() };
    ExternalSuite::of(&suites[0].checks[0], folder, &bounds).unwrap_or_else(|e| panic!("{e:?}"))
}

fn host() -> HostAccess {
    HostAccess {
        target: "us-east-1:ami-1".to_owned(),
        address: "192.0.2.1".to_owned(),
        port: 2222,
        user: "admin".to_owned(),
        private_key: "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n-----END OPENSSH PRIVATE KEY-----".into(),
        host_key: Some("ssh-ed25519 AAAA".to_owned()),
        proxy_command: None,
    }
}

async fn run(text: &str) -> SuiteRun {
    let folder = tempfile::tempdir().expect("a folder");
    let external = external(folder.path(), text);
    external.run(&host(), &CancellationToken::new()).await.unwrap_or_else(|why| panic!("{why}"))
}

#[tokio::test]
async fn it_gets_a_small_environment_a_home_and_the_host() {
    let run = run("command = [\"env > $ASSAY_REPORT; pwd >> $ASSAY_REPORT; id -un >> $ASSAY_REPORT; cat $ASSAY_SSH_CONFIG ~/../known_hosts >> $ASSAY_REPORT\"]\nenvironment = { MINE = \"yes\" }").await;
    assert_eq!((run.ended.status, run.ended.signal), (Some(0), None), "{run:?}");
    let report = String::from_utf8(run.report.expect("a report")).expect("text");
    for line in
        ["ASSAY_TARGET=us-east-1:ami-1", "ASSAY_HOST=192.0.2.1", "ASSAY_PORT=2222", "ASSAY_USER=admin", "MINE=yes"]
    {
        assert!(report.lines().any(|l| l == line), "{line} in {report}");
    }
    assert!(report.contains("StrictHostKeyChecking yes") && report.contains("target ssh-ed25519 AAAA"), "{report}");
    let variables: BTreeMap<&str, &str> = report.lines().filter_map(|l| l.split_once('=')).collect();
    let home = variables["HOME"];
    assert!(home.contains("assay-external-") && !Path::new(home).exists(), "its home is gone: {home}");
    let known = [
        "PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "HOME",
        "TMPDIR",
        "USER",
        "LOGNAME",
        "MINE",
        "TARGET_HOST",
        "PWD",
        "_",
        "SHLVL",
        "OLDPWD",
        "PYTHONDONTWRITEBYTECODE",
    ];
    for name in variables.keys().filter(|n| n.chars().all(|c| c.is_ascii_uppercase() || c == '_')) {
        assert!(known.contains(name) || name.starts_with("ASSAY_"), "{name} was passed on");
    }
    if rustix::process::geteuid().is_root() {
        assert!(report.lines().any(|l| l == "nobody"), "where assay is root, it has a user of its own: {report}");
    }
}

#[tokio::test]
async fn it_works_on_a_copy_of_its_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("tests/deep")).expect("made");
    fs::write(folder.path().join("tests/deep/a.txt"), "hello").expect("written");
    let external = external(
        folder.path(),
        "path = \"tests\"\ncommand = [\"cat deep/a.txt > $ASSAY_REPORT; echo x > deep/a.txt\"]",
    );
    let run = external.run(&host(), &CancellationToken::new()).await.expect("it ran");
    assert_eq!(run.report.as_deref(), Some(b"hello".as_slice()), "{:?}", run.ended);
    assert_eq!(fs::read_to_string(folder.path().join("tests/deep/a.txt")).expect("read"), "hello");
}

#[tokio::test]
async fn a_signal_a_timeout_and_what_stays_behind() {
    let killed = run("command = [\"kill -9 $$\"]").await;
    assert_eq!((killed.ended.status, killed.ended.signal), (None, Some(9)));
    let late = run("command = [\"sleep 600\"]\ntimeout = \"1s\"").await;
    assert_eq!(late.ended.stopped, Some(process::StopReason::Timeout));
    let left = run("command = [\"sleep 654 & echo $! > $ASSAY_REPORT\"]").await;
    let pid = String::from_utf8(left.report.expect("a report")).expect("a pid");
    let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    assert!(!line.contains("654"), "what it started is ended with it");
    let noisy = run("command = [\"yes | head -c 1000000; printf '\\u001b[2J' >&2; exit 3\"]").await;
    assert_eq!((noisy.ended.status, noisy.ended.said.as_str()), (Some(3), "\\x1b[2J"));
}

#[tokio::test]
async fn a_report_that_is_a_link_is_none() {
    assert!(run("command = [\"ln -s /etc/shadow $ASSAY_REPORT\"]").await.report.is_none());
    assert!(run("command = [\"mkfifo $ASSAY_REPORT\"]").await.report.is_none());
}

#[test]
fn every_preset_that_a_suite_may_name_is_known() {
    for name in assay_suite::EXTERNAL_PRESETS {
        assert_eq!(super::SuitePreset::named(name).map(super::SuitePreset::as_str), Some(*name));
    }
}

#[test]
fn only_a_whole_report_with_tests_is_a_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let it = external(folder.path(), "command = [\"x\"]");
    let ended = |status: Option<i32>, signal| ProcessEnd { status, signal, stopped: None, said: String::new() };
    let test = |outcome| ReportedTest { name: "t".into(), outcome, message: String::new(), duration_ms: 0 };
    let of = |status, tests: Result<&[CheckOutcome], &str>| {
        let tests = tests.map(|t| t.iter().map(|o| test(*o)).collect::<Vec<_>>());
        amount(&it, &ended(Some(status), None), tests.as_deref().map_err(|e| *e)).outcome
    };
    use CheckOutcome::{Failed, Passed, Skipped, Undecided};
    assert_eq!(of(0, Ok(&[Passed, Skipped])), Passed);
    assert_eq!(of(1, Ok(&[Passed, Failed])), Failed);
    assert_eq!(of(0, Ok(&[Passed, Failed])), Failed, "the report outweighs the status");
    assert_eq!(of(0, Ok(&[])), Undecided, "zero tests");
    assert_eq!(of(0, Ok(&[Skipped])), Undecided, "only skipped ones");
    assert_eq!(of(0, Err("it wrote no report")), Undecided);
    assert_eq!(of(1, Ok(&[Passed])), Undecided, "the status says otherwise");
    assert_eq!(of(0, Ok(&[Passed, Undecided])), Undecided);
    assert_eq!(amount(&it, &ended(None, Some(11)), Ok(&[test(Passed)])).outcome, Undecided, "a signal");
    let by_status = external(folder.path(), "command = [\"x\"]\nformat = \"exit-status\"");
    for (status, outcome) in [(0, Passed), (1, Failed), (127, Undecided), (137, Undecided)] {
        assert_eq!(amount(&by_status, &ended(Some(status), None), Ok(&[])).outcome, outcome, "{status}");
    }
}

#[test]
fn what_a_suite_file_gets_wrong_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    let text = "external \"a\" { preset = \"testinfre\" }\nexternal \"b\" { preset = \"inspec\" }\nexternal \"c\" {}\nexternal \"d\" {\n format = \"xml\"\n command = [\"x\"]\n}\n";
    fs::write(&path, text).expect("written");
    let mistakes = load(&[path], folder.path()).expect_err("mistakes");
    let all: String = mistakes.iter().map(|m| format!("{m}\n")).collect();
    for part in
        ["did you mean \"testinfra\"?", "external \"b\" has no path", "external \"c\" has no command", "x.hcl:5"]
    {
        assert!(all.contains(part), "{part} in {all}");
    }
    let path = folder.path().join("y.hcl");
    fs::write(&path, "external \"a\" {\n preset = \"testinfra\"\n path = \"nosuch\"\n}\n").expect("written");
    let missing = load(&[path], folder.path()).expect_err("a mistake")[0].to_string();
    assert!(missing.contains("y.hcl:1") && missing.contains("nosuch"), "{missing}");
}

#[tokio::test]
async fn a_report_below_a_linked_home_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("tests")).expect("made");
    let external = external(
        folder.path(),
        "path = \"tests\"\ncommand = [\"mkdir ../other; mv $HOME ../other/h; ln -s /etc ../../home; ls -l > /dev/null\"]",
    );
    let run = external.run(&host(), &CancellationToken::new()).await.expect("it ran");
    assert!(run.report.is_none());
}

/// As root, since only then a suite runs as somebody else.
#[tokio::test]
async fn an_external_suite_is_given_nothing_that_its_user_could_not_read() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    assert!(rustix::process::geteuid().is_root(), "run this test as root: another user has nobody to hide things from");
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["repo/.git", "repo/tests/.git", "private"] {
        fs::create_dir_all(at(name)).expect("made");
    }
    for name in ["private/credentials", "repo/tests/a.py", "repo/tests/.env", "repo/tests/.git/config"] {
        fs::write(at(name), "ROOTONLYSECRET").expect("written");
    }
    fs::set_permissions(at("private/credentials"), fs::Permissions::from_mode(0o600)).expect("set");
    fs::set_permissions(at("private"), fs::Permissions::from_mode(0o700)).expect("set");
    let repo = at("repo");
    let told = |path: &str| {
        let file = repo.join("x.hcl");
        let command = "command = [\"find . -type f | sort; cat $(find . -name a.py) /dev/null; exit 1\"]";
        fs::write(&file, format!("external \"mine\" {{\npath = {path:?}\n{command}\nformat = \"exit-status\"\n}}\n"))
            .expect("written");
        load(&[file], &repo).map_err(|wrong| wrong[0].to_string())
    };
    let of = |suites: &[assay_suite::Suite]| {
        ExternalSuite::of(&suites[0].checks[0], &repo, &SuiteBounds::default()).unwrap_or_else(|e| panic!("{e:?}"))
    };
    // Elsewhere, by path or by a link: refused where the suite is read, and again where it is run.
    symlink(at("private"), at("repo/linked")).expect("linked");
    let elsewhere = at("private").display().to_string();
    for path in ["linked", elsewhere.as_str(), "../private"] {
        let why = told(path).expect_err(path);
        assert!(why.contains("cannot be taken") && !why.contains("ROOTONLY"), "{path}: {why}");
    }
    let mut check = of_check(&told("tests").expect("read"));
    check.parameters.insert("path".to_owned(), "linked".into());
    let why = ExternalSuite::of(&check, &repo, &SuiteBounds::default()).expect_err("a link").join("; ");
    assert!(why.contains("cannot be taken"), "{why}");
    // What is copied: no credentials, no repository.
    let run = of(&told("tests").expect("read")).run(&host(), &CancellationToken::new()).await.expect("it ran");
    assert_eq!(run.ended.said, "./a.py\nROOTONLYSECRET");
    // A link among the tests, and a file that only root may read.
    symlink(at("private/credentials"), at("repo/tests/link")).expect("linked");
    let external = of(&told("tests").expect("read"));
    let why = external.run(&host(), &CancellationToken::new()).await.expect_err("a link out");
    assert!(why.contains("tests/link is a link that leads out of"), "{why}");
    fs::remove_file(at("repo/tests/link")).expect("removed");
    fs::set_permissions(at("repo/tests/a.py"), fs::Permissions::from_mode(0o600)).expect("set");
    let why = external.run(&host(), &CancellationToken::new()).await.expect_err("private");
    assert!(why.contains("tests/a.py is not for the user") && why.contains("chmod"), "{why}");
}

fn of_check(suites: &[assay_suite::Suite]) -> Check {
    suites[0].checks[0].clone()
}

#[tokio::test]
async fn a_suite_alone_chooses_no_user() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    let of = |user: &str, allowed: &[&str]| {
        fs::write(&path, format!("external \"mine\" {{\ncommand = [\"id -un\"]\nrun-as = {user:?}\n}}\n"))
            .expect("written");
        let suites = load(std::slice::from_ref(&path), folder.path()).unwrap_or_else(|e| panic!("{}", e[0]));
        let allowed_users = allowed.iter().map(|name| (*name).to_owned()).collect();
        let bounds = SuiteBounds { allowed_users, ..SuiteBounds::default() };
        ExternalSuite::of(&suites[0].checks[0], folder.path(), &bounds)
    };
    let why = of("daemon", &[]).expect_err("nobody allowed it").join("; ");
    assert!(why.contains("--allow-run-as daemon"), "{why}");
    assert!(of("nobody", &[]).is_ok() && of("daemon", &["daemon"]).is_ok());
    let root = of("root", &["root"]).expect("allowed by name");
    let why = root.run(&host(), &CancellationToken::new()).await.expect_err("root never");
    assert!(why.contains("never run as root"), "{why}");
}

#[tokio::test]
async fn nothing_is_left_of_a_suite_that_nobody_waits_for_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("pid");
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("set");
    let external = external(folder.path(), &format!("command = [\"sleep 987 & echo $! > {}; wait\"]", mark.display()));
    let (host, cancel) = (host(), CancellationToken::new());
    let running = external.run(&host, &cancel);
    let begun = async {
        while fs::read_to_string(&mark).unwrap_or_default().trim().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! { _ = running => panic!("it sleeps"), () = begun => {} }
    let pid = fs::read_to_string(&mark).expect("a pid");
    let gone = || !fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default().contains("987");
    for _ in 0..100 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} still runs", pid.trim());
}

/// As a file beside a repository's own things: what goes to the host is only what it names.
#[tokio::test]
async fn of_a_goss_file_only_what_it_names_is_copied() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("goss.yaml"), "gossfile:\n  part.yaml: {}\n").expect("written");
    for name in ["part.yaml", ".env", "terraform.tfstate", "other.yaml"] {
        fs::write(folder.path().join(name), "").expect("written");
    }
    let external = external(folder.path(), "preset = \"goss\"\npath = \"goss.yaml\"");
    let workspace = SuiteWorkspace::make(workspace::folder().expect("a folder"), &external, &host()).expect("made");
    let copy = workspace.tests().and_then(Path::parent).expect("a folder").to_owned();
    let mut names: Vec<_> = fs::read_dir(copy).expect("read").map(|entry| entry.expect("read").file_name()).collect();
    names.sort();
    assert_eq!(names, ["goss.yaml", "part.yaml"]);
}

#[test]
fn what_cannot_be_run_is_told_before_there_is_a_host() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("tests")).expect("made");
    fs::write(folder.path().join("tests/a.sh"), "").expect("written");
    let text = "path = \"tests\"\ncommand = [\"./a.sh\"]";
    assert_eq!(external(folder.path(), text).try_out(), Ok(()));
    std::os::unix::fs::symlink("../conftest.py", folder.path().join("tests/conftest.py")).expect("linked");
    let why = external(folder.path(), text).try_out().expect_err("it leads out");
    assert!(why.contains("conftest.py is a link to ../conftest.py, which is outside"), "{why}");
    fs::remove_file(folder.path().join("tests/conftest.py")).expect("removed");
    std::os::unix::fs::symlink("./a.sh", folder.path().join("tests/b.sh")).expect("linked");
    assert_eq!(external(folder.path(), text).try_out(), Ok(()));
    if rustix::process::geteuid().is_root() {
        let mut unknown = external(folder.path(), text);
        unknown.run_as = "no-such-user".to_owned();
        assert!(unknown.try_out().expect_err("no such user").contains("no-such-user"));
    }
}
