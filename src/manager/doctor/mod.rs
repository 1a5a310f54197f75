//! `doctor`: whether what a run needs is there, before a run needs it. It owns what is looked at and what a finding amounts to; it creates nothing, pushes
//! nothing, and asks EC2 only what may be asked without doing it.

mod ci;
mod cloud;
mod git;
mod tools;

use assay_config::doctor::DoctorRequest;
use assay_iam::IamRole;
use assay_model::exit::ExitStatus;

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FindingLevel {
    /// As it should be.
    Ok,
    /// It will work, or mostly; somebody should look.
    Warning,
    /// It could not be found out.
    Unknown,
    /// A run would fail.
    Error,
}

impl FindingLevel {
    /// Its word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DoctorFinding {
    /// What it is about: `credentials`, `git`, `us-east-1`, ….
    pub about: String,
    /// How it stands.
    pub level: FindingLevel,
    /// What was found.
    pub found: String,
    /// What to do; absent where all is well.
    pub cure: Option<String>,
}

impl DoctorFinding {
    pub(super) fn ok(about: &str, found: impl Into<String>) -> Self {
        Self { about: about.to_owned(), level: FindingLevel::Ok, found: found.into(), cure: None }
    }

    pub(super) fn bad(about: &str, level: FindingLevel, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { about: about.to_owned(), level, found: found.into(), cure: Some(cure.into()) }
    }
}

/// Looks at everything, at once. The findings stand in a fixed order.
pub(crate) async fn doctor(request: &DoctorRequest) -> Vec<DoctorFinding> {
    if request.ci {
        let (job, git) = tokio::join!(ci::look(request), git::look(request));
        return job.into_iter().chain(git).collect();
    }
    let (cloud, git, packer, prober) = tokio::join!(
        cloud::look(request),
        git::look(request),
        async {
            match request.role {
                None | Some(IamRole::Builder) => tools::packer().await,
                _ => Vec::new(),
            }
        },
        async {
            match request.role {
                None | Some(IamRole::Builder | IamRole::Tester) => tools::prober(request).await,
                _ => Vec::new(),
            }
        },
    );
    let mut findings = configuration(request);
    findings.extend(cloud);
    findings.extend(git);
    findings.extend(packer);
    findings.extend(prober);
    findings
}

fn configuration(request: &DoctorRequest) -> Vec<DoctorFinding> {
    const ABOUT: &str = "configuration";
    match &request.mistakes {
        None => vec![DoctorFinding::bad(
            ABOUT,
            FindingLevel::Warning,
            "there is no assay.hcl here or above",
            "create assay.hcl; docs/getting-started.md shows one",
        )],
        Some(mistakes) if mistakes.is_empty() => {
            vec![DoctorFinding::ok(ABOUT, "assay.hcl and its suites have no mistakes")]
        }
        Some(mistakes) => mistakes
            .iter()
            .map(|mistake| DoctorFinding::bad(ABOUT, FindingLevel::Error, mistake, "correct it, then run `assay lint`"))
            .collect(),
    }
}

/// What all of it amounts to: a mistake in what is configured, something that could not be found out, or nothing.
pub(crate) fn exit(findings: &[DoctorFinding]) -> ExitStatus {
    match findings.iter().map(|finding| finding.level).max() {
        Some(FindingLevel::Error) => ExitStatus::Usage,
        Some(FindingLevel::Unknown) => ExitStatus::Undecided,
        _ => ExitStatus::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let of = |levels: &[FindingLevel]| {
            let findings: Vec<DoctorFinding> =
                levels.iter().map(|level| DoctorFinding::bad("x", *level, "y", "z")).collect();
            exit(&findings)
        };
        assert_eq!(of(&[]), ExitStatus::Done);
        assert_eq!(of(&[FindingLevel::Ok, FindingLevel::Warning]), ExitStatus::Done);
        assert_eq!(of(&[FindingLevel::Unknown, FindingLevel::Warning]), ExitStatus::Undecided);
        assert_eq!(of(&[FindingLevel::Error, FindingLevel::Unknown]), ExitStatus::Usage);
    }
}
