//! Evidence: the record of what was tested on exactly which AMI ids. It owns the shape that is written to `evidence.json`, printed by
//! `--format json`, committed to git and demanded before promotion; it refuses to decide anything but its own verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ami::AmiRecord,
    ids::{Digest, ImageName, RunId},
    inventory::{BootFacts, Inventory},
    shard::ShardRecord,
    tags::Provenance,
    verdict::{UndecidedKind, Verdict},
};

/// The version of the JSON shape; raised when a field changes its meaning.
pub const EVIDENCE_SCHEMA: u32 = 1;

/// Everything one run found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`EVIDENCE_SCHEMA`].
    pub schema: u32,
    /// Over all targets, see [`Verdict::over`].
    pub verdict: Verdict,
    /// The run that was tested.
    pub run: RunId,
    /// The runs that this was merged from; absent where it is one run's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunId>,
    /// Which share of the work this is; absent where it is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRecord>,
    /// The image line; absent for hosts tested by `assay probe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// Where the run came from: commit, branch, pipeline, owner, source digest, parent.
    pub provenance: Provenance,
    /// The CI workflow (CircleCI's word; GitHub: run, GitLab: pipeline) that made this evidence, by the id that CI gives it; absent outside of CI.
    /// Not part of the provenance: that is of the build, this is of the validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// When testing began and ended, RFC 3339 UTC.
    pub started_at: String,
    /// See `started_at`.
    pub finished_at: String,
    /// The suites that were run, with the digest of each file's bytes.
    pub suites: Vec<SuiteRef>,
    /// One entry per AMI or host, sorted by `target`.
    pub targets: Vec<TargetEvidence>,
    /// What is in the images, by digest: AMIs that are alike share one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inventories: BTreeMap<Digest, Inventory>,
    /// assay's version.
    pub assay_version: String,
    /// What could not be confined in the prober, in words; empty when all was.
    #[serde(default)]
    pub confinement: Vec<String>,
    /// What assay created and could not remove, each with the command that will.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
}

impl Evidence {
    /// (passed, failed, skipped, undecided) over all checks of all targets.
    pub fn counts(&self) -> OutcomeCounts {
        let mut counts = OutcomeCounts::default();
        for check in self.targets.iter().flat_map(|t| &t.checks) {
            match check.outcome {
                CheckOutcome::Passed => counts.passed += 1,
                CheckOutcome::Failed => counts.failed += 1,
                CheckOutcome::Skipped => counts.skipped += 1,
                CheckOutcome::Undecided => counts.undecided += 1,
            }
            counts.flaky += usize::from(check.flaky);
        }
        counts
    }
}

/// How many properties came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// Answered as expected.
    pub passed: usize,
    /// Answered otherwise.
    pub failed: usize,
    /// Not asked, because an earlier property of the same resource made it pointless or the suite said skip.
    pub skipped: usize,
    /// No trustworthy answer.
    pub undecided: usize,
    /// Passed, but not at the first attempt (also counted in `passed`).
    pub flaky: usize,
}

/// A suite that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteRef {
    /// The suite's name.
    pub name: String,
    /// The file as the user named it.
    pub path: String,
    /// SHA-256 of the file's bytes.
    pub digest: Digest,
    /// How many properties it holds: the number of answers that must come back per target.
    pub planned: usize,
}

/// What was found on one AMI or host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetEvidence {
    /// `us-east-1:ami-…`, or `user@host:port`.
    pub target: String,
    /// Passed only when every planned property was answered.
    pub verdict: Verdict,
    /// Why undecided; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided: Option<UndecidedReason>,
    /// How the host key was known before the first byte was trusted.
    pub host_key: HostKeyPin,
    /// How the bastion's host key was verified; absent where there was no bastion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bastion_host_key: Option<HostKeyPin>,
    /// What EC2 said of the AMI; absent for plain hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami: Option<AmiRecord>,
    /// The instance that was booted; absent for plain hosts and where none came up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Its instance type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The availability zone that it ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// Launches that EC2 had no room for before this one, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_launches: Vec<RefusedLaunch>,
    /// Where the time went, in order.
    pub phases: Vec<PhaseTime>,
    /// Every property asked, in the suites' order.
    pub checks: Vec<CheckEvidence>,
    /// What is in the image: a key of [`Evidence::inventories`]; absent where it was not asked for or could not be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Digest>,
    /// Why there is no inventory, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory_missing: Option<String>,
    /// How this boot went, as far as the inventory says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootFacts>,
    /// File name of the saved console output, beside the report; only where the instance could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
}

