//! What each shell, with each tool that a host may have, makes of the kinds of questions: against servers on loopback,
//! and against tools that answer as their documentation says where the real ones cannot run here.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    tests::{Shell, answers, outcomes, questions, shells, suite},
    *,
};
use assay_model::CheckOutcome::{self, Failed, Passed, Undecided};

/// The servers that the comparison with goss talks to as well (tests/fixtures/goss/agreement/servers.py).
struct Servers {
    child: Child,
    folder: tempfile::TempDir,
    ports: Vec<(String, String)>,
}

impl Servers {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/goss/agreement/servers.py");
        let ports = folder.path().join("ports");
        let child = Command::new("python3")
            .arg(script)
            .args([folder.path(), &ports])
            .stdin(Stdio::piped())
            .spawn()
            .expect("this test needs python3: apt-get install python3");
        let began = Instant::now();
        let text = loop {
            if let Ok(text) = std::fs::read_to_string(&ports) {
                break text;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "servers.py does not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        let ports = text.lines().filter_map(|l| l.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect();
        Self { child, folder, ports }
    }

    /// `text` with the ports and the folder filled in.
    fn fill(&self, text: &str) -> String {
        let text = text.replace("@DIR@", &self.folder.path().display().to_string());
        self.ports.iter().fold(text, |text, (name, port)| text.replace(&format!("@{name}@"), port))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// ca.pem and server.pem (certificate and key) for localhost and 127.0.0.1; other.pem, which has signed nothing.
fn certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let authority = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        std::fs::write(folder.join(format!("{name}.pem")), pem).expect("written");
        Issuer::new(params, key)
    };
    let ca = authority("ca");
    authority("other");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("names");
    let server = params.signed_by(&key, &ca).expect("signed");
    std::fs::write(folder.join("server.pem"), server.pem() + &key.serialize_pem()).expect("written");
}

/// Asks `text` in `shell` after `prepare` has changed the script; every property passes, but those of an id with WRONG
/// fail and those of one with UNKNOWN are undecided.
fn asked(shell: &mut Shell, what: &str, text: &str, prepare: &dyn Fn(String) -> String) {
    let suite = suite(text);
    let frames = answers(&mut shell.command, &prepare(checks("nonce", &questions(&suite))));
    for (property, (outcome, told)) in outcomes(&suite, &frames) {
        let wanted = match property.as_str() {
            p if p.contains("WRONG") => Failed,
            p if p.contains("UNKNOWN") => Undecided,
            _ => Passed,
        };
        assert_eq!(outcome, wanted, "{} with {what}: {property}: {told}", shell.name);
    }
}

/// Asks `text` of a host that has nothing to answer with: every property is undecided, and says why.
fn undecided(shell: &mut Shell, text: &str, prepare: &dyn Fn(String) -> String) {
    let suite = suite(text);
    let frames = answers(&mut shell.command, &prepare(checks("nonce", &questions(&suite))));
    for (property, (outcome, told)) in outcomes(&suite, &frames) {
        let skipped = outcome == CheckOutcome::Skipped && told.contains("is undecided");
        assert!(
            outcome == Undecided && told.contains("the host has n") || skipped,
            "{}: {property}: {outcome:?} {told}",
            shell.name
        );
    }
}

/// `script` with one line of it changed.
fn changed(script: &str, from: &str, to: &str) -> String {
    let other = script.replace(from, to);
    assert_ne!(other, script, "the script has no {from:?} any more");
    other
}

#[test]
fn what_a_host_knows_of_itself() {
    for mut shell in shells() {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).expect("linked");
        std::fs::create_dir(folder.path().join("folder")).expect("made");
        let fifo = Command::new("mkfifo").arg(folder.path().join("pipe")).status().expect("mkfifo");
        assert!(fifo.success());
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let tcp6 = std::net::TcpListener::bind("[::1]:0").expect("this test needs IPv6 on loopback");
        let port = |address: std::io::Result<std::net::SocketAddr>| address.expect("bound").port().to_string();
        let text = include_str!("fixtures/kinds.hcl")
            .replace("@DIR@", &folder.path().display().to_string())
            .replace("@UDP@", &port(udp.local_addr()))
            .replace("@TCP6@", &port(tcp6.local_addr()));
        let suite = suite(&text);
        let frames = answers(&mut shell.command, &checks("nonce", &questions(&suite)));
        for (what, (outcome, told)) in outcomes(&suite, &frames) {
            let wanted = match what.as_str() {
                w if w.contains("WRONG") || w.ends_with("dangling contents") => Failed,
                _ => Passed,
            };
            assert_eq!(outcome, wanted, "{}: {what}: {told}", shell.name);
        }
    }
}

