//! `assay serve` as a process, and `assay probe` through it: the same answers as without, and a clear end of everything that can go wrong.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use assay_config::RemoteProber;
use assay_model::{UndecidedKind, Verdict};
use assay_prober::{ConnectionWay, ProbeRequest, Prober};
use assay_suite::load;
use rcgen::ExtendedKeyUsagePurpose;
use tokio::sync::mpsc;
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    sshd::{Sshd, free_port, is_root},
    support::{
        certificates::{Authority, Pair},
        probing::{ASSAY, PASSING, Probe},
    },
};

const SERVICE: &str = "assay.prober.v1.Prober";

/// Passes in part, fails in part, and has a check that would be slow.
const MIXED: &str = r#"suite "s" {
  file "/etc/passwd" {
    exists   = true
    contents = ["root"]
  }
  command "printf '\\033[31m'; exit 7" {
    exit-status = 7
    stdout      = ["green"]
  }
  user "root" {
    exists = true
    uid    = 0
  }
  file "/nowhere" {
    exists = true
  }
}
"#;

/// A running `assay serve`.
struct Serve {
    child: Child,
    address: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Serve {
    fn start(authority: &Authority, server: &Pair, more: &[&str]) -> Self {
        let mut child = Command::new(ASSAY)
            .args(["serve", "--log", "info", "--listen", "127.0.0.1:0"])
            .arg("--cert")
            .arg(&server.cert)
            .arg("--key")
            .arg(&server.key)
            .arg("--ca")
            .arg(&authority.ca)
            .args(["--allow-client", "ci.example", "other.example"])
            .args(more)
            // Must not get as far as the server.
            .env("AWS_SECRET_ACCESS_KEY", "s3cret")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said: Arc<Mutex<String>> = Arc::default();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {}", said.lock().unwrap())).unwrap();
            let found = line.strip_prefix("listening on ").map(|address| address.parse().unwrap());
            said.lock().unwrap().push_str(&format!("{line}\n"));
            if let Some(address) = found {
                break address;
            }
        };
        let more = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                more.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self { child, address, said }
    }

