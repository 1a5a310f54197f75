//! External suites: tests that people already have (testinfra, InSpec, serverspec, goss's own binary, any command), run against the host that assay
//! booted. It owns their folder, their user, their environment and their end; it refuses to read a report, which the prober does, because it holds
//! what the host said.
//!
//! An external suite is **trusted code**: it runs on this machine with a login to the host under test. It gets no credentials of ours: an
//! environment of a few variables, a temporary home, and where assay is root a user of its own. Order: `preset` (what is run) → `workspace` (where) →
//! `process` (how it ends) → `amount` (what it comes to).

mod amount;
mod goss_files;
mod preset;
mod process;
mod workspace;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

pub(crate) use amount::{SuiteResult, amount};
pub(crate) use preset::SuitePreset;
pub(crate) use process::ProcessEnd;
pub(crate) use workspace::SuiteWorkspace;

use crate::orphan_watch::OrphanWatch;
use assay_prober::ReportFormat;
use assay_suite::{Check, EXTERNAL_PRESETS, ReadableFolders, SuiteBounds};

/// The user that a suite runs as where assay is root and nothing else is said.
const NOBODY: &str = "nobody";

/// An external suite, as its suite file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalSuite {
    /// Its id in the suite file.
    pub name: String,
    /// What is run.
    pub preset: SuitePreset,
    /// The tests: a file or a folder, its real path. A copy is run.
    pub path: Option<PathBuf>,
    /// More arguments of the preset's program; the whole command line of [`SuitePreset::Command`].
    pub arguments: Vec<String>,
    /// More variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// How its report is written; `None`: it writes none, and its exit status is the one result.
    pub report: Option<ReportFormat>,
    /// The user that it runs as where assay is root.
    pub run_as: String,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// The host under test, as assay reached it.
#[derive(Debug, Clone)]
pub(crate) struct HostAccess {
    /// For variables and messages: `us-east-1:ami-…` or `user@host:port`.
    pub target: String,
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// The private key, as OpenSSH text.
    pub private_key: SecretString,
    /// The host key that it showed and that was accepted, as `algorithm base64`; absent: none is known.
    pub host_key: Option<String>,
    /// OpenSSH's ProxyCommand, where it takes one.
    pub proxy_command: Option<String>,
}

/// What a run left: how it ended, and its report's bytes where it wrote one.
#[derive(Debug)]
pub(crate) struct SuiteRun {
    /// How it ended.
    pub ended: ProcessEnd,
    /// The report; absent where there is none.
    pub report: Option<Vec<u8>>,
}

impl ExternalSuite {
    /// What `check`, of the resource `external`, declares. `folder`: where its `path` starts from, and the repository within which it must lie. Fails with a
    /// sentence for each thing that cannot be, such as a path that is not there.
    pub(crate) fn of(check: &Check, folder: &Path, bounds: &SuiteBounds) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let text = |name: &str| check.parameters.get(name).and_then(|v| v.as_str()).map(str::to_owned);
        let texts = |name: &str| -> Vec<String> {
            let list = check.parameters.get(name).and_then(|v| v.as_array());
            list.into_iter().flatten().filter_map(|v| v.as_str()).map(str::to_owned).collect()
        };
        let preset =
            text("preset").map_or(Some(SuitePreset::Command), |name| SuitePreset::named(&name)).unwrap_or_else(|| {
                problems.push(format!("preset is one of {}", EXTERNAL_PRESETS.join(", ")));
                SuitePreset::Command
            });
        let path = text("path").map(|path| folder.join(path));
        let path = match path.map(|path| (ReadableFolders::of_folder(folder, bounds).admit(&path), path)) {
            Some((Ok(admitted), _)) => Some(admitted.path),
            Some((Err(_), path)) if !path.exists() => {
                problems.push(format!("there is no {}", path.display()));
                Some(path)
            }
            Some((Err(why), path)) => {
                problems.push(format!("{} cannot be taken: {why}", path.display()));
                Some(path)
            }
            None => None,
        };
        let command = texts("command");
        let arguments = if preset == SuitePreset::Command { command.clone() } else { texts("arguments") };
        match preset {
            SuitePreset::Command if command.is_empty() => problems.push("command is missing".to_owned()),
            SuitePreset::Command => {}
            _ if path.is_none() => problems.push("path is missing: the file or folder with the tests".to_owned()),
            _ if !command.is_empty() => problems.push("command and preset exclude each other".to_owned()),
            _ => {}
        }
        let report = match text("format").as_deref() {
            None => preset.report(),
            Some("junit") => Some(ReportFormat::Junit),
            Some("rspec") => Some(ReportFormat::Rspec),
            Some("inspec") => Some(ReportFormat::Inspec),
            Some("goss") => Some(ReportFormat::Goss),
            Some("exit-status") => None,
            Some(_) => {
                problems.push("format is one of junit, rspec, inspec, goss, exit-status".to_owned());
                None
            }
        };
        let environment = environment(check, &mut problems);
        let run_as = text("run-as").unwrap_or_else(|| NOBODY.to_owned());
        // Who is not root runs it as himself, whatever it says.
        let matters = run_as != NOBODY && rustix::process::geteuid().is_root();
        if matters && !bounds.allowed_users.contains(&run_as) {
            problems.push(format!("run-as = {run_as:?} needs the word of whoever runs assay: --allow-run-as {run_as}"));
        }
        let name = check.id.clone();
        let timeout = check.timeout;
        let external = Self { name, preset, path, arguments, environment, report, run_as, timeout };
        if problems.is_empty() { Ok(external) } else { Err(problems) }
    }

    /// Whether it could be run here, tried without a host: its tests are copied, and its user enters the copy. Fails with a sentence.
    pub(crate) fn try_out(&self) -> Result<(), String> {
        let nobody = HostAccess {
            target: String::new(),
            address: String::new(),
            port: 0,
            user: String::new(),
            private_key: String::new().into(),
            host_key: None,
            proxy_command: None,
        };
        SuiteWorkspace::make(workspace::folder()?, self, &nobody)?.is_usable(self)
    }

    /// Runs it against `host`. Fails with a sentence where it cannot even be started. A cancel ends it, and all that it started in its process group.
    pub(crate) async fn run(&self, host: &HostAccess, cancel: &CancellationToken) -> Result<SuiteRun, String> {
        let folder = workspace::folder()?;
        // It holds a key soon: where assay is killed, key and processes must not outlive it.
        let mut watch =
            OrphanWatch::start(Some(folder.path())).map_err(|error| format!("/bin/sh cannot be started: {error}"))?;
        let workspace = SuiteWorkspace::make(folder, self, host)?;
        let ended = process::run(self, host, &workspace, &mut watch, cancel).await?;
        let report = workspace.report();
        Ok(SuiteRun { ended, report })
    }
}

fn environment(check: &Check, problems: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    match check.parameters.get("environment") {
        None => {}
        Some(serde_json::Value::Object(map)) => {
            for (name, value) in map {
                match value {
                    serde_json::Value::String(text) => drop(variables.insert(name.clone(), text.clone())),
                    serde_json::Value::Number(_) | serde_json::Value::Bool(_) => {
                        variables.insert(name.clone(), value.to_string());
                    }
                    _ => problems.push(format!("environment: {name} is a text")),
                }
            }
        }
        Some(_) => problems.push("environment is a map of texts".to_owned()),
    }
    variables
}

#[cfg(test)]
mod tests;