#[test]
fn connections_by_each_tool() {
    let servers = Servers::start();
    let text = servers.fill(
        r#"suite "addr" {
          timeout = "20s"
          addr "tcp://127.0.0.1:@HTTP@" { reachable = true }
          addr "localhost:@HTTP@" { reachable = true }
          addr "tcp://127.0.0.1:@CLOSED@" { reachable = false }
          addr "WRONG" {
            address   = "127.0.0.1:@CLOSED@"
            reachable = true
          }
          addr "tcp://nosuch.invalid:80" { reachable = false }
        }"#,
    );
    let more = servers.fill(
        r#"suite "addr" {
          timeout = "20s"
          addr "UNKNOWN" {
            address   = "icmp://127.0.0.1:1"
            reachable = true
          }
          addr "udp://127.0.0.1:@DNS@" { reachable = true }
          addr "tcp4://localhost:@HTTP@" { reachable = true }
          addr "tcp6://[::1]:@HTTP@" { reachable = false }
          addr "from here" {
            address       = "tcp://127.0.0.1:@HTTP@"
            local-address = "127.0.0.1"
            reachable     = true
          }
          addr "from nowhere" {
            address       = "tcp://127.0.0.1:@HTTP@"
            local-address = "192.0.2.1"
            reachable     = false
          }
        }"#,
    );
    for mut shell in shells() {
        for tool in ["python3", "perl", "bash", "nc"] {
            // Only busybox's is sure to be there.
            if tool == "nc" && !shell.name.starts_with("busybox") {
                continue;
            }
            let only =
                |script: String| changed(&script, "for t in python3 perl bash nc curl", &format!("for t in {tool}"));
            asked(&mut shell, tool, &text, &only);
            if matches!(tool, "python3" | "perl") {
                asked(&mut shell, tool, &more, &only);
            }
        }
        undecided(&mut shell, &text, &|script| {
            changed(&script, "for t in python3 perl bash nc curl", "for t in no-tool")
        });
    }
}

#[test]
fn names_by_each_tool() {
    let servers = Servers::start();
    let by_server = servers.fill(
        r#"suite "dns" {
          timeout = "20s"
          dns "A:host.example" {
            resolvable = true
            server     = "127.0.0.1:@DNS@"
            addrs      = { consist-of = ["10.0.0.1", "10.0.0.2"] }
          }
          dns "host.example" {
            resolvable = true
            server     = "localhost:@DNS@"
            addrs      = ["10.0.0.1", "2001:db8::1"]
          }
          dns "TXT:host.example" {
            resolvable = true
            server     = "127.0.0.1:@DNS@"
            addrs      = ["v=spf1 -all", "one"]
          }
          dns "PTR:10.0.0.1" {
            resolvable = true
            server     = "127.0.0.1:@DNS@"
            addrs      = ["host.example."]
          }
          dns "A:nosuch.example" {
            resolvable = false
            server     = "127.0.0.1:@DNS@"
          }
          dns "WRONG" {
            resolve    = "A:host.example"
            resolvable = false
            server     = "127.0.0.1:@DNS@"
          }
          dns "WRONG too, nobody answers" {
            resolve    = "A:silent.example"
            resolvable = false
            server     = "127.0.0.1:@DNS@"
            timeout    = "1s"
          }
        }"#,
    );
    let by_resolver = r#"suite "dns" {
          timeout = "20s"
          dns "localhost" {
            resolvable = true
            addrs      = ["127.0.0.1"]
          }
          dns "127.0.0.2" {
            resolvable = true
            addrs      = { consist-of = ["127.0.0.2"] }
          }
          dns "nosuch.invalid" { resolvable = false }
          dns "WRONG" {
            resolve    = "nosuch.invalid"
            resolvable = true
          }
        }"#;
    for mut shell in shells() {
        for tool in ["bash", "python3", "perl"] {
            asked(&mut shell, tool, &by_server, &|script| {
                changed(&script, "for t in bash python3 perl nc none", &format!("for t in {tool}"))
            });
        }
        for tool in ["python3", "perl", "getent"] {
            asked(&mut shell, tool, by_resolver, &|script| {
                changed(&script, "for t in python3 perl getent none", &format!("for t in {tool}"))
            });
        }
        undecided(&mut shell, &by_server, &|script| {
            changed(&script, "for t in bash python3 perl nc none", "for t in none")
        });
        undecided(&mut shell, by_resolver, &|script| {
            changed(&script, "for t in python3 perl getent none", "for t in none")
        });
    }
}

