//! What a command was asked to do: checked, plain requests that the command line hands to the conductor. They own no behaviour.

use std::{fmt, path::PathBuf, time::Duration};

use super::{
    check::WayOptions,
    settings::{AccessSettings, Settings},
};
use assay_model::{
    AmiRef, ImageName, ImageState, ManifestBuild, ManifestRuns, Region, RunId, Shard, shard::ShardRecord,
};
use assay_signing::SigningKey;
use assay_suite::{Suite, SuiteBounds};

/// How results are written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document at the end.
    Json,
    /// One JSON document per event and line.
    Jsonl,
    /// JUnit XML.
    Junit,
    /// Test Anything Protocol, version 14.
    Tap,
}

/// How the comparison of two runs is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffFormat {
    /// For people.
    Text,
    /// One JSON document, spread out.
    Json,
    /// The same on one line.
    Jsonl,
    /// Markdown, for a comment on a pull request.
    Markdown,
}

/// Where a command's findings go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandOutputs {
    /// How they are written to stdout.
    pub stdout: OutputFormat,
    /// Files that are written beside, each in its own format.
    pub files: Vec<(OutputFormat, PathBuf)>,
}

/// `assay report merge`: put several runs' evidence together.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// Evidence files, or folders that hold some; at least one.
    pub paths: Vec<PathBuf>,
    /// Where reports of the whole go.
    pub report_dir: Option<PathBuf>,
    /// How the whole is written.
    pub outputs: CommandOutputs,
}

/// `assay validate`: boot and test AMIs.
#[derive(Debug, Clone)]
pub struct ValidateRequest {
    /// Which AMIs.
    pub targets: TargetChoice,
    /// Whether a flag or the manifest names the image. Where it does not, `settings.image` is the only image of assay.hcl or absent, and an AMI
    /// whose tag names another image is not meant.
    pub image_named: bool,
    /// How. `image` may be absent with [`TargetChoice::Amis`] and [`TargetChoice::Manifest`].
    pub settings: Settings,
    /// Whether tags are written to the AMIs; `--no-stamp` turns it off.
    pub stamp: bool,
    /// Only this share of the AMIs.
    pub shard: Option<Shard>,
    /// What signs the evidence file; then `settings.report_dir` is given.
    pub sign: Option<SignAs>,
    /// How the result is written.
    pub outputs: CommandOutputs,
}

/// What signs evidence.
#[derive(Debug, Clone)]
pub enum SignAs {
    /// A private key that was read already.
    Key(SigningKey),
    /// A key in KMS: id, ARN, `alias/NAME` or an alias's ARN.
    Kms(String),
}

/// Which AMIs to validate.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetChoice {
    /// `--ami`: these; at least one, none twice.
    Amis(Vec<AmiRef>),
    /// `--manifest`: those of a manifest's last run.
    Manifest {
        /// The file as it was named.
        path: PathBuf,
        /// The builds of its last run, and of the image where one is named; at least one.
        builds: Vec<ManifestBuild>,
        /// Their AMIs, sorted, none twice; at least one.
        amis: Vec<AmiRef>,
    },
    /// `--image` with `--state`: those that carry these tags.
    State {
        /// The image line.
        image: ImageName,
        /// The state.
        state: ImageState,
        /// Where to look; at least one.
        regions: Vec<Region>,
    },
    /// `--image` with `--candidate`: those of a candidate file in the commit that is checked out. They are never stamped.
    Candidate {
        /// The image line.
        image: ImageName,
        /// Which run; absent: the newest that was made from the work tree's inputs.
        run: Option<RunId>,
    },
}

/// `assay probe`: run suites on machines that answer SSH.
#[derive(Debug, Clone)]
pub struct ProbeRequest {
    /// The machines; at least one, none twice.
    pub hosts: Vec<ProbeHost>,
    /// The private key file, readable when the command began.
    pub key: PathBuf,
    /// What is known of the host keys.
    pub host_key: HostKeyTrust,
    /// The suites; at least one.
    pub suites: Vec<Suite>,
    /// What external suites may take from this machine.
    pub bounds: SuiteBounds,
    /// How long a login may take to work.
    pub timeout: Duration,
    /// By which way the machines are reached.
    pub ways: WayOptions,
    /// Where reports go.
    pub report_dir: Option<PathBuf>,
    /// Whether the machines are asked what is in them too.
    pub inventory: bool,
    /// Which share of all machines `hosts` is.
    pub shard: Option<ShardRecord>,
    /// How the result is written.
    pub outputs: CommandOutputs,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeHost {
    /// The account.
    pub user: String,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for ProbeHost {
    /// `user@host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}@[{}]:{}", self.user, self.host, self.port)
        } else {
            write!(f, "{}@{}:{}", self.user, self.host, self.port)
        }
    }
}

/// What is known of a machine's host key before connecting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyTrust {
    /// `--host-key`: exactly this one, `ALGORITHM BASE64`; only with one host.
    Line(String),
    /// `--known-hosts`: what this file says.
    KnownHosts(PathBuf),
    /// Nothing; the record says so.
    None,
}

/// `assay commit`: record runs of a manifest in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRequest {
    /// The manifest.
    pub manifest: PathBuf,
    /// Which runs of it.
    pub runs: ManifestRuns,
    /// The branch to push to; absent: the branch that is checked out, or CI's.
    pub branch: Option<String>,
    /// The remote; absent: the branch's own, else `origin`.
    pub remote: Option<String>,
    /// Whether to push; `--no-push` turns it off.
    pub push: bool,
    /// How to print the result.
    pub format: OutputFormat,
}

/// `assay diff`: what differs between two runs of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffRequest {
    /// What is compared.
    pub what: DiffWhat,
    /// Whether a difference shows in the exit code.
    pub exit_code: bool,
    /// How the result is written, and where; `None`: to stdout.
    pub outputs: Vec<(DiffFormat, Option<PathBuf>)>,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffWhat {
    /// Two evidence files: old and new.
    Files(PathBuf, PathBuf),
    /// Two runs of an image, as a commit knows them.
    Runs {
        /// The image line.
        image: ImageName,
        /// The new one; absent: the newest candidate.
        run: Option<RunId>,
        /// The old one; absent: gold.
        against: Option<RunId>,
        /// The commit, as git names it.
        at: String,
        /// A folder of the repository: that of assay.hcl.
        folder: PathBuf,
    },
}

/// `assay sweep`: remove what runs have left behind.
#[derive(Debug, Clone)]
pub struct SweepRequest {
    /// Only this run; together with this or an owner named on the command line, expiry is overruled.
    pub run: Option<RunId>,
    /// Only what belongs to this owner.
    pub owner: Option<String>,
    /// Whether `owner` was named on the command line.
    pub owner_named: bool,
    /// Only what is older than this.
    pub older_than: Option<Duration>,
    /// Where to look; empty: everywhere that the account may use.
    pub regions: Vec<Region>,
    /// How to reach AWS.
    pub access: AccessSettings,
    /// Delete; otherwise only show.
    pub yes: bool,
    /// How to print the result.
    pub format: OutputFormat,
}
