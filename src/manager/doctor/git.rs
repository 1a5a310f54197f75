//! git, as promotion and `assay commit` will use it.

use super::{DoctorFinding, FindingLevel};
use assay_config::doctor::DoctorRequest;
use assay_iam::IamRole;
use assay_ledger as ledger;
use assay_ledger::{GitError, checkup};

const ABOUT: &str = "git";

/// Repository, identity, remote, push, signing.
pub(super) async fn look(request: &DoctorRequest) -> Vec<DoctorFinding> {
    let environment = ledger::environment_of_process();
    let seen = checkup::look(&request.folder, &environment, &request.branch, request.remote.as_deref()).await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(error @ GitError::Missing { .. }) => {
            return vec![DoctorFinding::bad(ABOUT, FindingLevel::Error, words(&error), "install git")];
        }
        Err(error) => {
            return vec![DoctorFinding::bad(
                ABOUT,
                FindingLevel::Error,
                words(&error),
                "run it in a clone of the repository",
            )];
        }
    };
    let mut findings = vec![identity(seen.identity.as_deref()), branch(request, &seen)];
    findings.extend(seen.url.as_deref().filter(|_| request.ci).map(|url| transport(&seen.remote, url)));
    findings.extend(push(request, &seen));
    findings.extend(seen.embedded.iter().map(|folder| embedded(folder)));
    findings.extend(signing(&seen));
    findings
}

fn identity(identity: Option<&str>) -> DoctorFinding {
    match identity {
        Some(identity) => DoctorFinding::ok(ABOUT, format!("commits are by {identity}")),
        None => DoctorFinding::bad(
            ABOUT,
            FindingLevel::Warning,
            "git knows no name and e-mail address; assay's own stand in",
            "set user.name and user.email, or GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL",
        ),
    }
}

fn branch(request: &DoctorRequest, seen: &checkup::GitCheckup) -> DoctorFinding {
    let (remote, name) = (&seen.remote, &request.branch);
    match &seen.branch {
        Ok(Some(commit)) => {
            let short: String = commit.chars().take(12).collect();
            DoctorFinding::ok(ABOUT, format!("{remote} answers; {name} is at {short}"))
        }
        Ok(None) => DoctorFinding::bad(
            ABOUT,
            FindingLevel::Error,
            format!("{remote} has no branch {name}, where lock files say what is gold"),
            "push it, or name the protected branch in assay.hcl: git { branch = \"…\" }",
        ),
        Err(error) => {
            let level =
                if matches!(error, GitError::Timeout { .. }) { FindingLevel::Unknown } else { FindingLevel::Error };
            let cure =
                "give this job a key or token for the remote, or name another in assay.hcl: git { remote = \"…\" }";
            DoctorFinding::bad(ABOUT, level, format!("{remote} cannot be asked: {}", words(error)), cure)
        }
    }
}

/// How the remote is reached: that decides which key or token a push needs.
fn transport(remote: &str, url: &str) -> DoctorFinding {
    let by = if url.starts_with("https://") {
        "https, as checkout leaves it on GitHub App projects: no deploy key counts there"
    } else {
        "the key that ssh offers"
    };
    DoctorFinding::ok(ABOUT, format!("{remote} is {url}: {by}"))
}

fn embedded(folder: &str) -> DoctorFinding {
    DoctorFinding::bad(
        ABOUT,
        FindingLevel::Warning,
        format!("{folder}: git run in this tracked folder takes it for a repository and obeys the config file in it"),
        "take HEAD, objects, refs and config away there; and set safe.bareRepository to explicit for whoever runs git by hand",
    )
}

/// Who writes to the remote needs the right; others do better without.
fn push(request: &DoctorRequest, seen: &checkup::GitCheckup) -> Option<DoctorFinding> {
    let writes = matches!(request.role, None | Some(IamRole::Builder | IamRole::Promoter));
    Some(match (seen.push.as_ref()?, writes) {
        (Ok(()), true) => DoctorFinding::ok(ABOUT, format!("{} would take a push", seen.remote)),
        (Err(error), true) => DoctorFinding::bad(
            ABOUT,
            FindingLevel::Error,
            format!("{} would not take a push: {}", seen.remote, words(error)),
            "a deploy key needs write access; CircleCI's own checkout key may only read: add one under Additional SSH keys, and give its fingerprint \
             to the job (push_key; docs/circleci.md)",
        ),
        (Ok(()), false) => DoctorFinding::bad(
            ABOUT,
            FindingLevel::Warning,
            format!("{} would take a push, which this role never makes", seen.remote),
            "give the job a key that may only read",
        ),
        (Err(_), false) => return None,
    })
}

fn signing(seen: &checkup::GitCheckup) -> Option<DoctorFinding> {
    let (what, tried) = seen.signing.as_ref()?;
    Some(match tried {
        Ok(()) => DoctorFinding::ok(ABOUT, format!("signing works: {what}")),
        Err(error) => DoctorFinding::bad(
            ABOUT,
            FindingLevel::Error,
            format!("signing {what} does not work: {}", words(error)),
            "give this job the key (user.signingKey, gpg.format), or turn commit.gpgsign and tag.gpgsign off in it",
        ),
    })
}

/// git's words on one line.
fn words(error: &GitError) -> String {
    error.to_string().replace("\\n", "; ")
}