#[test]
fn requests_by_each_tool() {
    let servers = Servers::start();
    // What any wget can do, and what takes curl or Python.
    let simple = servers.fill(
        r#"suite "http" {
          timeout = "20s"
          http "http://127.0.0.1:@HTTP@/ok" {
            status          = 200
            headers         = ["Content-Type: text/plain", "X-Lower-Case: a"]
            body            = "hello\nworld\n"
            request-headers = ["X-One: it's"]
          }
          http "http://127.0.0.1:@HTTP@/redirect/302/ok" {
            status = 200
            body   = ["world"]
          }
          http "http://127.0.0.1:@HTTP@/status/404" { status = 404 }
          http "WRONG" {
            url    = "http://127.0.0.1:@HTTP@/ok"
            status = { not = 200 }
          }
          http "https://127.0.0.1:@TLS@/ok" {
            status         = 200
            allow-insecure = true
            body           = ["hello"]
          }
        }"#,
    );
    let more = servers.fill(include_str!("fixtures/http.hcl"));
    let from = "for t in curl python3 wget none";
    for mut shell in shells() {
        for tool in ["curl", "python3"] {
            if tool == "curl" && shell.name == "ksh" {
                // It joins commands by sockets, and curl cannot open those.
                undecided(&mut shell, &simple, &|script| changed(&script, from, "for t in curl none"));
                continue;
            }
            // Which shell it is says nothing about what the tool does.
            let text = if shell.name == "dash" { &more } else { &simple };
            asked(&mut shell, tool, text, &|script| changed(&script, from, &format!("for t in {tool}")));
        }
        // GNU's in two of the shells, busybox's in the third.
        asked(&mut shell, "wget", &simple, &|script| changed(&script, from, "for t in wget"));
        undecided(&mut shell, &simple, &|script| changed(&script, from, "for t in none"));
    }
}

#[test]
fn busyboxs_wget_is_not_trusted_with_what_it_cannot_do() {
    let servers = Servers::start();
    let text = servers.fill(
        r#"suite "http" {
          http "https://127.0.0.1:@TLS@/ok" { status = 200 }
          http "http://127.0.0.1:@HTTP@/redirect/302/ok" {
            status              = 302
            no-follow-redirects = true
          }
          http "http://127.0.0.1:@HTTP@/echo" {
            status = 200
            method = "POST"
          }
        }"#,
    );
    let mut shell = shells().pop().expect("busybox");
    undecided(&mut shell, &text, &|script| changed(&script, "for t in curl python3 wget none", "for t in wget none"));
}

#[test]
fn a_password_is_in_no_process_s_arguments() {
    let servers = Servers::start();
    let text = servers.fill(
        r#"suite "http" {
          http "http://127.0.0.1:@HTTP@/slow" {
            status   = 200
            username = "user"
            password = "a-secret-that-nobody-sees"
          }
        }"#,
    );
    let suite = suite(&text);
    for tool in ["curl", "python3"] {
        let script = checks("nonce", &questions(&suite));
        let script = changed(&script, "for t in curl python3 wget none", &format!("for t in {tool}"));
        let mut seen = false;
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| answers(&mut Command::new("dash"), &script));
            while !asking.is_finished() {
                for process in std::fs::read_dir("/proc").expect("/proc").flatten() {
                    let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line);
                    assert!(!line.contains("a-secret-that"), "{tool}: {line}");
                    seen |= match tool {
                        "curl" => line.contains("curl\0-q\0-K"),
                        _ => line.contains("One HTTP request on a host"),
                    };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let frames = asking.join().expect("answered");
            assert!(outcomes(&suite, &frames).into_values().all(|(outcome, _)| outcome == Passed), "{tool}");
        });
        assert!(seen, "{tool} was not seen at all, so its arguments were not looked at");
    }
}

