//! The program on made-up trees, in each shell: what is planted is found by name, a clean tree has no finding; and what
//! hostile answers become.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::{frames::AnswerFrames, script, sshd::is_root};
use assay_suite::{SudoChoice, load};

const OURS: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOgUU+3ZS6lkaZeLuuEw0gdhQnjh5ztmvXBj3xbior/D";
const THEIRS: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKBTE0AbpOWTLGdKmaVnNDAp8kgLtzGc9Azkt4WTuvX6";
/// All programs that the tests' busybox stands for.
const TOOLS: &[&str] = &[
    "sh", "base64", "od", "head", "tail", "cat", "stat", "readlink", "timeout", "grep", "id", "find", "cut", "tr",
    "sort", "date", "wc", "du", "sed", "true", "printf", "test", "sleep", "ls", "gzip",
];

/// The check of one block, as the prober has it.
fn check(block: &str) -> Check {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.hcl");
    fs::write(&path, format!("suite \"x\" {{\nhygiene \"image\" {{\n{block}\n}}\n}}\n")).expect("written");
    let mut suites = load(&[path], Path::new("/")).unwrap_or_else(|e| panic!("{}", e[0]));
    suites[0].checks[0].parameters.insert(LAUNCH_KEY.into(), OURS.into());
    suites[0].checks.remove(0)
}

/// A made-up image.
struct Tree(tempfile::TempDir);

impl Tree {
    /// What every image has and nobody minds.
    fn clean() -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nadmin:x:1000:1000::/home/admin:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n");
        tree.write("etc/shadow", "root:*:1:0:::::\nadmin:!:1:0:::::\nnobody:*:1:0:::::\n");
        tree.write("etc/group", "root:x:0:\nadmin:x:1000:\n");
        tree.write("etc/sudoers", "# %wheel ALL=(ALL) NOPASSWD: ALL\nroot ALL=(ALL:ALL) ALL\n");
        tree.write("etc/sudoers.d/90-cloud-init-users", "admin ALL=(ALL) NOPASSWD:ALL\n");
        tree.write("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
        tree.write("etc/ssh/ssh_host_ed25519_key", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
        tree.write("etc/ssh/ssh_host_ed25519_key.pub", THEIRS);
        tree.write("home/admin/.ssh/authorized_keys", &format!("# ours\n{OURS} assay\n"));
        tree.write(
            "root/.ssh/authorized_keys",
            &format!("no-pty,command=\"echo 'log in as \\\"admin\\\"'\" {OURS} assay\n"),
        );
        tree.write("root/.bashrc", "alias ll='ls -l'\n");
        tree.write("root/.bash_history", "");
        tree.write("home/admin/.npmrc", "//registry.example.org/:_authToken=${NPM_TOKEN}\n");
        tree.write("var/lib/cloud/instances/i-1/user-data.txt", "x");
        std::os::unix::fs::symlink("/var/lib/cloud/instances/i-1", tree.0.path().join("var/lib/cloud/instance"))
            .expect("linked");
        tree.write_bytes("var/log/wtmp", &login_record(SystemTime::now()));
        tree.write("var/log/syslog", "2199-01-01T00:00:00.123456+00:00 host kernel: [    0.000000] Linux\n");
        tree.old("var/log/btmp", "");
        tree.write("usr/bin/su", "x").mode("usr/bin/su", 0o4755);
        fs::create_dir_all(tree.0.path().join("tmp/systemd-private-1")).expect("made");
        tree.mode("tmp", 0o1777);
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        self.write_bytes(path, text.as_bytes())
    }

    fn write_bytes(&self, path: &str, bytes: &[u8]) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("in the tree")).expect("made");
        fs::write(&path, bytes).expect("written");
        self
    }

    fn link(&self, to: &str, at: &str) -> &Self {
        std::os::unix::fs::symlink(to, self.path(at)).expect("linked");
        self
    }

    /// The same, long before the first boot.
    fn old(&self, path: &str, text: &str) -> &Self {
        self.write(path, text);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::options().append(true).open(self.path(path)).expect("opened").set_modified(time).expect("set");
        self
    }

    fn mode(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).expect("set");
        self
    }

    /// What `check`'s properties are, by name, asked in each shell; all must say the same. This machine's own SSH server has no part in it.
    fn seen(&self, check: &Check) -> Vec<(String, SeenProperty)> {
        self.seen_with(check, "v= q=none Y= e=")
    }

    /// The same where `sshd` is what sshd said.
    fn seen_with(&self, check: &Check, sshd: &str) -> Vec<(String, SeenProperty)> {
        let question = script::ScriptQuestion { index: 0, check, sudo: SudoChoice::Auto };
        let text = script::checks("nonce", &[question])
            .replace("\nR=\n", &format!("\nR='{}'\n", self.0.path().display()))
            // find names the tree's files by their whole paths.
            .replace("\"look_$section\"; } | few", "\"look_$section\"; } | sed \"s,$R/,/,\" | few")
            .replace("\nsshd_says ''\n", &format!("\n{sshd}\n"))
            // Who runs the tests may see the whole tree.
            .replace("if [ \"$(id -u)\" != 0 ]", "if false");
        let mut all: Vec<Vec<(String, SeenProperty)>> = Vec::new();
        for mut shell in shells() {
            let mut child = shell
                .0
                .arg("-s")
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("the shell starts");
            child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
            let output = child.wait_with_output().expect("it ends");
            let mut frames = AnswerFrames::new("nonce");
            frames.feed(&output.stdout);
            let frame = frames.answers.remove(&0).expect("an answer");
            all.push(check.properties.iter().map(|p| (p.name.clone(), observe(check, &p.name, &frame))).collect());
        }
        for (other, name) in all[1..].iter().zip(["bash", "mksh", "ksh", "busybox"]) {
            assert_eq!(&all[0], other, "dash and {name}");
        }
        all.remove(0)
    }
}

