//! Suites: checks as data. It owns the vocabulary (goss's resources, attributes and matchers), the readers for HCL and
//! goss YAML, and how a matcher judges a value; it refuses the network: nothing here knows where a value came from.
//!
//! Shape: a [`Suite`] holds [`Check`]s in file order; a check is one resource (`file "/etc/passwd"`) with
//! [`CheckProperty`]s (`mode = "0644"`), each with a [`Matcher`] and the line it was written on. One property is one answer
//! that must come back.

mod arguments;
mod bounds;
mod check;
mod datum;
mod demand;
mod diagnostic;
mod duration;
mod glob;
mod goss;
mod gossfile;
mod hcl;
mod hcl_var;
mod json_path;
mod judge;
mod load;
mod matcher;
mod pattern;
mod profiles;
mod re2;
mod reach;
mod resource;
mod semver_range;
mod template;
mod tree;
mod vocabulary;
mod yaml_stream;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use assay_model::Digest;

pub use bounds::{NamedBy, SuiteBounds, TrackedFiles};
pub use diagnostic::{SourceDiagnostic, SourceText, nearest};
pub use duration::parse_duration;
pub use gossfile::rendered;
pub use judge::{Judgement, judge, judge_written};
pub use load::{load, load_with};
pub use matcher::Matcher;
pub use profiles::{BuiltinProfile, PROFILES};
pub use reach::{AdmittedFile, ReadableFolders, link_out_of_a_repository};
pub use resource::{QuestionAsker, ResourceKind};
pub use template::VarSources;
pub use vocabulary::{EXTERNAL_PRESETS, properties};

/// One suite file, read and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Label of the `suite` block; for goss files the file's stem.
    pub name: String,
    /// The file as the user named it.
    pub path: PathBuf,
    /// SHA-256 of its bytes; of a template or a file with others in it: of all these files, the variables and what was
    /// rendered.
    pub digest: Digest,
    /// Whether its checks run as root on the host.
    #[serde(default)]
    pub sudo: SudoChoice,
    /// The checks, in file order; at least one.
    pub checks: Vec<Check>,
}

impl Suite {
    /// The folder that paths in `check` start from: that of the file in which it stands. `base_dir`: where the suites' own paths start from.
    pub fn folder_of(&self, check: &Check, base_dir: &Path) -> PathBuf {
        let file = base_dir.join(check.path.as_ref().unwrap_or(&self.path));
        file.parent().map_or_else(|| base_dir.to_owned(), Path::to_owned)
    }

    /// The number of properties: the number of answers due per target.
    pub fn planned(&self) -> usize {
        self.checks.iter().map(|c| c.properties.len()).sum()
    }
}

/// Whether a suite's checks run as root (`sudo -n`; a login as root needs none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SudoChoice {
    /// `sudo` not given: as the login user; only a file that this user may not look at is looked at by `sudo -n`,
    /// where that works.
    #[default]
    Auto,
    /// `sudo = true`: everything, commands too. Where `sudo -n` does not work the checks are undecided.
    Always,
    /// `sudo = false`: nothing.
    Never,
}

/// One resource and what is demanded of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Which kind of resource.
    pub resource: ResourceKind,
    /// Its id: a path, a unit, a command line, `tcp:22`.
    pub id: String,
    /// What the host is asked about, where that is not the id (goss's `path`, `exec`, `name`, `username`, `comm`,
    /// `port`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// goss's `title`, for reports.
    pub title: Option<String>,
    /// goss's `skip`: reported as skipped, never asked.
    pub skip: bool,
    /// How often a failing check is asked again, 0: never. A pass after a retry is recorded as flaky.
    pub retry: u32,
    /// Pause before each retry.
    pub retry_delay: Duration,
    /// The longest one attempt may take on the host.
    pub timeout: Duration,
    /// What is said of how to ask, beside what is demanded: goss's `method`, `server`, `request-headers`, …; by name,
    /// each of the kind that the vocabulary gives it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// What is demanded, in file order but the deciding property (`exists`, `installed`, `listening`, `running`, …)
    /// first.
    pub properties: Vec<CheckProperty>,
    /// The file that it stands in, where that is not the suite's own (goss's `gossfile`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// 1-based line of the resource in its file.
    pub line: u32,
}

impl Check {
    /// What the host is asked about: the subject where one was given, else the id.
    pub fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or(&self.id)
    }

    /// The longest that all its attempts and the pauses between them may take.
    pub fn longest(&self) -> Duration {
        self.timeout + (self.retry_delay + self.timeout) * self.retry
    }
}

/// One attribute of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckProperty {
    /// goss's attribute name as it is reported: `exists`, `mode`, `exit-status`.
    pub name: String,
    /// The demand.
    pub matcher: Matcher,
    /// 1-based line of the attribute.
    pub line: u32,
}