/// Programs under the names of others, and the folder that they are in.
fn programs(list: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    for (name, text) in list {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }
    folder
}

/// Puts `folder` before the shell's own tools.
fn with_programs(shell: &mut Shell, folder: &Path) {
    let own = shell.command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).map(Into::into);
    let path: std::ffi::OsString = own.or_else(|| std::env::var_os("PATH")).expect("PATH");
    shell.command.env("PATH", format!("{}:{}", folder.display(), path.to_string_lossy()));
}

/// A curl of RHEL 7 warns about what it does not know, and goes on with another request: it is not asked.
#[test]
fn a_curl_that_is_too_old_is_not_asked() {
    let servers = Servers::start();
    let text = servers.fill(
        r#"suite "http" {
          http "http://127.0.0.1:@HTTP@/ok" {
            status = 200
            body   = "hello\nworld\n"
          }
          http "http://127.0.0.1:@HTTP@/echo" {
            status       = 200
            method       = "POST"
            request-body = "a body"
            body         = ["POST", "a body"]
          }
        }"#,
    );
    for version in ["7.29.0", "7.42.1", "6.9", "unknown"] {
        let tools = programs(&[(
            "curl",
            &format!(
                "case $1 in -V) echo \"curl {version} (x86_64-redhat-linux-gnu)\" ;; *) echo '  HTTP/1.1 200 OK' ;; esac"
            ),
        )]);
        let mut shell = shells().remove(0);
        with_programs(&mut shell, tools.path());
        undecided(&mut shell, &text, &|script| {
            changed(&script, "for t in curl python3 wget none", "for t in curl none")
        });
        let mut shell = shells().remove(0);
        with_programs(&mut shell, tools.path());
        let post = |script: String| changed(&script, "for t in curl python3 wget none", "for t in curl python3 none");
        let only_status = text.replace("body         = [\"POST\", \"a body\"]", "");
        asked(&mut shell, version, &only_status, &post);
    }
}

/// The lines of a recorded answer.
fn recorded(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// What `/proc` shows of a server that keeps its command line as it was given (before OpenSSH 8.2), and of nobody else.
fn processes(folder: &Path, words: &[&str]) {
    for (process, name, parent, line) in [("1", "systemd", "0", &["/sbin/init"][..]), ("99", "sshd", "1", words)] {
        let at = folder.join(process);
        std::fs::create_dir_all(&at).expect("made");
        std::fs::write(at.join("comm"), format!("{name}\n")).expect("written");
        std::fs::write(at.join("stat"), format!("{process} ({name}) S {parent} {process} 0\n")).expect("written");
        std::fs::write(at.join("cmdline"), line.join("\0") + "\0").expect("written");
    }
}

#[test]
fn a_server_of_rhel_8_is_asked_with_its_own_words() {
    // Answers with what it was given, and wants -C where there are Match blocks.
    let complaint = recorded(include_str!("fixtures/recorded/sshd-match-7.9"));
    let program = format!(
        r#"for word; do case $word in
             -oCiphers=*) ciphers=${{word#-oCiphers=}} ;;
             -C) connection=yes ;;
           esac; done
           if [ -z "$connection" ]; then cat >&2 <<'X'
{complaint}
X
           exit 255; fi
           echo "ciphers ${{ciphers-aes256-ctr}}""#
    );
    let tools = programs(&[("sshd", &program)]);
    let line = recorded(include_str!("fixtures/recorded/sshd-el8"))
        .replace("/usr/sbin/sshd", &tools.path().join("sshd").display().to_string());
    let words: Vec<&str> = line.split(' ').collect();
    let proc = tempfile::tempdir().expect("a folder");
    let text = r#"suite "sshd" {
      sshd "effective" { ciphers = { and = [{ contain-element = "aes128-cbc" }, { have-len = 7 }] } }
      sshd "of somebody" {
        match   = "user=a"
        ciphers = { contain-element = "aes128-cbc" }
      }
    }"#;
    processes(proc.path(), &words);
    for mut shell in shells() {
        let own = |script: String| changed(&script, "/proc/", &format!("{}/", proc.path().display()));
        asked(&mut shell, "the words of RHEL 8", text, &own);
    }
    // A word that nobody here knows.
    let unknown = "suite \"sshd\" {\n sshd \"UNKNOWN\" { ciphers = [] }\n}";
    processes(proc.path(), &[words[0], "-D", "-Z", "x"]);
    let mut shell = shells().remove(0);
    asked(&mut shell, "an unknown word", unknown, &|script| {
        changed(&script, "/proc/", &format!("{}/", proc.path().display()))
    });
}