/// wtmp's record of 384 bytes (utmp(5)).
fn login_record(time: SystemTime) -> Vec<u8> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs() as u32;
    let mut record = vec![0; 384];
    record[340..344].copy_from_slice(&seconds.to_ne_bytes());
    record
}

/// dash, bash, two Korn shells, and busybox with its own tools first.
fn shells() -> Vec<(Command, Option<tempfile::TempDir>)> {
    let found = |name: &str| {
        let path = ["/bin", "/usr/bin"].iter().map(|folder| Path::new(folder).join(name)).find(|p| p.exists());
        path.unwrap_or_else(|| panic!("this test needs {name}: apt-get install {name}"))
    };
    let mut bash = Command::new(found("bash"));
    bash.arg("--posix");
    let tools = tempfile::tempdir().expect("a folder");
    for tool in TOOLS {
        std::os::unix::fs::symlink(found("busybox"), tools.path().join(tool)).expect("linked");
    }
    let mut ash = Command::new(found("busybox"));
    ash.arg("sh").env("PATH", tools.path());
    vec![
        (Command::new(found("dash")), None),
        (bash, None),
        (Command::new(found("mksh")), None),
        (Command::new(found("ksh")), None),
        (ash, Some(tools)),
    ]
}

fn texts(seen: &SeenProperty) -> Vec<String> {
    match seen {
        SeenProperty::Value(Value::Array(items)) => {
            items.iter().map(|i| i.as_str().expect("a text").to_owned()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clean_image_has_no_finding() {
    for (name, seen) in Tree::clean().seen(&check("")) {
        assert_eq!(seen, SeenProperty::Value(json!([])), "{name}");
    }
}

#[test]
fn an_empty_block_demands_everything_and_a_property_only_itself() {
    let all: Vec<String> = check("").properties.iter().map(|p| p.name.clone()).collect();
    let known: Vec<&str> = PROPERTIES.iter().map(|p| p.name).filter(|n| *n != "suid-files").collect();
    assert_eq!(
        {
            let mut all = all.clone();
            all.sort();
            all
        },
        {
            let mut known = known.clone();
            known.sort_unstable();
            known
        }
    );
    assert_eq!(check("allow = [\"/opt/*\"]").properties.len(), all.len());
    let one = check("uid0 = []");
    assert_eq!(one.properties.len(), 1);
    assert_eq!(ask(&one), "ask_hygiene '' shadow");
    assert_eq!(one.timeout, Duration::from_secs(120));
    assert_eq!(check("timeout = \"5s\"").timeout, Duration::from_secs(5));
}

/// Everything that is looked for, each at a place of its own.
fn plant(tree: &Tree) -> Vec<(&'static str, Vec<&'static str>)> {
    let packer = format!("{THEIRS} packer_65a1b2c3-d4e5-f607-1829-3a4b5c6d7e8f\n");
    tree.write("home/admin/.ssh/authorized_keys", &format!("{OURS} assay\n{packer}"));
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nadmin:x:1000:1000::/home/admin:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nguest::1001:1001::/home/guest:/bin/sh\n");
    tree.write("etc/shadow", "root:*:1::::::\nadmin:$6$salt$hashhashhash:1::::::\ntoor::1::::::\nguest:!:1::::::\n");
    tree.write("etc/sudoers.d/deploy", "deploy ALL=(ALL) NOPASSWD: ALL\n")
        .write("etc/sudoers.d/left.out", "x ALL=NOPASSWD: ALL\n");
    tree.old("etc/ssh/ssh_host_rsa_key", "x").write("etc/ssh/ssh_host_rsa_key.pub", THEIRS);
    tree.write("var/log/cloud-init.log", "2001-01-01 00:00:00,1 - util.py[DEBUG]: Attempting to remove /etc/ssh/ssh_host_dsa_key\n2199-01-01 00:00:00,1 - util.py[DEBUG]: Attempting to remove /etc/ssh/ssh_host_ecdsa_key\n");
    tree.old("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
        .write("var/lib/cloud/instances/i-0/user-data.txt", "x");
    tree.old("var/lib/cloud/sem/config_scripts_per_once.once", "x").old("var/lib/systemd/random-seed", "x");
    tree.write("root/.bash_history", "ls\n")
        .write("home/ghost/.python_history", "1\n")
        .write("root/.ssh/known_hosts", "a\nb\n");
    tree.write("opt/app/tls.key", "# the key\n-----BEGIN RSA PRIVATE KEY-----\n")
        .write("home/admin/.ssh/id_x", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    tree.write("home/admin/.aws/credentials", "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n");
    tree.write("root/.netrc", "machine x login y password z\n")
        .write("root/.git-credentials", "https://me:secret@git.example.org\n");
    tree.write("etc/environment", "A=b\nAWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n")
        .write("root/.docker/config.json", "{\"auths\":{\"r\":{\"auth\":\"c2VjcmV0\"}}}");
    tree.write("srv/app/.git/config", "x").write("var/crash/_usr_bin_x.0.crash", "x").write("core", "x");
    tree.write("usr/local/bin/backdoor", "x").mode("usr/local/bin/backdoor", 0o4755);
    tree.write("usr/bin/helper", "x").mode("usr/bin/helper", 0o2755).mode("usr/bin/su", 0o4757);
    tree.write("etc/open.conf", "x").mode("etc/open.conf", 0o666).write("srv/drop/x", "x").mode("srv/drop", 0o777);
    tree.old("tmp/script_1234.sh", "x")
        .old("var/log/auth.log", "x")
        .write("var/log/journal/0123456789abcdef/system.journal", "x");
    vec![
        ("authorized-keys", vec!["/home/admin/.ssh/authorized_keys line 2: ssh-ed25519 SHA256:"]),
        (
            "host-keys",
            vec!["/etc/ssh/ssh_host_ecdsa_key was in the image", "/etc/ssh/ssh_host_rsa_key (ssh-ed25519 SHA256:"],
        ),
        ("machine-id", vec!["/etc/machine-id is older"]),
        (
            "cloud-init",
            vec!["/var/lib/cloud/instances/i-0 is of another instance, with", "config_scripts_per_once.once"],
        ),
        ("random-seed", vec!["/var/lib/systemd/random-seed"]),
        ("histories", vec!["ghost: /home/ghost/.python_history", "root: /root/.bash_history holds 3 bytes"]),
        ("known-hosts", vec!["root: /root/.ssh/known_hosts knows hosts (2 lines)"]),
        ("private-keys", vec!["/home/admin/.ssh/id_x line 1", "/opt/app/tls.key line 2"]),
        (
            "cloud-credentials",
            vec![
                "/etc/environment line 2: an access key",
                "/home/admin/.aws/credentials line 3: an AWS key",
                "/root/.docker/config.json line 1: a registry password",
                "/root/.git-credentials line 1: a git password",
                "/root/.netrc line 1: a password",
            ],
        ),
        ("git-directories", vec!["/srv/app/.git"]),
        (
            "empty-passwords",
            vec!["guest has an empty password in /etc/passwd", "toor has an empty password in /etc/shadow"],
        ),
        ("password-logins", vec!["admin has a password (SHA-512)"]),
        ("uid0", vec!["toor has uid 0"]),
        ("sudoers", vec!["/etc/sudoers.d/deploy line 1: deploy needs no password"]),
        ("suid", vec!["/usr/bin/helper (set-gid", "/usr/bin/su (set-uid", "/usr/local/bin/backdoor (set-uid"]),
        (
            "world-writable",
            vec![
                "/etc/open.conf (mode 0666)",
                "/srv/drop (a directory without the sticky bit, mode 0777)",
                "/usr/bin/su (mode 4757)",
            ],
        ),
        ("unowned", vec![]),
        ("core-dumps", vec!["/core (1 bytes)", "/var/crash/_usr_bin_x.0.crash"]),
        ("tmp-residue", vec!["/tmp/script_1234.sh"]),
        (
            "logs",
            vec![
                "/var/log/auth.log is older",
                "/var/log/cloud-init.log begins before",
                "/var/log/journal/0123456789abcdef is another",
            ],
        ),
    ]
}

#[test]
fn whatever_is_planted_is_found_by_name() {
    let tree = Tree::clean();
    let wanted = plant(&tree);
    for (name, seen) in tree.seen(&check("")) {
        let mut wanted = wanted.iter().find(|(n, _)| *n == name).expect("every property is planted").1.clone();
        if name == "unowned" && is_root() {
            continue;
        }
        let found = texts(&seen);
        assert_eq!(found.len(), wanted.len(), "{name}: {found:#?}");
        for text in found {
            let at = wanted.iter().position(|w| text.contains(w)).unwrap_or_else(|| panic!("{name}: {text}"));
            wanted.remove(at);
            for secret in ["wJalr", "secret", "$6$", "AAAAC3", "c2Vj"] {
                assert!(!text.contains(secret), "{name}: {text}");
            }
            assert!(!(text.contains("packer") ^ (name == "authorized-keys")), "{text}");
        }
    }
}

#[test]
fn files_of_nobody_are_found() {
    if !is_root() {
        // Only root can give files away.
        return;
    }
    let tree = Tree::clean();
    tree.write("opt/lost", "x").write("opt/lost-group", "x");
    chown(tree.path("opt/lost"), Some(54321), None).expect("given away");
    chown(tree.path("opt/lost-group"), None, Some(54322)).expect("given away");
    let seen = tree.seen(&check("unowned = []"));
    let found = texts(&seen[0].1);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("/opt/lost belongs to uid 54321, which has no name"), "{found:?}");
    assert!(found[1].ends_with("/opt/lost-group belongs to gid 54322, which has no name"), "{found:?}");
}

#[test]
fn no_name_of_a_file_hides_another() {
    let tree = Tree::clean();
    let hostile = [
        "usr/bin/su\nfiles\t89ed\t0\t0\troot\troot\t/usr/bin/sudo",
        "a\tb",
        "c\u{1b}[2J",
        "files .",
        "-x",
        "{}",
        "$(id)",
        "%s",
    ];
    for name in hostile {
        let path = format!("opt/{name}");
        tree.write(&path, "x").mode(&path, 0o4755);
    }
    let seen = tree.seen(&check("suid = []"));
    assert_eq!(texts(&seen[0].1).len(), hostile.len(), "{seen:#?}");
}

#[test]
fn a_flood_of_one_kind_is_bounded_and_hides_no_other() {
    let tree = Tree::clean();
    for n in 0..700 {
        let path = format!("srv/open/{n}");
        tree.write(&path, "").mode(&path, 0o666);
    }
    tree.write("usr/zz", "x").mode("usr/zz", 0o4755);
    for (name, seen) in tree.seen(&check("suid = []\nworld-writable = []")) {
        let found = texts(&seen);
        let more = found.last().expect("a finding").starts_with("… and 400 more of its kind");
        assert_eq!((more, found.len()), if name == "suid" { (false, 1) } else { (true, 301) }, "{name}: {found:?}");
    }
    // What is allowed is not counted, and does not hide the rest.
    for (name, seen) in tree.seen(&check("allow = [\"/srv/*\"]\nsuid = []\nworld-writable = []\nunowned = []")) {
        assert_eq!(texts(&seen).len(), usize::from(name == "suid"), "{name}: {seen:?}");
    }
    let own = "allow = [\"world-writable:/srv/open/?*\", \"suid:/usr/zz\"]\nsuid = []\nworld-writable = []";
    for (name, seen) in tree.seen(&check(own)) {
        assert_eq!(seen, SeenProperty::Value(json!([])), "{name}");
    }
    // What the host did not tell is not known where the rest is allowed in words that only assay has.
    let seen = tree.seen(&check("allow = [\"* (mode 0666)\"]\nworld-writable = []"));
    assert!(matches!(&seen[0].1, SeenProperty::Unknown(why) if why.contains("400 more")), "{seen:?}");
}

#[test]
fn a_pattern_means_the_same_on_the_host() {
    let tree = Tree::clean();
    for name in ["a[b]c", "a\\b", "a*b", "plain"] {
        let path = format!("opt/{name}");
        tree.write(&path, "").mode(&path, 0o666);
    }
    let found = |allow: &str| texts(&tree.seen(&check(&format!("allow = [{allow}]\nworld-writable = []")))[0].1).len();
    assert_eq!(found(r#""/opt/a[b]c""#), 3);
    assert_eq!(found(r#""/opt/a\\b""#), 3);
    assert_eq!(found(r#""/opt/a?b", "/opt/p*""#), 1);
    assert_eq!(found(r#""world-writable:/opt/*""#), 0);
    assert_eq!(found(r#""suid:/opt/*""#), 4);
}

#[test]
fn a_log_that_is_still_written_to_is_as_old_as_its_first_record() {
    let tree = Tree::clean();
    let years_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    tree.write("var/log/auth.log", "2001-01-01T00:00:00.1+00:00 build sshd[1]: Accepted publickey\n")
        .write("var/log/cloud-init.log", "2001-01-01 00:00:00,123 - util.py[DEBUG]: Cloud-init\n")
        .write(
            "var/log/cloud-init-output.log",
            "\nCloud-init v. 22.4 running 'init-local' at Mon, 01 Jan 2001 00:00:00 +0000. Up 5 seconds.\n",
        )
        .write("var/log/audit/audit.log", "type=DAEMON_START msg=audit(978307200.123:1): op=start\n")
        .write_bytes("var/log/btmp", &login_record(years_ago))
        .write("var/log/amazon/ssm/amazon-ssm-agent.log", "2199-01-01 00:00:00 INFO first\n2001-01-01 00:00:00 INFO\n");
    let found = texts(&tree.seen(&check("logs = []"))[0].1);
    let named: Vec<&str> = found.iter().map(|text| text.split(' ').next().unwrap_or_default()).collect();
    let wanted = ["audit/audit.log", "auth.log", "btmp", "cloud-init-output.log", "cloud-init.log"];
    assert_eq!(named, wanted.map(|name| format!("/var/log/{name}")), "{found:#?}");
    assert!(found.iter().all(|text| text.contains("begins before the first boot")), "{found:#?}");
    let output = |line: &str| {
        frame("1", &format!("first\t1700000000\t1700000600\nlogs\tzone\t+0000\t/\nlogs\tfile\t{line}\nlogs .\n"))
    };
    let see = |line: &str| observe(&check("logs = []"), "logs", &output(line));
    assert!(
        matches!(see("1700000500\t0\t\t/var/log/user-data.log"), SeenProperty::Unknown(why) if why.contains("user-data.log"))
    );
    assert_eq!(see("1700000500\t1700000001\t\t/var/log/user-data.log"), SeenProperty::Value(json!([])));
    assert_eq!(texts(&see("1600000000\t0\t\t/var/log/user-data.log")).len(), 1);
}

#[test]
fn what_is_not_an_earlier_machines() {
    let tree = Tree::clean();
    fs::create_dir_all(tree.path("tmp/lost+found")).expect("made");
    fs::create_dir_all(tree.path("var/log/journal/remote")).expect("made");
    tree.old("tmp/aquota.user", "x")
        .write("var/log/journal/3d1219c7c4c5404aaa1f6d2a48adfda4/system.journal", "x")
        .write("var/log/journal/3d1219c7c4c5404aaa1f6d2a48adfda4.netdata/system.journal", "x")
        .write("etc/pki/rhui/content-rhel9.key", "-----BEGIN RSA PRIVATE KEY-----\n");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(tree.path("tmp/lost+found")).expect("opened").set_modified(time).expect("set");
    for (name, seen) in tree.seen(&check("tmp-residue = []\nlogs = []\nprivate-keys = []")) {
        assert_eq!(seen, SeenProperty::Value(json!([])), "{name}");
    }
    tree.write("tmp/lost+found/#12", "x").write("var/log/journal/remote/remote-x.journal", "x");
    fs::File::open(tree.path("tmp/lost+found")).expect("opened").set_modified(time).expect("set");
    for (name, seen) in tree.seen(&check("tmp-residue = []\nlogs = []")) {
        assert_eq!(texts(&seen).len(), 1, "{name}: {seen:?}");
    }
}

#[test]
fn folders_of_secrets_may_be_links() {
    let tree = Tree::clean();
    let key = "-----BEGIN RSA PRIVATE KEY-----\n";
    tree.write("data/opt/tls.key", key).link("data/opt", "opt");
    tree.write("data/srv/app/token", "AKIAIOSFODNN7EXAMPLE\n").link("data/srv", "srv");
    tree.write("data/ghost/.ssh/id_x", key).link("../data/ghost", "home/ghost");
    tree.write("srv/quoted", &format!("KEY='{key}")).write("srv/env", &format!("PRIVATE_KEY={key}"));
    let seen = tree.seen(&check("private-keys = []\ncloud-credentials = []"));
    let keys = texts(&seen[0].1);
    let wanted = ["/home/ghost/.ssh/id_x", "/opt/tls.key", "/srv/env", "/srv/quoted"];
    assert_eq!(keys, wanted.map(|path| format!("{path} line 1: a private key")));
    assert_eq!(texts(&seen[1].1), ["/srv/app/token line 1: an access key or token"]);
}

#[test]
fn keys_in_places_that_sshd_names_or_does_not_tell() {
    let tree = Tree::clean();
    tree.write("etc/ssh/keys/1000", &format!("{THEIRS} by number\n"))
        .write("etc/ssh/keys/100%", &format!("{THEIRS} percent\n"))
        .write("home/admin/.ssh/authorized_keys.d/ignition", &format!("{THEIRS} ignition\n"));
    let check = check("authorized-keys = []");
    let told = |pattern: &str| format!("v='authorizedkeysfile {pattern}' q=0 Y= e=");
    let found = |pattern: &str| texts(&tree.seen_with(&check, &told(pattern))[0].1);
    assert_eq!(found(".ssh/authorized_keys").len(), 1);
    let all = found("/etc/ssh/keys/%U %h/.ssh/authorized_keys /etc/ssh/keys/100%%");
    assert_eq!(all.len(), 3, "{all:#?}");
    fs::remove_dir_all(tree.path("home/admin/.ssh/authorized_keys.d")).expect("removed");
    for (sshd, why) in [
        (told("/etc/ssh/keys/%k"), "AuthorizedKeysFile says /etc/ssh/keys/%k"),
        ("v= q=255 Y= e='no hostkeys available'".to_owned(), "status 255: no hostkeys available"),
        ("v= q=0 e= Y='several SSH servers run'".to_owned(), "several SSH servers"),
    ] {
        let seen = tree.seen_with(&check, &sshd);
        assert!(matches!(&seen[0].1, SeenProperty::Unknown(told) if told.contains(why)), "{seen:?}");
    }
}

#[test]
fn a_search_that_complains_did_not_look_everywhere() {
    let check = check("");
    let see = |property: &str, lines: &str| observe(&check, property, &frame("1", &format!("first\t1\t2\n{lines}")));
    let denied = "private !grep: /home/x: Input/output error\nprivate .\n";
    assert!(matches!(see("private-keys", denied), SeenProperty::Unknown(why) if why.contains("Input/output error")));
    assert!(
        matches!(see("private-keys", "private !\nprivate .\n"), SeenProperty::Unknown(why) if why.contains("120 s"))
    );
    let found = format!("private\t3\t/root/key\n{denied}");
    assert_eq!(texts(&see("private-keys", &found)), ["/root/key line 3: a private key"]);
}

#[test]
fn what_is_allowed_is_no_finding() {
    let tree = Tree::clean();
    plant(&tree);
    let allow = "allow = [\"suid:*/backdoor\", \"*/usr/bin/*\", \"toor\", \"uid0:nobody\", \"packer_*\"]";
    let seen = tree.seen(&check(&format!("{allow}\nsuid = []\nuid0 = []\nauthorized-keys = []\nempty-passwords = []")));
    let counts: Vec<usize> = seen.iter().map(|(_, seen)| texts(seen).len()).collect();
    assert_eq!(counts, [0, 0, 0, 1], "{seen:#?}");
}

/// An answer with this output.
fn frame(word: &str, output: &str) -> AnswerFrame {
    let mut frames = AnswerFrames::new("n");
    frames.feed(format!("n 0 1.00 1.50 b\n.x {word}\n.o\n{}\nn .\n", STANDARD.encode(output)).as_bytes());
    frames.answers.remove(&0).expect("it is well formed")
}

#[test]
fn what_was_not_looked_at_is_not_clean() {
    let check = check("");
    let whole = |section: &str| format!("first\t1000000000\t1795396878\n{section}\nshadow .\nend .\n");
    let see = |property: &str, frame: &AnswerFrame| observe(&check, property, frame);
    assert!(matches!(see("uid0", &frame("?", "")), SeenProperty::Unknown(why) if why.contains("sudo -n")));
    assert!(matches!(see("uid0", &frame("1", "")), SeenProperty::Unknown(why) if why.contains("120 s")));
    assert!(
        matches!(see("machine-id", &frame("1", "machine .\n")), SeenProperty::Unknown(why) if why.contains("booted"))
    );
    assert_eq!(see("uid0", &frame("1", &whole(""))), SeenProperty::Value(json!([])));
    assert!(matches!(see("suid", &frame("1", &whole(""))), SeenProperty::Unknown(_)));
    // What was found before the time was over stands.
    let partly = frame("1", "first\t1\t2\nfiles\t89ed\t0\t0\troot\troot\t/x\n");
    assert_eq!(texts(&see("suid", &partly)), ["/x (set-uid root, mode 4755)"]);
    let unknown_key = frame("1", &whole(&format!("keys\troot\t1\t/root/.ssh/authorized_keys\t{OURS} x\nkeys .")));
    let mut stranger = check.clone();
    assert_eq!(observe(&stranger, "authorized-keys", &unknown_key), SeenProperty::Value(json!([])));
    stranger.parameters.remove(LAUNCH_KEY);
    assert!(matches!(observe(&stranger, "authorized-keys", &unknown_key), SeenProperty::Unknown(_)));
}

#[test]
fn the_public_half_of_the_login_key() {
    let key = ssh_key::PrivateKey::random(&mut rand_core::OsRng, ssh_key::Algorithm::Ed25519).expect("a key");
    let text = key.to_openssh(ssh_key::LineEnding::LF).expect("text");
    let public = key.public_key().to_openssh().expect("text");
    assert_eq!(keys::public_half(&text).as_deref(), Some(public.trim()));
    assert_eq!(keys::public_half("-----BEGIN RSA PRIVATE KEY-----\n"), None);
}

mod any_bytes {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a host answers, every property is something, and its findings are bounded.
        #[test]
        fn are_survived(lines in proptest::collection::vec("(keys|files|shadow|sudo|logs|first|hostkeys|seed|cloud|machine|creds)[\t ](\\PC{0,20}\t?){0,7}|[\\x00-\\xff]{0,40}", 0..20)) {
            let check = check("");
            let frame = frame("1", &format!("first\t99\t100\n{}", lines.join("\n")));
            for property in &check.properties {
                if let SeenProperty::Value(Value::Array(items)) = observe(&check, &property.name, &frame) {
                    prop_assert!(items.iter().all(|i| i.as_str().is_some_and(|t| t.chars().count() <= FINDING_KEPT)));
                }
            }
        }
    }
}
