//! `doctor --ci`: what a CircleCI job is given: whose project and branch, which OIDC token and which renewed one, which role. It owns what of that would keep the
//! job from its work; it refuses to print a token, and to believe that one is signed: what a claim is worth is AWS's to say.
//!
//! Claims: "OpenID Connect ID tokens format" in CircleCI's guide "Using OpenID Connect tokens in jobs".

use std::{process::Stdio, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokio::process::Command;

use super::{DoctorFinding, FindingLevel, cloud};
use assay_config::doctor::DoctorRequest;
use assay_ledger as ledger;
use assay_ledger::GitEnvironment;

const JOB: &str = "job";
const TOKEN: &str = "token";
const ROLE: &str = "role";
/// The environment CLI asks a service.
const PATIENCE: Duration = Duration::from_secs(30);
/// A token has hundreds of bytes.
const MOST_TOKEN: usize = 64 * 1024;

/// The job, its token and its role.
pub(super) async fn look(request: &DoctorRequest) -> Vec<DoctorFinding> {
    let environment = ledger::environment_of_process();
    let mut findings = vec![job(&environment)];
    let claims = token(&environment).and_then(|token| claims(&token));
    match &claims {
        Ok(claims) => findings.extend(judged(claims, &environment, jiff::Timestamp::now().as_second())),
        Err(finding) => findings.push(finding.clone()),
    }
    if let Ok(claims) = &claims {
        findings.push(renewed(claims, fresh(claims).await));
    }
    findings.push(role(&environment));
    if set(&environment, "AWS_ROLE_ARN").is_some() && set(&environment, "AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
        findings.extend(cloud::who(request).await);
    }
    findings
}

fn set<'a>(environment: &'a GitEnvironment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// Which job of which project, on which branch.
fn job(environment: &GitEnvironment) -> DoctorFinding {
    let of = |name: &str| set(environment, name).unwrap_or("?");
    if set(environment, "CIRCLECI") != Some("true") {
        let cure = "run it as a step of a CircleCI job, after checkout; elsewhere leave --ci out";
        return DoctorFinding::bad(JOB, FindingLevel::Error, "this is no CircleCI job: CIRCLECI is not set", cure);
    }
    let project = format!("{}/{}", of("CIRCLE_PROJECT_USERNAME"), of("CIRCLE_PROJECT_REPONAME"));
    let what = match (set(environment, "CIRCLE_BRANCH"), set(environment, "CIRCLE_TAG")) {
        (Some(branch), _) => format!("branch {branch}"),
        (None, Some(tag)) => format!("tag {tag}"),
        (None, None) => "neither branch nor tag".to_owned(),
    };
    DoctorFinding::ok(JOB, format!("{} of {project} (project {}), {what}", of("CIRCLE_JOB"), of("CIRCLE_PROJECT_ID")))
}

/// The token that the SDKs would read, else CircleCI's variable.
fn token(environment: &GitEnvironment) -> Result<String, DoctorFinding> {
    if let Some(path) = set(environment, "AWS_WEB_IDENTITY_TOKEN_FILE") {
        return std::fs::read_to_string(path).map_err(|error| {
            let found = format!("AWS_WEB_IDENTITY_TOKEN_FILE ({path}) cannot be read: {error}");
            DoctorFinding::bad(
                TOKEN,
                FindingLevel::Error,
                found,
                "write the job's OIDC token there, as the orb's credentials do",
            )
        });
    }
    set(environment, "CIRCLE_OIDC_TOKEN_V2").map(str::to_owned).ok_or_else(|| {
        let found =
            "neither AWS_WEB_IDENTITY_TOKEN_FILE nor CIRCLE_OIDC_TOKEN_V2 is set: this job has no OIDC token here";
        let cure = "run it behind the orb's step `credentials`; a fork's pull request never gets a token";
        DoctorFinding::bad(TOKEN, FindingLevel::Warning, found, cure)
    })
}

/// What AWS can compare, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct TokenClaims {
    iss: String,
    aud: TokenAudience,
    sub: String,
    exp: i64,
}

/// One audience, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum TokenAudience {
    One(String),
    Several(Vec<String>),
}

impl TokenAudience {
    fn words(&self) -> String {
        match self {
            Self::One(name) => name.clone(),
            Self::Several(names) => names.join(", "),
        }
    }
}

