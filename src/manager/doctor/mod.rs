//! `doctor`: whether what a run needs is there, before a run needs it. It owns what is looked at and what a finding amounts to; it creates nothing, pushes
//! nothing, and asks EC2 only what may be asked without doing it.

mod ci;
mod cloud;
mod git;
mod tools;

use assay_config::doctor::DoctorRequest;
use assay_iam::Role;
use assay_model::exit::Exit;

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It will work, or mostly; somebody should look.
    Warning,
    /// It could not be found out.
    Unknown,
    /// A run would fail.
    Error,
}

impl Level {
    /// Its word.
    pub fn as_str(self) -> &'static str {
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
pub struct Finding {
    /// What it is about: `credentials`, `git`, `us-east-1`, ….
    pub about: String,
    /// How it stands.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do; absent where all is well.
    pub cure: Option<String>,
}

impl Finding {
    pub(super) fn ok(about: &str, found: impl Into<String>) -> Self {
        Self { about: about.to_owned(), level: Level::Ok, found: found.into(), cure: None }
    }

    pub(super) fn bad(about: &str, level: Level, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { about: about.to_owned(), level, found: found.into(), cure: Some(cure.into()) }
    }
}

/// Looks at everything, at once. The findings stand in a fixed order.
pub async fn doctor(request: &DoctorRequest) -> Vec<Finding> {
    if request.ci {
        let (job, git) = tokio::join!(ci::look(request), git::look(request));
        return job.into_iter().chain(git).collect();
    }
    let (cloud, git, packer, prober) = tokio::join!(
        cloud::look(request),
        git::look(request),
        async {
            match request.role {
                None | Some(Role::Builder) => tools::packer().await,
                _ => Vec::new(),
            }
        },
        async {
            match request.role {
                None | Some(Role::Builder | Role::Tester) => tools::prober(request).await,
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

fn configuration(request: &DoctorRequest) -> Vec<Finding> {
    const ABOUT: &str = "configuration";
    match &request.mistakes {
        None => vec![Finding::bad(
            ABOUT,
            Level::Warning,
            "there is no assay.hcl here or above",
            "write one: it says what images there are",
        )],
        Some(mistakes) if mistakes.is_empty() => vec![Finding::ok(ABOUT, "assay.hcl and its suites have no mistakes")],
        Some(mistakes) => mistakes
            .iter()
            .map(|mistake| Finding::bad(ABOUT, Level::Error, mistake, "mend it; `assay lint` tells when it is right"))
            .collect(),
    }
}

/// What all of it amounts to: a mistake in what is configured, something that could not be found out, or nothing.
pub fn exit(findings: &[Finding]) -> Exit {
    match findings.iter().map(|finding| finding.level).max() {
        Some(Level::Error) => Exit::Usage,
        Some(Level::Unknown) => Exit::Undecided,
        _ => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let of = |levels: &[Level]| {
            let findings: Vec<Finding> = levels.iter().map(|level| Finding::bad("x", *level, "y", "z")).collect();
            exit(&findings)
        };
        assert_eq!(of(&[]), Exit::Done);
        assert_eq!(of(&[Level::Ok, Level::Warning]), Exit::Done);
        assert_eq!(of(&[Level::Unknown, Level::Warning]), Exit::Undecided);
        assert_eq!(of(&[Level::Error, Level::Unknown]), Exit::Usage);
    }
}