/// LVM on LUKS, as the kernel shows it: this machine may have no device mapper.
#[test]
fn a_volume_on_an_encrypted_partition() {
    let sys = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = sys.path().join(path);
        std::fs::create_dir_all(path.parent().expect("below")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    let link = |to: &str, at: &str| {
        let at = sys.path().join(at);
        std::fs::create_dir_all(at.parent().expect("below")).expect("made");
        std::os::unix::fs::symlink(sys.path().join(to), at).expect("linked");
    };
    let gib = |n: usize| format!("{}\n", n << 21);
    for (device, size) in [("dm-1", gib(8)), ("dm-0", gib(8))] {
        write(&format!("devices/virtual/{device}/size"), &size);
        write(&format!("devices/virtual/{device}/dm/uuid"), "x\n");
    }
    write("devices/nvme0n1/size", &gib(8));
    write("devices/nvme0n1/nvme0n1p3/size", &gib(8));
    write("devices/nvme0n1/nvme0n1p3/start", "2048\n");
    write("devices/nvme0n1/nvme0n1p3/partition", "3\n");
    link("devices/virtual/dm-1", "dev/block/253:1");
    link("devices/virtual/dm-0", "devices/virtual/dm-1/slaves/dm-0");
    link("devices/nvme0n1/nvme0n1p3", "devices/virtual/dm-0/slaves/nvme0n1p3");
    let mount = sys.path().join("mountinfo");
    std::fs::write(&mount, "23 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw\n").expect("written");
    let suite = suite("suite \"x\" {\n root-filesystem \"root\" { grown = true }\n}");
    for mut shell in shells() {
        let script = checks("nonce", &questions(&suite));
        let script = changed(&script, "/sys/", &format!("{}/", sys.path().display()));
        let script = changed(&script, "/proc/self/mountinfo", &mount.display().to_string());
        let frames = answers(&mut shell.command, &script);
        let lines = frames.answers[&0].text('b').unwrap_or_default();
        let words: Vec<&str> = lines.lines().map(|line| line.rsplit_once(' ').map_or("", |(head, _)| head)).collect();
        let wanted = [
            "device dm-1 0",
            "layers 1 0",
            "device dm-0 0",
            "layers 1 0",
            "device nvme0n1p3 2048",
            "disk nvme0n1 0",
            "part nvme0n1p3 2048",
        ];
        assert_eq!(words, wanted, "{}", shell.name);
    }
}

/// rpm, apk and pacman do not run here: these speak as rpm(8), apk(8) and pacman(8) say.
#[test]
fn other_package_managers() {
    let tools = programs(&[
        (
            "rpm",
            r#"for name; do :; done
               case "$*" in '-qa '*) printf xxx; exit ;; esac
               case "$*" in *"%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n"*) ;; *) exit 9 ;; esac
               case $name in
                 kernel) printf '5.14.0-1.el9\n5.14.0-2.el9\n' ;;
                 p) printf '1:2.0-3.el9\n' ;;
                 *) echo "package $name is not installed"; exit 1 ;;
               esac"#,
        ),
        (
            "apk",
            r#"for name; do :; done; case $name in info) echo p-1 ;; p) echo p-1:2.0-3.el9 ;; kernel) printf 'kernel-5.14.0-1.el9\nkernel-5.14.0-2.el9\n' ;; *) exit 1 ;; esac"#,
        ),
        (
            "pacman",
            r#"for name; do :; done
               case $name in
                 -Qq) echo p ;;
                 kernel) printf 'kernel 5.14.0-1.el9\nkernel 5.14.0-2.el9\n' ;;
                 p) echo p 1:2.0-3.el9 ;;
                 *) echo "error: package '$name' was not found" >&2; exit 1 ;;
               esac"#,
        ),
    ]);
    let text = r#"suite "packages" {
      package "p" {
        installed = true
        versions  = { consist-of = ["1:2.0-3.el9"] }
      }
      package "kernel" {
        installed = true
        versions  = ["5.14.0-2.el9"]
      }
      package "nosuch" { installed = false }
      package "WRONG" {
        name      = "nosuch"
        installed = true
      }
    }"#;
    for mut shell in shells() {
        with_programs(&mut shell, tools.path());
        for distribution in ["redhat", "alpine", "arch"] {
            asked(&mut shell, distribution, text, &|script| {
                changed(&script, "  distribution\n  case $D in", &format!("  D={distribution}\n  case $D in"))
            });
        }
    }
}