/// A launch that EC2 had no room for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLaunch {
    /// What was to be launched.
    pub instance_type: String,
    /// Where, if we chose it and know it; absent: EC2 was to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// The subnet, if we chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// EC2's code and words, escaped and bounded.
    pub reason: String,
}

impl std::fmt::Display for RefusedLaunch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = match (&self.availability_zone, &self.subnet) {
            (Some(zone), Some(subnet)) => format!("{zone} ({subnet})"),
            (Some(place), None) | (None, Some(place)) => place.clone(),
            (None, None) => "any zone".to_owned(),
        };
        write!(f, "{} in {place}: {}", self.instance_type, self.reason)
    }
}

/// Why a target is undecided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndecidedReason {
    /// The kind, for machines.
    pub kind: UndecidedKind,
    /// The reason and the cure, for people; escaped and bounded already.
    pub reason: String,
}

/// How the host key was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostKeyPin {
    /// Made by assay and given to the instance by cloud-init user data, so known beforehand.
    Injected,
    /// Read from the instance's console output.
    Console,
    /// Given by the user (`--host-key`, `--known-hosts`).
    Given,
    /// Not verified, or never reached.
    None,
}

impl HostKeyPin {
    /// The word as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Console => "console",
            Self::Given => "given",
            Self::None => "none",
        }
    }
}

/// One phase's time: `launch`, `running`, `ssh`, `cloud-init`, `checks`, `terminate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// The phase's name.
    pub name: String,
    /// Its length in milliseconds, monotonic clock.
    pub duration_ms: u64,
}

/// One property of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckEvidence {
    /// The suite's name.
    pub suite: String,
    /// The file that the check stands in, as the user named it; absent for the tests of an external suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// goss's resource name: `file`, `service`, ….
    pub resource: String,
    /// The resource's id: a path, a unit, ….
    pub id: String,
    /// goss's attribute name: `exists`, `mode`, ….
    pub property: String,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// What was demanded: a value or a matcher, as JSON.
    pub expected: serde_json::Value,
    /// What was found, bounded and escaped; null when nothing was.
    pub actual: serde_json::Value,
    /// For people; empty when passed.
    pub message: String,
    /// How often it was tried, at least 1 (0 when skipped or never asked).
    pub attempts: u32,
    /// Passed after failing at first.
    pub flaky: bool,
    /// Time on the host, in milliseconds, last attempt.
    pub duration_ms: u64,
}

/// How one property came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// As expected.
    Passed,
    /// Otherwise than expected.
    Failed,
    /// Not asked.
    Skipped,
    /// No trustworthy answer.
    Undecided,
}

impl CheckOutcome {
    /// The word as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Undecided => "undecided",
        }
    }
}

/// Something that assay created and could not confirm gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The region.
    pub region: String,
    /// `instance`, `key-pair`, `security-group`, `volume`.
    pub kind: String,
    /// Its id, or its name where the id was never learned.
    pub id: String,
    /// What went wrong, in words.
    pub reason: String,
    /// The command that will remove it: `assay sweep --run … --yes`.
    pub cure: String,
}

impl TargetEvidence {
    /// A target of which nothing is known yet.
    pub fn new(target: String, ami: Option<AmiRecord>) -> Self {
        Self {
            target,
            verdict: Verdict::Undecided,
            undecided: None,
            host_key: HostKeyPin::None,
            bastion_host_key: None,
            ami,
            instance: None,
            instance_type: None,
            availability_zone: None,
            refused_launches: Vec::new(),
            phases: Vec::new(),
            checks: Vec::new(),
            inventory: None,
            inventory_missing: None,
            boot: None,
            console: None,
        }
    }

