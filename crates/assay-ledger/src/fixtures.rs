//! Values that the ledger's tests share.

use assay_model::{
    AmiRecord, Candidate, CandidateAmi, Digest, ImageState, Provenance, Verdict,
    lock::{Lock, LockCopy, LockEntry},
};

pub const RUN: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";

pub fn ami(architecture: &str, region: &str, number: u8, evidence: &[u8], tested_at: &str) -> CandidateAmi {
    CandidateAmi {
        record: AmiRecord {
            ami: format!("{region}:ami-0abcdef12345678{number:02x}").parse().expect("an AMI"),
            architecture: architecture.parse().expect("an architecture"),
            name: format!("base-{architecture}-${{1}}"),
            owner: "123456789012".parse().expect("an account"),
            created_at: "2026-11-22T10:00:00.000Z".to_owned(),
            snapshots: vec![format!("snap-0abcdef12345678{number:02x}")],
        },
        state: ImageState::Candidate,
        evidence: Digest::of(evidence),
        tested_at: tested_at.to_owned(),
    }
}

pub fn candidate() -> Candidate {
    Candidate {
        image: "base".parse().expect("a name"),
        run: RUN.parse().expect("a run"),
        state: ImageState::Candidate,
        verdict: Verdict::Passed,
        tested_at: "2026-11-22T10:05:00Z".to_owned(),
        provenance: Provenance {
            owner: Some("github.com/example/images".to_owned()),
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            branch: Some("feature/x".to_owned()),
            ..Provenance::default()
        },
        evidence: Digest::of(b"one"),
        amis: vec![ami("x86_64", "us-east-1", 1, b"one", "2026-11-22T10:05:00Z")],
    }
}

pub fn candidate_of_two_builds() -> Candidate {
    let mut candidate = candidate();
    candidate.tested_at = "2026-11-22T10:09:00Z".to_owned();
    candidate.amis.push(ami("arm64", "us-east-1", 2, b"two", "2026-11-22T10:09:00Z"));
    candidate
}

pub fn lock() -> Lock {
    lock_on(Digest::of(b"full"))
}

/// The lock of one run that was vetted on this evidence and then made gold.
pub fn lock_on(evidence: Digest) -> Lock {
    let candidate = candidate();
    let mut lock = Lock::new(candidate.image.clone());
    let entry = |state, reason: &str, candidate| LockEntry {
        run: RUN.parse().expect("a run"),
        state,
        by: "https://ci.example/7".to_owned(),
        at: "2026-11-22T12:00:00Z".to_owned(),
        reason: reason.to_owned(),
        evidence: None,
        effective_at: None,
        previous: None,
        candidate,
        copies: Vec::new(),
    };
    let copy = LockCopy {
        record: ami("x86_64", "eu-west-1", 3, b"one", "2026-11-22T10:05:00Z").record,
        of: candidate.amis[0].record.ami.clone(),
    };
    let vetted = LockEntry {
        evidence: Some(evidence),
        ..entry(ImageState::Vetted, "full suite passed", Some(candidate.clone()))
    };
    super::lock_file::append(&mut lock, vetted);
    super::lock_file::append(&mut lock, LockEntry { copies: vec![copy], ..entry(ImageState::Gold, "promoted", None) });
    lock.gold = Some(candidate.run);
    lock
}