    fn loopback(authority: &Authority, sshd: &Sshd, more: &[&str]) -> Self {
        let port = sshd.address.port().to_string();
        let flags = ["--allow-loopback-for-tests", "--allow-target", "127.0.0.0/8", "--allow-port", &port];
        Self::start(authority, &authority.server("localhost"), &[&flags, more].concat())
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn wait(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not end: {}", self.said());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn flags(address: &str, ca: &PathBuf, client: &Pair) -> Vec<String> {
    let text = |path: &PathBuf| path.display().to_string();
    [("address", address.to_owned()), ("ca", text(ca)), ("cert", text(&client.cert)), ("key", text(&client.key))]
        .into_iter()
        .flat_map(|(name, value)| [format!("--prober-{name}"), value])
        .collect()
}

fn through(probe: Probe, serve: &Serve, authority: &Authority, client: &Pair) -> Probe {
    let flags = flags(&format!("localhost:{}", serve.address.port()), &authority.ca, client);
    probe.with(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn the_same_checks_have_the_same_outcomes_through_it() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let mut serve = Serve::loopback(&authority, &sshd, &[]);
    let here = Probe::of(&sshd, MIXED).run();
    let there = through(Probe::of(&sshd, MIXED), &serve, &authority, &authority.client("ci.example")).run();
    assert_eq!(here.code, Some(2), "{here:?}");
    assert_eq!(there.code, Some(2), "{there:?}");
    assert_eq!(here.outcomes(), there.outcomes());
    assert!(here.outcomes().len() >= 7, "{:?}", here.outcomes());
    assert_eq!(there.evidence["targets"][0]["host_key"], "given");
    assert!(serve.said().contains("--allow-loopback-for-tests"), "{}", serve.said());
    assert!(serve.said().contains("ci.example"), "{}", serve.said());
    serve.signal(rustix::process::Signal::TERM);
    assert_eq!(serve.wait(), Some(0), "{}", serve.said());
}

#[test]
fn the_certificates_of_the_example_fit() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/remote-prober/make-certificates");
    for clients in [&["other.example"][..], &["other.example", "ci.example"]] {
        let made = Command::new(script).arg(folder.path()).arg("localhost").args(clients).output();
        let made = made.expect("the script runs; it needs OpenSSL: apt-get install openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let pair = |name: &str| Pair {
        cert: folder.path().join(format!("{name}.pem")),
        key: folder.path().join(format!("{name}.key")),
    };
    let ca = folder.path().join("ca.pem");
    let port = sshd.address.port().to_string();
    let flags_of_server = ["--allow-loopback-for-tests", "--allow-target", "127.0.0.1/32", "--allow-port", &port];
    std::fs::copy(&ca, &authority.ca).unwrap();
    let serve = Serve::start(&authority, &pair("server"), &flags_of_server);
    let probe = through(Probe::of(&sshd, PASSING), &serve, &authority, &pair("client-ci.example"));
    let probed = probe.run();
    assert_eq!(probed.code, Some(0), "{probed:?}");
}

#[test]
fn a_wrong_host_key_is_found_there_too() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let serve = Serve::loopback(&authority, &sshd, &[]);
    let other = Sshd::start();
    let host = format!("{}@{}", sshd.user, sshd.address);
    let probe = Probe::anywhere(&host, &sshd, PASSING).with(&["--host-key", &other.host_key]);
    through(probe, &serve, &authority, &authority.client("ci.example")).run().assert_undecided("host_key", &["showed"]);
}

#[test]
fn proxy_commands_and_bastions_work_with_it_and_their_secrets_stay_here() {
    let (sshd, bastion, authority) = (Sshd::start(), Sshd::start(), Authority::new());
    // Nothing may be dialled from there: the bytes come from here.
    let serve = Serve::start(&authority, &authority.server("localhost"), &["--allow-target", "192.0.2.0/24"]);
    let client = authority.client("ci.example");
    let relay = "python3 -c 'import os,socket,sys,threading\ns=socket.create_connection((sys.argv[1],int(sys.argv[2])))\ndef up():\n  while True:\n    d=os.read(0,65536)\n    if not d: break\n    s.sendall(d)\nthreading.Thread(target=up,daemon=True).start()\nwhile True:\n  d=s.recv(65536)\n  if not d: break\n  os.write(1,d)' {host} {port}";
    let probed =
        through(Probe::of(&sshd, PASSING).with(&["--ssh-proxy-command", relay]), &serve, &authority, &client).run();
    assert_eq!(probed.code, Some(0), "{probed:?}");

    let probe = Probe::of(&sshd, PASSING);
    probe.file("bastion_key", &bastion.client_key);
    let port = bastion.address.port().to_string();
    let probe = probe.with(&["--ssh-bastion-host", "127.0.0.1", "--ssh-bastion-port", &port]);
    let probe = probe.with(&["--ssh-bastion-username", &bastion.user, "--ssh-bastion-private-key-file", "bastion_key"]);
    let probed = through(probe, &serve, &authority, &client).run();
    assert_eq!(probed.code, Some(0), "{probed:?}");
    assert_eq!(probed.evidence["targets"][0]["bastion_host_key"], "none");
}

#[test]
fn clients_that_are_not_known() {
    let (sshd, authority, stranger) = (Sshd::start(), Authority::new(), Authority::new());
    let serve = Serve::loopback(&authority, &sshd, &[]);
    let run = |client: &Pair| through(Probe::of(&sshd, PASSING), &serve, &authority, client).run();
    run(&authority.client("evil.example")).assert_undecided("prober", &["evil.example", "--allow-client"]);
    run(&authority.client_by_common_name("ci.example")).assert_undecided("prober", &["common name does not count"]);
    // Of another authority, with the right name.
    run(&stranger.client("ci.example")).assert_undecided("prober", &["does not take the certificate"]);
    let expired = authority.expired("ci.example", ExtendedKeyUsagePurpose::ClientAuth);
    run(&expired).assert_undecided("prober", &["expired on"]);
    // A certificate for servers.
    run(&authority.server("ci.example")).assert_undecided("prober", &["does not take the certificate"]);
    assert!(serve.said().contains("evil.example"), "{}", serve.said());
    let probe = Probe::of(&sshd, PASSING).with(&["--prober-address", "localhost:1", "--prober-ca", "nowhere.pem"]);
    let probed = probe.run();
    assert_eq!(probed.code, Some(1));
    assert!(probed.stderr.contains("needs cert, key too") && probed.stderr.contains("nowhere.pem"), "{probed:?}");
}

#[test]
fn servers_that_do_not_prove_who_they_are() {
    let (sshd, authority, stranger) = (Sshd::start(), Authority::new(), Authority::new());
    let client = authority.client("ci.example");
    let run = |server: &Pair, ca: &PathBuf| {
        let serve = Serve::start(&authority, server, &["--allow-target", "192.0.2.0/24"]);
        let flags = flags(&format!("localhost:{}", serve.address.port()), ca, &client);
        Probe::of(&sshd, PASSING).with(&flags.iter().map(String::as_str).collect::<Vec<_>>()).run()
    };
    run(&authority.server("elsewhere.example"), &authority.ca)
        .assert_undecided("prober", &["another name than localhost"]);
    run(&authority.server("localhost"), &stranger.ca).assert_undecided("prober", &["did not sign"]);
    let expired = authority.expired("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    run(&expired, &authority.ca).assert_undecided("prober", &["shows a certificate that has expired"]);
    let nobody = flags(&free_port().to_string(), &authority.ca, &client);
    let probed = Probe::of(&sshd, PASSING).with(&nobody.iter().map(String::as_str).collect::<Vec<_>>()).run();
    probed.assert_undecided("prober", &["connection refused", "assay serve"]);
}

#[test]
fn targets_that_are_not_on_the_list() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let client = authority.client("ci.example");
    let port = sshd.address.port().to_string();
    let run = |more: &[&str]| {
        let serve = Serve::start(&authority, &authority.server("localhost"), more);
        through(Probe::of(&sshd, PASSING), &serve, &authority, &client).run()
    };
    let loopback = run(&["--allow-target", "0.0.0.0/0", "--allow-port", &port]);
    loopback.assert_undecided("prober", &["127.0.0.1", "loopback"]);
    let block = run(&["--allow-loopback-for-tests", "--allow-target", "10.0.0.0/8", "--allow-port", &port]);
    block.assert_undecided("prober", &["--allow-target"]);
    let other = run(&["--allow-loopback-for-tests", "--allow-target", "127.0.0.0/8"]);
    other.assert_undecided("prober", &[&port, "--allow-port"]);
}

#[test]
fn ten_thousand_checks_are_refused() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let serve = Serve::loopback(&authority, &sshd, &[]);
    let files: String = (0..2_500).map(|n| format!("  file \"/f{n}\" {{\n    exists = true\n    mode = \"0644\"\n    owner = \"root\"\n    group = \"root\"\n  }}\n")).collect();
    let suite = format!("suite \"s\" {{\n{files}}}\n");
    let probed = through(Probe::of(&sshd, &suite), &serve, &authority, &authority.client("ci.example")).run();
    probed.assert_undecided("prober", &["10000 checks", "5000", "--max-checks"]);
}

#[test]
fn a_server_that_dies_in_the_middle() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let serve = Serve::loopback(&authority, &sshd, &[]);
    let flag = sshd.folder().join("begun");
    let suite = format!(
        "suite \"s\" {{\n  timeout = \"60s\"\n  command \"touch {}; sleep 60\" {{\n    exit-status = 0\n  }}\n}}\n",
        flag.display()
    );
    let probe = through(Probe::of(&sshd, &suite), &serve, &authority, &authority.client("ci.example"));
    let child = probe.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !flag.exists() {
        assert!(Instant::now() < end, "the check does not begin: {}", serve.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    serve.signal(rustix::process::Signal::KILL);
    let probed = crate::support::probing::Probed::from(child.wait_with_output().unwrap());
    probed.assert_undecided("prober", &["broke off", "localhost"]);
}

fn remote(serve: &Serve, authority: &Authority, client: &Pair) -> RemoteProber {
    RemoteProber {
        host: "localhost".into(),
        port: serve.address.port(),
        ca: authority.ca.clone(),
        cert: client.cert.clone(),
        key: client.key.clone(),
    }
}

fn request(sshd: &Sshd, suite: &str) -> ProbeRequest {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.hcl"), suite).unwrap();
    ProbeRequest {
        target: "test".into(),
        address: sshd.address,
        user: sshd.user.clone(),
        private_key: sshd.client_key.clone().into(),
        host_keys: vec![sshd.host_key.clone()],
        suites: load(&[PathBuf::from("s.hcl")], folder.path()).unwrap_or_else(|e| panic!("{}", e[0])).into(),
        connect_within: Duration::from_secs(30),
        total: Duration::from_secs(120),
        wait_cloud_init: false,
        facts: false,
        inventory: false,
        way: ConnectionWay::Direct,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answers() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let serve = Serve::loopback(&authority, &sshd, &["--client-patience", "1s"]);
    let client = authority.client("ci.example");
    let prober = Prober::connect(&remote(&serve, &authority, &client)).await.unwrap();
    // More than all buffers on the way hold.
    let check = |n| {
        format!(
            "  command \"head -c 3000 /dev/zero | tr '\\\\0' x; : {n}\" {{\n    exit-status = 0\n    stdout = [\"y\"]\n  }}\n"
        )
    };
    let suite = format!("suite \"s\" {{\n{}}}\n", (0..2_000).map(check).collect::<String>());
    let (events, mut unread) = mpsc::channel(1);
    let request = request(&sshd, &suite);
    let probing = tokio::spawn(async move { prober.probe(request, events).await });
    let end = Instant::now() + Duration::from_secs(90);
    while !serve.said().contains("too slow") {
        assert!(Instant::now() < end, "it was not ended: {}", serve.said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Now it reads again.
    while unread.recv().await.is_some() {}
    let found = probing.await.unwrap();
    let why = found.undecided.map(|u| (u.kind, u.reason));
    // What came before stands: those checks failed.
    assert_eq!(found.verdict, Verdict::Failed, "{why:?}");
    assert!(found.checks.iter().any(|c| c.message.contains("not answered")), "all was answered");
}

async fn channel(
    serve: &Serve,
    authority: &Authority,
    client: Option<&Pair>,
) -> Result<Channel, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(std::fs::read(&authority.ca).unwrap()))
        .domain_name("localhost");
    if let Some(client) = client {
        let read = |path: &PathBuf| std::fs::read(path).unwrap();
        tls = tls.identity(Identity::from_pem(read(&client.cert), read(&client.key)));
    }
    Endpoint::from_shared(format!("https://{}", serve.address)).unwrap().tls_config(tls).unwrap().connect().await
}

async fn health(channel: &Channel, service: &str) -> Result<i32, tonic::Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status)
}

async fn services(channel: &Channel) -> Result<Vec<String>, tonic::Status> {
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel.clone())
        .server_reflection_info(tokio_stream::once(asked))
        .await?
        .into_inner();
    match answers.message().await?.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => Ok(list.service.into_iter().map(|s| s.name).collect()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_are_for_clients_on_the_list() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let serve = Serve::loopback(&authority, &sshd, &[]);
    let known = channel(&serve, &authority, Some(&authority.client("ci.example"))).await.unwrap();
    assert_eq!(health(&known, SERVICE).await.unwrap(), 1);
    assert_eq!(health(&known, "").await.unwrap(), 1);
    let names = services(&known).await.unwrap();
    for name in [SERVICE, "grpc.health.v1.Health"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    let unknown = channel(&serve, &authority, Some(&authority.client("evil.example"))).await.unwrap();
    assert_eq!(health(&unknown, "").await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(services(&unknown).await.unwrap_err().code(), Code::PermissionDenied);
    // In TLS 1.3 the client may believe for a moment that it is in.
    if let Ok(nobody) = channel(&serve, &authority, None).await {
        let error = health(&nobody, "").await.unwrap_err();
        assert_ne!(error.code(), Code::PermissionDenied, "no certificate must not get as far as names: {error:?}");
    }
    assert_eq!(health(&known, "").await.unwrap(), 1, "the others changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_after_what_runs() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let mut serve = Serve::loopback(&authority, &sshd, &[]);
    let client = authority.client("ci.example");
    let prober = Prober::connect(&remote(&serve, &authority, &client)).await.unwrap();
    let (go, begun) = (sshd.folder().join("go"), sshd.folder().join("begun"));
    let suite = format!(
        "suite \"s\" {{\n  timeout = \"60s\"\n  command \"touch {}; until [ -e {} ]; do sleep 0.1; done\" {{\n    exit-status = 0\n  }}\n}}\n",
        begun.display(),
        go.display()
    );
    let known = channel(&serve, &authority, Some(&client)).await.unwrap();
    let first = request(&sshd, &suite);
    let late = request(&sshd, PASSING);
    let finish = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        serve.signal(rustix::process::Signal::TERM);
        while health(&known, SERVICE).await.unwrap() != 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let refused = prober.probe(late, mpsc::channel(1).0).await;
        std::fs::write(&go, "").unwrap();
        refused
    };
    let (found, refused) = tokio::join!(prober.probe(first, mpsc::channel(1).0), finish);
    assert_eq!(found.verdict, Verdict::Passed, "{:?}", found.undecided);
    let why = refused.undecided.unwrap();
    assert_eq!((refused.verdict, why.kind), (Verdict::Undecided, UndecidedKind::Prober));
    assert!(why.reason.contains("about to end"), "{}", why.reason);
    assert_eq!(serve.wait(), Some(0), "{}", serve.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_an_end() {
    let (sshd, authority) = (Sshd::start(), Authority::new());
    let mut serve = Serve::loopback(&authority, &sshd, &["--drain", "1s"]);
    let client = authority.client("ci.example");
    let prober = Prober::connect(&remote(&serve, &authority, &client)).await.unwrap();
    let begun = sshd.folder().join("begun");
    let suite = format!(
        "suite \"s\" {{\n  timeout = \"60s\"\n  command \"touch {}; sleep 60\" {{\n    exit-status = 0\n  }}\n}}\n",
        begun.display()
    );
    let request = request(&sshd, &suite);
    let stop = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        serve.signal(rustix::process::Signal::TERM);
    };
    let (found, ()) = tokio::join!(prober.probe(request, mpsc::channel(1).0), stop);
    assert_eq!(found.verdict, Verdict::Undecided);
    assert_eq!(serve.wait(), Some(0), "{}", serve.said());
}

#[test]
fn the_server_gives_up_what_it_does_not_need() {
    let authority = Authority::new();
    let serve = Serve::start(&authority, &authority.server("localhost"), &["--allow-target", "192.0.2.0/24"]);
    let proc = PathBuf::from(format!("/proc/{}", serve.child.id()));
    let status = std::fs::read_to_string(proc.join("status")).unwrap();
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert_eq!(field("NoNewPrivs:"), "1");
    if is_root() {
        let ids = |name: &str| field(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(ids("Uid:"), ["65534"; 4]);
        assert_eq!(ids("Gid:"), ["65534"; 4]);
        // Its owner is root again where a process cannot be looked into (proc(5)); root itself can, and finds nothing.
        assert!(std::fs::read(proc.join("environ")).unwrap().is_empty(), "an environment");
    }
    assert!(!serve.said().contains("can open files"), "{}", serve.said());
}

#[test]
fn wrong_flags_are_named() {
    let authority = Authority::new();
    let pair = authority.server("localhost");
    let run = |arguments: &[&str]| {
        let output = Command::new(ASSAY).arg("serve").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&[]);
    assert_eq!(code, Some(1));
    for flag in ["--cert", "--key", "--ca", "--allow-client", "--allow-target"] {
        assert!(said.contains(flag), "{flag}: {said}");
    }
    let (cert, key) = (pair.cert.display().to_string(), pair.key.display().to_string());
    let (code, said) = run(&[
        "--cert",
        &key,
        "--key",
        &cert,
        "--ca",
        "/nowhere",
        "--allow-client",
        "x",
        "--allow-target",
        "10.0.0.0/8",
    ]);
    assert_eq!(code, Some(1));
    for words in ["is no certificate", "is no private key", "/nowhere"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Each by itself: the first mistake of its kind ends the reading of options.
    for (client, target, words) in [("*.x", "10.0.0.0/8", "in full"), ("ci.example.com", "10", "10.20.0.0/16")] {
        let (code, said) =
            run(&["--cert", &cert, "--key", &key, "--ca", &cert, "--allow-client", client, "--allow-target", target]);
        assert_eq!(code, Some(1), "{client} {target}");
        assert!(said.contains(words), "{client} {target}: {said}");
    }
}