    /// A target that never got as far as checks, and why.
    pub fn untested(target: String, ami: Option<AmiRecord>, reason: UndecidedReason) -> Self {
        Self { undecided: Some(reason), ..Self::new(target, ami) }
    }

    /// The name by which work is divided into shares: an AMI goes to one share as a whole.
    pub fn divided_as(&self) -> String {
        self.tested_ami().map_or_else(|| self.target.clone(), |ami| ami.to_string())
    }

    /// The properties that a person wants to see while a run goes on (the report lists every one): what failed, and what is undecided although others were answered. Where nothing was answered
    /// the target's own reason says it all, and a list of every property would only hide it.
    pub fn remarkable(&self) -> impl Iterator<Item = &CheckEvidence> {
        let answered = self.checks.iter().any(|c| matches!(c.outcome, CheckOutcome::Passed | CheckOutcome::Failed));
        self.checks.iter().filter(move |c| match c.outcome {
            CheckOutcome::Failed => true,
            CheckOutcome::Undecided => answered || self.undecided.is_none(),
            CheckOutcome::Passed | CheckOutcome::Skipped => false,
        })
    }

    /// The verdict that `checks` amount to, where `planned` answers were due. Fewer answers than planned, none at all, or an
    /// undecided one: undecided (unless one failed). Everything skipped is not a pass either.
    pub fn verdict_of(checks: &[CheckEvidence], planned: usize) -> Verdict {
        if checks.iter().any(|c| c.outcome == CheckOutcome::Failed) {
            return Verdict::Failed;
        }
        let complete = planned > 0 && checks.len() == planned;
        let decided = checks.iter().all(|c| c.outcome != CheckOutcome::Undecided);
        let any_passed = checks.iter().any(|c| c.outcome == CheckOutcome::Passed);
        if complete && decided && any_passed { Verdict::Passed } else { Verdict::Undecided }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: CheckOutcome) -> CheckEvidence {
        CheckEvidence {
            suite: "smoke".into(),
            file: None,
            resource: "file".into(),
            id: "/etc/passwd".into(),
            property: "exists".into(),
            outcome,
            expected: true.into(),
            actual: true.into(),
            message: String::new(),
            attempts: 1,
            flaky: false,
            duration_ms: 1,
        }
    }

    #[test]
    fn a_target_that_answered_nothing_is_not_told_property_by_property() {
        let reason = UndecidedReason { kind: UndecidedKind::Unreachable, reason: "no answer".into() };
        let mut target = TargetEvidence::untested("t".into(), None, reason);
        target.checks = vec![check(CheckOutcome::Undecided), check(CheckOutcome::Undecided)];
        assert_eq!(target.remarkable().count(), 0);
        target.checks.push(check(CheckOutcome::Passed));
        assert_eq!(target.remarkable().count(), 2);
    }

    #[test]
    fn fewer_answers_than_planned_are_not_a_pass() {
        let one = [check(CheckOutcome::Passed)];
        assert_eq!(TargetEvidence::verdict_of(&one, 1), Verdict::Passed);
        assert_eq!(TargetEvidence::verdict_of(&one, 2), Verdict::Undecided);
        assert_eq!(TargetEvidence::verdict_of(&[], 0), Verdict::Undecided);
        assert_eq!(TargetEvidence::verdict_of(&[check(CheckOutcome::Skipped)], 1), Verdict::Undecided);
        assert_eq!(
            TargetEvidence::verdict_of(&[check(CheckOutcome::Passed), check(CheckOutcome::Undecided)], 2),
            Verdict::Undecided
        );
        assert_eq!(
            TargetEvidence::verdict_of(&[check(CheckOutcome::Failed), check(CheckOutcome::Undecided)], 9),
            Verdict::Failed
        );
    }
}
