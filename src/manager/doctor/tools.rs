//! Programs beside assay: Packer with its plugins, and the prober.

use std::{process::Stdio, time::Duration};

use tokio::process::Command;

use super::{DoctorFinding, FindingLevel};
use crate::test_run::reach;
use assay_aws::journal::reaper::own_program;
use assay_config::doctor::DoctorRequest;

/// Packer answers these at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// The oldest Packer that knows `required_plugins` (its changelog, 1.7.0).
const OLDEST: (u32, u32) = (1, 7);

/// Packer's version and the plugins that templates need.
pub(super) async fn packer() -> Vec<DoctorFinding> {
    const ABOUT: &str = "packer";
    let version = match said(&["version"]).await {
        Ok(text) => text,
        Err(why) => {
            return vec![DoctorFinding::bad(ABOUT, FindingLevel::Error, why, "install Packer and have it in PATH")];
        }
    };
    let first = version.lines().next().unwrap_or_default().trim().to_owned();
    let mut findings = vec![match number(&first) {
        Some(number) if number >= OLDEST => DoctorFinding::ok(ABOUT, first),
        Some(_) => DoctorFinding::bad(ABOUT, FindingLevel::Error, first, "install Packer 1.7 or newer"),
        None => DoctorFinding::bad(
            ABOUT,
            FindingLevel::Unknown,
            format!("{first:?} is no version of Packer's"),
            "look what `packer` is here",
        ),
    }];
    match said(&["plugins", "installed"]).await {
        Ok(list) => {
            findings.push(plugin(&list, "amazon", None, "packer init with a template that requires it"));
            findings.push(plugin(&list, "assay", Some(env!("CARGO_PKG_VERSION")), "assay packer install"));
        }
        Err(why) => {
            findings.push(DoctorFinding::bad(ABOUT, FindingLevel::Unknown, why, "look into the plugin folder by hand"))
        }
    }
    findings
}

/// One plugin in the list of paths `…/packer-plugin-NAME_vVERSION_API_OS_ARCH`.
fn plugin(list: &str, name: &str, wanted: Option<&str>, cure: &str) -> DoctorFinding {
    const ABOUT: &str = "packer";
    let prefix = format!("packer-plugin-{name}_v");
    let versions: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().rsplit(['/', '\\']).next()?.strip_prefix(prefix.as_str()))
        .filter_map(|rest| rest.split('_').next())
        .collect();
    match (versions.as_slice(), wanted) {
        ([], _) => DoctorFinding::bad(ABOUT, FindingLevel::Error, format!("the plugin {name} is not installed"), cure),
        (versions, Some(wanted)) if !versions.contains(&wanted) => {
            let found = format!("the plugin {name} is {}, this program {wanted}", versions.join(", "));
            DoctorFinding::bad(ABOUT, FindingLevel::Error, found, cure)
        }
        (versions, _) => DoctorFinding::ok(ABOUT, format!("plugin {name} {}", versions.join(", "))),
    }
}

/// `Packer v1.16.0` → (1, 16).
fn number(line: &str) -> Option<(u32, u32)> {
    let text = line.split_once('v')?.1;
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

async fn said(arguments: &[&str]) -> Result<String, String> {
    let words = format!("packer {}", arguments.join(" "));
    let mut command = Command::new("packer");
    command.args(arguments).env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("{words} cannot be run: {error}")),
        Err(_) => return Err(format!("{words} gave no answer within {} s", PATIENCE.as_secs())),
    };
    if !output.status.success() {
        return Err(format!("{words} failed ({})", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts a prober, or speaks to the remote one, and tells what keeps it from being confined.
pub(super) async fn prober(request: &DoctorRequest) -> Vec<DoctorFinding> {
    const ABOUT: &str = "prober";
    let program = match own_program() {
        Ok(program) => program,
        Err(error) => {
            return vec![DoctorFinding::bad(
                ABOUT,
                FindingLevel::Error,
                format!("cannot find this program: {error}"),
                "reinstall assay",
            )];
        }
    };
    let prober = match reach::prober(&request.prober, &program).await {
        Ok(prober) => prober,
        Err(why) => {
            return vec![DoctorFinding::bad(ABOUT, FindingLevel::Error, why.reason, "see docs/prober.md")];
        }
    };
    let missing = prober.confinement();
    if missing.is_empty() {
        return vec![DoctorFinding::ok(ABOUT, "confined: no environment, files, programs or privileges")];
    }
    let cure = "reports will say so; a newer kernel, or a runner that allows landlock and seccomp, cures it";
    missing.into_iter().map(|what| DoctorFinding::bad(ABOUT, FindingLevel::Warning, what, cure)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_read_from_packers_list() {
        let list = "/p/github.com/hashicorp/amazon/packer-plugin-amazon_v1.8.2_x5.0_linux_amd64\n\
                    /p/github.com/assay/assay/packer-plugin-assay_v0.0.1_x5.0_linux_amd64\n";
        assert_eq!(plugin(list, "amazon", None, "x"), DoctorFinding::ok("packer", "plugin amazon 1.8.2"));
        let old = plugin(list, "assay", Some("0.1.0"), "assay packer install");
        assert_eq!(
            (old.level, old.found.as_str()),
            (FindingLevel::Error, "the plugin assay is 0.0.1, this program 0.1.0")
        );
        assert_eq!(plugin("", "amazon", None, "x").level, FindingLevel::Error);
        assert_eq!(number("Packer v1.16.0"), Some((1, 16)));
        assert_eq!(number("packer: command not found"), None);
    }
}
