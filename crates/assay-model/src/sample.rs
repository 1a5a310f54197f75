//! Evidence that fills every field once, with a hostile host in it, for the goldens of this room.

use serde_json::json;

use crate::{
    AmiRecord, BootFacts, CheckEvidence, CheckOutcome, Digest, Evidence, HostKeyPin, Inventory, PhaseTime, Provenance,
    Shard, TargetEvidence, UndecidedKind, Verdict,
    evidence::{EVIDENCE_SCHEMA, Leftover, RefusedLaunch, SuiteRef, UndecidedReason},
    inventory::{InstalledPackage, InventoryPart, LocalGroup, LocalUser, OpenPort, SetIdFile, SystemdUnit},
    shard::ShardRecord,
};

pub fn check(resource: &str, id: &str, property: &str, outcome: CheckOutcome) -> CheckEvidence {
    CheckEvidence {
        suite: "smoke".to_owned(),
        file: Some("suites/smoke.hcl".to_owned()),
        resource: resource.to_owned(),
        id: id.to_owned(),
        property: property.to_owned(),
        outcome,
        expected: json!(true),
        actual: json!(true),
        message: String::new(),
        attempts: 1,
        flaky: false,
        duration_ms: 3,
    }
}

fn checks() -> Vec<CheckEvidence> {
    let mut mode = check("file", "/etc/passwd", "mode", CheckOutcome::Failed);
    mode.expected = json!("0644");
    mode.actual = json!("0600");
    mode.message = "expected \"0644\", found \"0600\"".to_owned();
    let mut hostile = check("command", "uname -m", "stdout", CheckOutcome::Failed);
    hostile.expected = json!(["x86_64"]);
    hostile.actual = json!("\u{1b}]52;c;eA==\u{7}\n::set-env name=X::1\n##[error]\u{202e}]]><x>&\u{0}");
    hostile.message = "\u{1b}[2J\n::error::no".to_owned();
    let mut flaky = check("port", "tcp:22", "listening", CheckOutcome::Passed);
    flaky.flaky = true;
    flaky.attempts = 3;
    let mut skipped = check("package", "nginx", "versions", CheckOutcome::Skipped);
    skipped.attempts = 0;
    skipped.actual = json!(null);
    skipped.message = "not installed".to_owned();
    vec![check("service", "ssh", "running", CheckOutcome::Passed), mode, hostile, flaky, skipped]
}

fn failed_target() -> TargetEvidence {
    TargetEvidence {
        target: "us-east-1:ami-0abcdef1234567890".to_owned(),
        verdict: Verdict::Failed,
        undecided: None,
        host_key: HostKeyPin::Injected,
        bastion_host_key: None,
        ami: Some(AmiRecord {
            ami: "us-east-1:ami-0abcdef1234567890".parse().expect("an AMI"),
            architecture: "x86_64".parse().expect("an architecture"),
            name: "base-1".to_owned(),
            owner: "123456789012".parse().expect("an account"),
            created_at: "2026-11-22T10:00:00.000Z".to_owned(),
            snapshots: vec!["snap-0abcdef1234567890".to_owned()],
        }),
        instance: Some("i-0abcdef1234567890".to_owned()),
        instance_type: Some("t3.small".to_owned()),
        availability_zone: Some("us-east-1b".to_owned()),
        refused_launches: vec![RefusedLaunch {
            instance_type: "t3.small".to_owned(),
            availability_zone: Some("us-east-1a".to_owned()),
            subnet: Some("subnet-0abcdef1234567890".to_owned()),
            reason: "InsufficientInstanceCapacity: no room".to_owned(),
        }],
        phases: [("launch", 1200), ("running", 15_000), ("ssh", 8_040), ("checks", 730)]
            .map(|(name, duration_ms)| PhaseTime { name: name.to_owned(), duration_ms })
            .to_vec(),
        checks: checks(),
        inventory: Some(inventory().digest()),
        boot: Some(BootFacts { kernel_ms: Some(1800), userspace_ms: Some(9400), disk_used_bytes: Some(1_234_567_890) }),
        ..TargetEvidence::new(String::new(), None)
    }
}