/// Services are asked about as systemctl(1), service(8) and the folders of run levels tell them.
#[test]
fn services_of_each_sort() {
    let tools = programs(&[
        (
            "systemctl",
            r#"for name; do :; done
               case $1:$name in
                 is-enabled:good) echo enabled ;;
                 is-active:good) echo active ;;
                 is-enabled:bad) echo disabled; exit 1 ;;
                 is-active:bad) echo inactive; exit 3 ;;
                 is-enabled:*) echo "Failed to get unit file state for $name.service: No such file or directory" >&2; exit 1 ;;
                 is-active:*) echo inactive; exit 4 ;;
               esac"#,
        ),
        (
            "service",
            r#"[ "$2" = status ] || exit 9; case $1 in good) echo "good start/running" ;; *) echo stopped; exit 3 ;; esac"#,
        ),
    ]);
    let root = tempfile::tempdir().expect("a folder");
    for folder in ["rc2.d", "rc3.d", "rcS.d", "init", "runlevels/default", "system"] {
        std::fs::create_dir_all(root.path().join(folder)).expect("made");
    }
    for file in ["rc2.d/S01good", "rc3.d/S20good", "rcS.d/S01bad", "rc2.d/K01bad", "runlevels/default/good"] {
        std::fs::write(root.path().join(file), "").expect("written");
    }
    std::fs::write(root.path().join("init/good.conf"), "  start on runlevel [2345]\n").expect("written");
    std::fs::write(root.path().join("init/bad.conf"), "start on runlevel [2345]\n").expect("written");
    std::fs::write(root.path().join("init/bad.override"), "manual\n").expect("written");
    let at = root.path().display();
    let text = r#"suite "services" {
      service "good" {
        enabled = true
        running = true
      }
      service "bad" {
        enabled = false
        running = false
      }
      service "nosuch" {
        enabled = false
        running = false
      }
      service "WRONG" {
        name    = "bad"
        enabled = true
        running = true
      }
      service "a/path" { running = false }
    }"#;
    let levels =
        |list: &str| format!("suite \"x\" {{\n service \"good\" {{ runlevels = {{ consist-of = {list} }} }}\n}}");
    for mut shell in shells() {
        with_programs(&mut shell, tools.path());
        let prepare = |sort: &str| {
            let (sort, at) = (sort.to_owned(), at.to_string());
            move |script: String| {
                let script = changed(&script, "/run/systemd/system", &format!("{at}/system"));
                let script = changed(&script, "/etc/rc[0-9]", &format!("{at}/rc[0-9]"));
                let script = changed(&script, "q#/etc/rc}", &format!("q#{at}/rc}}"));
                let script = changed(&script, "/etc/runlevels", &format!("{at}/runlevels"));
                let script = changed(&script, "/etc/init/", &format!("{at}/init/"));
                changed(&script, "[ -z \"$I\" ] && init_system", &format!("I={sort}"))
            }
        };
        for sort in ["systemd", "sysv", "openrc", "upstart"] {
            asked(&mut shell, sort, text, &prepare(sort));
        }
        asked(&mut shell, "sysv", &levels("[\"2\", \"3\"]"), &prepare("sysv"));
        asked(&mut shell, "openrc", &levels("[\"default\"]"), &prepare("openrc"));
        asked(&mut shell, "systemd", &levels("[]"), &prepare("systemd"));
    }
}