/// The payload of a token (RFC 7519); its signature is AWS's to look at.
fn claims(token: &str) -> Result<TokenClaims, DoctorFinding> {
    let bad = |what: &str| {
        let cure = "look at what wrote it: a whole token is three parts of base64 with a dot between";
        DoctorFinding::bad(TOKEN, FindingLevel::Error, format!("is no OpenID Connect token: {what}"), cure)
    };
    let token = token.trim();
    if token.len() > MOST_TOKEN {
        return Err(bad("it is too long"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [_, payload, _] = parts.as_slice() else { return Err(bad("it has not three parts")) };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| bad("its second part is no base64"))?;
    serde_json::from_slice(&bytes).map_err(|_| bad("its claims lack iss, aud, sub or exp"))
}

/// The claims, as a trust policy of `assay iam --trust` will see them.
fn judged(claims: &TokenClaims, environment: &GitEnvironment, now: i64) -> Vec<DoctorFinding> {
    let TokenClaims { iss, aud, sub, exp } = claims;
    let mut findings = vec![DoctorFinding::ok(TOKEN, format!("iss {iss}"))];
    let organization = set(environment, "CIRCLE_ORGANIZATION_ID").unwrap_or("?");
    findings.push(match aud {
        TokenAudience::One(name) if name == organization => DoctorFinding::ok(TOKEN, format!("aud {name}")),
        other => {
            let found = format!("aud {}, not the organisation {organization}", other.words());
            DoctorFinding::bad(
                TOKEN,
                FindingLevel::Error,
                found,
                "the role's trust policy compares aud: ask for a token without --claims, or trust this audience",
            )
        }
    });
    findings.push(subject(sub, environment));
    findings.push(match exp - now {
        ..=0 => DoctorFinding::bad(
            TOKEN,
            FindingLevel::Error,
            "has expired",
            "let the background step of `credentials` run; it renews the file",
        ),
        left => DoctorFinding::ok(TOKEN, format!("{} min left", left / 60)),
    });
    findings
}

/// A custom webhook's subject names no repository; a pipeline with another checkout than its configuration's names one of the two branches.
fn subject(sub: &str, environment: &GitEnvironment) -> DoctorFinding {
    let found = format!("sub {sub}");
    let Some((_, reference)) = sub.split_once("/vcs-ref/") else {
        let cure = "it names no repository and no branch, so no role of `assay iam --trust` can be taken: start this pipeline by a push, a schedule or the API";
        return DoctorFinding::bad(TOKEN, FindingLevel::Error, found, cure);
    };
    match set(environment, "CIRCLE_BRANCH") {
        Some(branch) if reference != format!("refs/heads/{branch}") => {
            let cure = format!(
                "the job has checked out {branch}: if configuration and code come from two branches, the roles follow the one that sub names"
            );
            DoctorFinding::bad(TOKEN, FindingLevel::Warning, found, cure)
        }
        _ => DoctorFinding::ok(TOKEN, found),
    }
}

/// A token made now by CircleCI's environment CLI, with the audience of the first one.
async fn fresh(claims: &TokenClaims) -> Result<TokenClaims, DoctorFinding> {
    let unknown = |why: &str| {
        let cure = "without a new token the role ends with the first one, after an hour";
        DoctorFinding::bad(TOKEN, FindingLevel::Unknown, format!("circleci run oidc get: {why}"), cure)
    };
    let wish = serde_json::json!({ "aud": claims.aud.words() }).to_string();
    let mut command = Command::new("circleci");
    command.args(["run", "oidc", "get", "--claims", &wish]).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => output,
        Ok(Ok(output)) => return Err(unknown(&format!("failed ({})", output.status))),
        Ok(Err(error)) => return Err(unknown(&format!("cannot be run: {error}"))),
        Err(_) => return Err(unknown(&format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    self::claims(&String::from_utf8_lossy(&output.stdout)).map_err(|finding| unknown(&finding.found))
}

/// Whether a build of more than an hour keeps its role.
fn renewed(first: &TokenClaims, fresh: Result<TokenClaims, DoctorFinding>) -> DoctorFinding {
    match fresh {
        Ok(fresh) if (&fresh.iss, &fresh.aud, &fresh.sub) == (&first.iss, &first.aud, &first.sub) => {
            DoctorFinding::ok(TOKEN, "one that is renewed has the same iss, aud and sub")
        }
        Ok(fresh) => {
            let found =
                format!("one that is renewed differs: iss {}, aud {}, sub {}", fresh.iss, fresh.aud.words(), fresh.sub);
            let cure = "the role is refused after an hour: keep builds shorter, or trust this subject too";
            DoctorFinding::bad(TOKEN, FindingLevel::Error, found, cure)
        }
        Err(finding) => finding,
    }
}

fn role(environment: &GitEnvironment) -> DoctorFinding {
    let cure = "the job's context sets AWS_ROLE_ARN and AWS_REGION; `unauthorized` or an empty context means that a restriction did not hold";
    match (set(environment, "AWS_ROLE_ARN"), set(environment, "AWS_REGION")) {
        (Some(role), Some(region)) => DoctorFinding::ok(ROLE, format!("{role} in {region}")),
        (Some(role), None) => {
            DoctorFinding::bad(ROLE, FindingLevel::Error, format!("{role}, and AWS_REGION is not set"), cure)
        }
        (None, _) => DoctorFinding::bad(ROLE, FindingLevel::Warning, "AWS_ROLE_ARN is not set", cure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: &str = "0a5c3b1e-0000-4000-8000-00000000a55a";

    fn environment(pairs: &[(&str, &str)]) -> GitEnvironment {
        let common = [("CIRCLECI", "true"), ("CIRCLE_ORGANIZATION_ID", ORG), ("CIRCLE_BRANCH", "main")];
        common.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn encoded(payload: &serde_json::Value) -> String {
        format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(payload.to_string()))
    }

    fn of(sub: &str) -> TokenClaims {
        let payload = serde_json::json!({ "iss": format!("https://oidc.circleci.com/org/{ORG}"), "aud": ORG, "sub": sub, "exp": 3_600 });
        claims(&encoded(&payload)).expect("claims")
    }

    fn worst(findings: &[DoctorFinding]) -> FindingLevel {
        findings.iter().map(|finding| finding.level).max().expect("findings")
    }

    const MAIN: &str = "org/o/project/p/user/u/vcs-origin/github.com/acme/images/vcs-ref/refs/heads/main";

    #[test]
    fn a_token_of_this_job_is_as_it_should_be() {
        let found = judged(&of(MAIN), &environment(&[]), 60);
        assert_eq!(worst(&found), FindingLevel::Ok, "{found:#?}");
        assert!(found.iter().any(|finding| finding.found == format!("sub {MAIN}")), "the subject is told as it is");
        assert!(found.iter().any(|finding| finding.found == "59 min left"), "{found:#?}");
    }

    #[test]
    fn what_aws_would_refuse_is_an_error_with_a_cure() {
        let main = environment(&[]);
        assert_eq!(worst(&judged(&of(MAIN), &main, 3_600)), FindingLevel::Error, "expired");
        let webhook = judged(&of("org/o/project/p/user/u"), &main, 0);
        assert_eq!(worst(&webhook), FindingLevel::Error, "a custom webhook's");
        let other = judged(&of(MAIN), &environment(&[("CIRCLE_ORGANIZATION_ID", "another")]), 0);
        assert!(
            other.iter().any(|finding| finding.level == FindingLevel::Error && finding.found.starts_with("aud ")),
            "{other:#?}"
        );
        let elsewhere = judged(&of(MAIN), &environment(&[("CIRCLE_BRANCH", "topic")]), 0);
        assert_eq!(worst(&elsewhere), FindingLevel::Warning, "configuration and code of two branches: {elsewhere:#?}");
    }

    #[test]
    fn what_is_no_token_is_told_without_it() {
        for token in ["", "a.b", "s3cret.s3cret.s3cret", &encoded(&serde_json::json!({ "aud": "s3cret" }))] {
            let finding = claims(token).expect_err("no token");
            assert_eq!(finding.level, FindingLevel::Error, "{token}");
            assert!(!finding.found.contains("s3cret"), "{finding:?}");
        }
    }

    #[test]
    fn a_renewed_token_must_be_the_same_to_aws() {
        let first = of(MAIN);
        assert_eq!(renewed(&first, Ok(TokenClaims { exp: 9_999, ..first.clone() })).level, FindingLevel::Ok);
        let without = of("org/o/project/p/user/u");
        assert_eq!(renewed(&first, Ok(without)).level, FindingLevel::Error);
        let silent = DoctorFinding::bad(TOKEN, FindingLevel::Unknown, "no answer", "wait");
        assert_eq!(renewed(&first, Err(silent.clone())), silent);
    }

    #[test]
    fn a_job_a_role_and_a_token_that_are_not_there() {
        assert_eq!(job(&GitEnvironment::new()).level, FindingLevel::Error);
        assert!(job(&environment(&[("CIRCLE_JOB", "build")])).found.starts_with("build of ?/?"));
        assert_eq!(role(&environment(&[])).level, FindingLevel::Warning);
        assert_eq!(role(&environment(&[("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")])).level, FindingLevel::Error);
        assert_eq!(token(&environment(&[])).expect_err("none").level, FindingLevel::Warning);
        assert_eq!(
            token(&environment(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nosuch/file")])).expect_err("none").level,
            FindingLevel::Error
        );
    }
}
