//! What is run: the programs that people test hosts with, and their command lines. It owns each one's flags and which exit statuses mean that tests
//! failed; it refuses to install anything.

use std::path::Path;

use super::{ExternalSuite, SuiteWorkspace};
use assay_prober::ReportFormat;

/// The host's name in the ssh_config that an external suite gets.
pub(super) const ALIAS: &str = "target";

/// A kind of external suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SuitePreset {
    /// testinfra: pytest with `--hosts` (testinfra.readthedocs.io).
    Testinfra,
    /// Chef InSpec.
    Inspec,
    /// CINC Auditor, InSpec without its licence.
    CincAuditor,
    /// serverspec, or any other RSpec suite.
    Serverspec,
    /// goss's own binary, copied to the host and run there.
    Goss,
    /// Any command.
    Command,
}

impl SuitePreset {
    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "testinfra" => Self::Testinfra,
            "inspec" => Self::Inspec,
            "cinc-auditor" => Self::CincAuditor,
            "serverspec" => Self::Serverspec,
            "goss" => Self::Goss,
            "command" => Self::Command,
            _ => return None,
        })
    }

    /// Its name in suite files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Testinfra => "testinfra",
            Self::Inspec => "inspec",
            Self::CincAuditor => "cinc-auditor",
            Self::Serverspec => "serverspec",
            Self::Goss => "goss",
            Self::Command => "command",
        }
    }

    /// The format of its report where the suite names none.
    pub(super) fn report(self) -> Option<ReportFormat> {
        Some(match self {
            Self::Testinfra | Self::Command => ReportFormat::Junit,
            Self::Inspec | Self::CincAuditor => ReportFormat::Inspec,
            Self::Serverspec => ReportFormat::Rspec,
            Self::Goss => ReportFormat::Goss,
        })
    }

    /// The exit statuses that agree with a report in which every test passed: InSpec's 101 says that some were skipped
    /// (inspec, `lib/inspec/runner_rspec.rb`).
    pub(super) fn is_success(self, status: i32) -> bool {
        status == 0 || (status == 101 && matches!(self, Self::Inspec | Self::CincAuditor))
    }
}

/// goss on the host: copied there with the folder of its suite, run as root where that works, its report brought back. The remote folder goes away in any
/// case. Without scp: a server may have no SFTP.
const GOSS: &str = r#"
set -u
goss=$(command -v goss) || { echo "goss is not on PATH" >&2; exit 127; }
if [ -d "$1" ]; then folder=$1 file=goss.yaml; else folder=${1%/*} file=${1##*/}; fi
run() { ssh -F "$ASSAY_SSH_CONFIG" target "$@"; }
there=$(run 'mktemp -d') || exit 125
trap 'run "rm -rf $there"' EXIT
trap 'exit 143' TERM INT HUP
mkdir_there="mkdir -p $there/tests && cat >$there/goss && chmod 755 $there $there/goss"
run "$mkdir_there" <"$goss" || exit 125
tar -C "$folder" -cf - . | run "tar -C $there/tests -xf -" || exit 125
run "cd $there/tests && if [ \$(id -u) = 0 ]; then s=; else s='sudo -n'; fi; \$s ../goss -g './$file' validate -f json --no-color" >"$ASSAY_REPORT"
"#;

/// The command line: the program and its arguments.
pub(super) fn command_line(external: &ExternalSuite, workspace: &SuiteWorkspace) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let tests = workspace.tests().map(text).unwrap_or_default();
    let (config, report) = (text(&workspace.ssh_config()), text(&workspace.report_path()));
    let mut line = match external.preset {
        SuitePreset::Testinfra => {
            let mut line = words(&["pytest", "-p", "no:cacheprovider", "--color=no", "--hosts=ssh://target"]);
            line.extend([format!("--ssh-config={config}"), format!("--junit-xml={report}")]);
            line
        }
        SuitePreset::Inspec | SuitePreset::CincAuditor => {
            let mut line = words(&[external.preset.as_str(), "exec"]);
            line.push(tests.clone());
            line.extend(words(&["--no-color", "--no-distinct-exit", "-t", "ssh://target"]));
            line.extend([format!("--ssh-config-file={config}"), format!("--reporter=json:{report}")]);
            line
        }
        SuitePreset::Serverspec => {
            let mut line = words(&["rspec", "--no-color", "--format", "json", "--out"]);
            line.push(report);
            line
        }
        SuitePreset::Goss => {
            let mut line = words(&["sh", "-c", GOSS, "goss"]);
            line.push(tests);
            return line;
        }
        SuitePreset::Command => return command(&external.arguments),
    };
    line.extend(external.arguments.iter().cloned());
    if !matches!(external.preset, SuitePreset::Inspec | SuitePreset::CincAuditor) {
        line.push(tests);
    }
    line
}

/// Whether what is run is a file of the copy itself.
pub(super) fn runs_own_program(external: &ExternalSuite) -> bool {
    external.preset == SuitePreset::Command && external.arguments.first().is_some_and(|word| word.starts_with("./"))
}

/// One word is a line for the shell; several are a program and its arguments.
fn command(words: &[String]) -> Vec<String> {
    match words {
        [line] => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        _ => words.to_vec(),
    }
}