/// What is in an image, a hostile one.
pub fn inventory() -> Inventory {
    Inventory {
        os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        kernel: "6.1.0-28-cloud-amd64".to_owned(),
        kernels: vec!["6.1.0-28-cloud-amd64".to_owned()],
        package_manager: "dpkg".to_owned(),
        packages: vec![InstalledPackage {
            name: "bash".to_owned(),
            architecture: "amd64".to_owned(),
            version: "5.2.15-2+b7\u{1b}[2J".to_owned(),
        }],
        units: vec![SystemdUnit {
            name: "ssh.service".to_owned(),
            enabled: "enabled".to_owned(),
            state: "active".to_owned(),
        }],
        ports: vec![OpenPort {
            protocol: "tcp".to_owned(),
            port: 22,
            address: "0.0.0.0".to_owned(),
            process: "sshd".to_owned(),
        }],
        users: vec![LocalUser { name: "root".to_owned(), id: 0, group: 0, shell: "/bin/bash".to_owned() }],
        groups: vec![LocalGroup { name: "adm".to_owned(), id: 4, members: vec!["debian".to_owned()] }],
        set_id: vec![SetIdFile {
            path: "/usr/bin/<b>|`passwd`".to_owned(),
            mode: "4755".to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
        }],
        unknown: [(InventoryPart::Units, "systemctl did not answer".to_owned())].into(),
    }
}

fn undecided_target() -> TargetEvidence {
    let mut lost = check("user", "debian", "exists", CheckOutcome::Undecided);
    lost.actual = json!(null);
    lost.message = "the connection ended".to_owned();
    TargetEvidence {
        target: "eu-west-1:ami-0abcdef1234567891".to_owned(),
        verdict: Verdict::Undecided,
        undecided: Some(UndecidedReason {
            kind: UndecidedKind::Unreachable,
            reason: "port 22 did not answer within 5 m; see the console output".to_owned(),
        }),
        host_key: HostKeyPin::None,
        bastion_host_key: Some(HostKeyPin::None),
        ami: None,
        checks: vec![lost],
        inventory_missing: Some("port 22 did not answer within 5 m".to_owned()),
        console: Some("console-eu-west-1-ami-0abcdef1234567891.txt".to_owned()),
        ..TargetEvidence::new(String::new(), None)
    }
}

pub fn evidence() -> Evidence {
    Evidence {
        schema: EVIDENCE_SCHEMA,
        verdict: Verdict::Failed,
        run: "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C".parse().expect("a run"),
        runs: vec!["01KAQ3B6G0R8ZJ5Q2X7V9N4M1C".parse().expect("a run")],
        shard: Some(ShardRecord {
            shard: Shard { index: 1, total: 1 },
            planned: vec!["eu-west-1:ami-0abcdef1234567891".to_owned(), "us-east-1:ami-0abcdef1234567890".to_owned()],
        }),
        image: Some("base".parse().expect("a name")),
        provenance: Provenance {
            owner: Some("github.com/example/images".to_owned()),
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            branch: Some("main".to_owned()),
            pipeline: Some("https://ci.example/7".to_owned()),
            source_digest: Some(Digest::of(b"inputs")),
            parent: Some("ami-0abcdef1234567000".parse().expect("an AMI")),
            began_at: Some("2026-11-22T09:30:00Z".to_owned()),
        },
        inventories: [(inventory().digest(), inventory())].into(),
        workflow: Some("5e4bb2a1-21c2-4a5e-9d0f-0f4ee32a1d55".to_owned()),
        started_at: "2026-11-22T10:00:00Z".to_owned(),
        finished_at: "2026-11-22T10:05:00.5Z".to_owned(),
        suites: vec![SuiteRef {
            name: "smoke".to_owned(),
            path: "suites/smoke.hcl".to_owned(),
            digest: Digest::of(b"suite"),
            planned: 5,
        }],
        targets: vec![undecided_target(), failed_target()],
        assay_version: "0.1.0".to_owned(),
        confinement: vec!["landlock: this kernel has none".to_owned()],
        leftovers: vec![Leftover {
            region: "us-east-1".to_owned(),
            kind: "security-group".to_owned(),
            id: "sg-0abcdef1234567890".to_owned(),
            reason: "DependencyViolation for 20 minutes".to_owned(),
            cure: "assay sweep --run 01KAQ3B6G0R8ZJ5Q2X7V9N4M1C --yes".to_owned(),
        }],
    }
}

/// Evidence where everything passed on one target.
pub fn passed() -> Evidence {
    let mut evidence = evidence();
    evidence.targets.remove(0);
    evidence.targets[0].checks.retain(|check| check.outcome == CheckOutcome::Passed);
    evidence.targets[0].verdict = Verdict::Passed;
    evidence.verdict = Verdict::Passed;
    evidence.leftovers.clear();
    evidence.confinement.clear();
    evidence
}
