//! `assay probe` as a program against a server of the test's own, and its answer.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::sshd::Sshd;

pub(crate) const ASSAY: &str = env!("CARGO_BIN_EXE_assay");

/// Passes.
pub(crate) const PASSING: &str = r#"suite "s" {
  file "/etc/passwd" {
    exists = true
  }
}
"#;

/// What is needed to probe `sshd`.
pub(crate) struct Probe {
    folder: TempDir,
    arguments: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Probed {
    pub code: Option<i32>,
    pub stderr: String,
    pub evidence: Value,
}

impl Probe {
    pub(crate) fn of(sshd: &Sshd, suite: &str) -> Self {
        let mut probe = Self::anywhere(&format!("{}@{}", sshd.user, sshd.address), sshd, suite);
        probe.arguments.extend(["--host-key".into(), sshd.host_key.clone()]);
        probe
    }

    /// `host` in place of the server's own address, and without its host key.
    pub(crate) fn anywhere(host: &str, sshd: &Sshd, suite: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("suite.hcl"), suite).unwrap();
        fs::write(folder.path().join("key"), &sshd.client_key).unwrap();
        let arguments = ["probe", "--format", "json", "--host", host, "--key", "key", "--suite", "suite.hcl"];
        Self { folder, arguments: arguments.map(str::to_owned).into() }
    }

    #[must_use]
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(ASSAY);
        command.current_dir(self.folder.path()).args(&self.arguments).env_remove("ASSAY_LOG");
        command
    }

    pub(crate) fn run(&self) -> Probed {
        Probed::from(self.command().output().unwrap())
    }
}

impl From<Output> for Probed {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let evidence = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        Self { code: output.status.code(), stderr, evidence }
    }
}

impl Probed {
    /// `(resource, id, property, outcome)` of each check of the first target.
    pub(crate) fn outcomes(&self) -> Vec<[String; 4]> {
        let text = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
        let checks = self.evidence["targets"][0]["checks"].as_array().cloned().unwrap_or_default();
        checks.iter().map(|c| ["resource", "id", "property", "outcome"].map(|name| text(c, name))).collect()
    }

    pub(crate) fn reason(&self) -> String {
        self.evidence["targets"][0]["undecided"]["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Exit code 3, undecided, `kind`, all of `words` in the reason, and not one check that failed or passed.
    pub(crate) fn assert_undecided(&self, kind: &str, words: &[&str]) {
        assert_eq!(self.code, Some(3), "{self:?}");
        assert_eq!(self.evidence["verdict"], "undecided", "{self:?}");
        assert_eq!(self.evidence["targets"][0]["undecided"]["kind"], kind, "{}", self.reason());
        for word in words {
            assert!(self.reason().contains(word), "{word:?} is not in {:?}", self.reason());
        }
        let decided = self.outcomes().into_iter().filter(|c| c[3] == "passed" || c[3] == "failed").count();
        assert_eq!(decided, 0, "{:?}", self.outcomes());
    }
}
