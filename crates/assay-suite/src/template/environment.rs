//! The environment that a template sees. It owns which variables are withheld: what a template prints travels to the
//! prober, into reports and into git, and whoever writes a suite in a pull request could print the pipeline's secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    dict::{DictKey, TemplateDict},
    value::TemplateValue,
};

/// What every template may see where it is set: that and what CI builds, by the names that CI systems document, and AWS's region. The rest is named in
/// assay.hcl (`suites { env = […] }`) or with `--env`.
const SHOWN: [&str; 52] = [
    "CI",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "BITBUCKET_BRANCH",
    "BITBUCKET_BUILD_NUMBER",
    "BITBUCKET_COMMIT",
    "BITBUCKET_PIPELINE_UUID",
    "BITBUCKET_REPO_FULL_NAME",
    "BITBUCKET_TAG",
    "BRANCH_NAME",
    "BUILDKITE_BRANCH",
    "BUILDKITE_BUILD_ID",
    "BUILDKITE_BUILD_NUMBER",
    "BUILDKITE_COMMIT",
    "BUILDKITE_TAG",
    "BUILD_BUILDID",
    "BUILD_BUILDNUMBER",
    "BUILD_ID",
    "BUILD_NUMBER",
    "BUILD_SOURCEBRANCH",
    "BUILD_SOURCEVERSION",
    "BUILD_TAG",
    "CIRCLE_BRANCH",
    "CIRCLE_BUILD_NUM",
    "CIRCLE_JOB",
    "CIRCLE_PROJECT_REPONAME",
    "CIRCLE_PROJECT_USERNAME",
    "CIRCLE_SHA1",
    "CIRCLE_TAG",
    "CIRCLE_WORKFLOW_ID",
    "CI_COMMIT_BRANCH",
    "CI_COMMIT_REF_NAME",
    "CI_COMMIT_SHA",
    "CI_COMMIT_SHORT_SHA",
    "CI_COMMIT_TAG",
    "CI_JOB_ID",
    "CI_PIPELINE_ID",
    "CI_PIPELINE_IID",
    "CI_PROJECT_PATH",
    "CODEBUILD_BUILD_ID",
    "CODEBUILD_BUILD_NUMBER",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "GITHUB_REF_NAME",
    "GITHUB_REPOSITORY",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER",
    "GITHUB_SHA",
    "GITHUB_WORKFLOW",
    "GIT_COMMIT",
    "TRAVIS_BUILD_NUMBER",
    "TRAVIS_COMMIT",
    "TRAVIS_TAG",
];
/// Parts of names that say: this is a secret, or the way to one. Such a variable is withheld whoever names it: a pull request may change assay.hcl.
const SECRET_PARTS: [&str; 20] = [
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASSCODE",
    "CREDENTIAL",
    "PRIVATE",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "AUTH",
    "COOKIE",
    "SIGNATURE",
    "WEBHOOK",
    "SERVICE_ACCOUNT",
    "DOCKER_CONFIG",
    "KUBECONFIG",
    "CONNECTION_STRING",
    "DATABASE_URL",
];
/// Words between the underscores of such names.
const SECRET_WORDS: [&str; 13] =
    ["KEY", "PAT", "PASS", "PWD", "PW", "DSN", "CERT", "JWT", "PEM", "PSK", "CREDS", "B64", "BASE64"];
/// Variables of AWS's that are no secret; every other one of AWS's is withheld.
const OPEN_AWS: [&str; 4] = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"];

/// What of an environment may be shown.
#[derive(Debug, Clone)]
pub(crate) struct VisibleEnvironment {
    shown: TemplateDict,
    /// Those that are named and set, and look like secrets by their value.
    withheld: BTreeSet<String>,
    /// Those that are set and neither usual nor named.
    hidden: BTreeSet<String>,
    /// Names beside [`SHOWN`].
    named: BTreeSet<String>,
}

impl Default for VisibleEnvironment {
    fn default() -> Self {
        Self {
            shown: TemplateDict::of_texts(BTreeMap::new()),
            withheld: BTreeSet::new(),
            hidden: BTreeSet::new(),
            named: BTreeSet::new(),
        }
    }
}

impl VisibleEnvironment {
    /// This process's; `named`: what templates may see beside the usual ones.
    pub(crate) fn of_process(named: &[String]) -> Self {
        let all =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::of(all, named)
    }

    /// Splits what may be shown from what may not.
    pub(crate) fn of(all: impl IntoIterator<Item = (String, String)>, named: &[String]) -> Self {
        let mut environment = Self { named: named.iter().cloned().collect(), ..Self::default() };
        let mut shown = BTreeMap::new();
        for (name, value) in all {
            if !environment.may_show(&name) {
                environment.hidden.insert(name);
            } else if holds_secret(&value) {
                environment.withheld.insert(name);
            } else {
                shown.insert(DictKey::from(name.as_str()), TemplateValue::from(value));
            }
        }
        Self { shown: TemplateDict::of_texts(shown), ..environment }
    }

    fn may_show(&self, name: &str) -> bool {
        (SHOWN.contains(&name) || self.named.contains(name)) && !is_secret(name)
    }

    /// `.Env`.
    pub(super) fn dict(&self) -> TemplateDict {
        self.shown.clone()
    }

    /// Whether `value` is [`Self::dict`], and not only equal to it.
    pub(super) fn is_it(&self, value: &TemplateValue) -> bool {
        matches!(value, TemplateValue::Dict(dict) if dict.is(&self.shown))
    }

    /// Whether a variable of this name is not given to templates, whether it is set or not: what a suite may ask for must not depend on the machine.
    pub(super) fn withholds(&self, name: &str) -> bool {
        !self.may_show(name) || self.withheld.contains(name)
    }

    /// Whether a variable of this name is set and not given to templates.
    pub(super) fn hides(&self, name: &str) -> bool {
        self.hidden.contains(name) || self.withheld.contains(name)
    }

    /// The sentence about a variable that is not given.
    pub(super) fn withheld(&self, name: &str) -> String {
        if is_secret(name) || self.withheld.contains(name) {
            format!("the environment variable {name} looks like a secret and is not given to templates")
        } else {
            format!("the environment variable {name} is not given to templates")
        }
    }

    /// A variable, as os.Getenv: an absent one is an empty text. Fails where it is not given.
    pub(super) fn get(&self, name: &str) -> Result<TemplateValue, String> {
        if self.withholds(name) {
            return Err(self.withheld(name));
        }
        Ok(self.shown.get(name).unwrap_or_else(|| "".into()))
    }

    /// os.ExpandEnv: `$NAME` and `${NAME}`.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, after) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some(pair) => pair,
                None => {
                    after.split_at(after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len()))
                }
            };
            if name.is_empty() {
                out.push('$');
            } else {
                out.push_str(self.get(name)?.as_text().unwrap_or_default());
            }
            if out.len() > super::value::MAX_WEIGHT {
                return Err("makes more than 1 MiB of text".to_owned());
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let aws = name.starts_with("AWS_") && !OPEN_AWS.contains(&name.as_str());
    aws || SECRET_PARTS.iter().any(|part| name.contains(part))
        || name.split('_').any(|word| SECRET_WORDS.contains(&word))
}

/// Whether a value is a secret whatever its name: a key block, a JSON Web Token, a URL with a login.
fn holds_secret(value: &str) -> bool {
    value.contains("-----BEGIN ") || value.starts_with("eyJ") && value.matches('.').count() == 2 || holds_login(value)
}

/// Whether a URL with a password stands in it: `scheme://user:password@host`.
fn holds_login(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_withheld_by_name_and_by_value() {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SESSION_TOKEN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "GITHUB_TOKEN",
            "VAULT_TOKEN",
            "db_password",
            "SSH_AUTH_SOCK",
            "DEPLOY_KEY",
            "SENTRY_DSN",
            "GL_PAT",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "CI_JOB_JWT",
            "DEPLOY_KEY_BASE64",
            "SSH_KEY_B64",
            "GOOGLE_SERVICE_ACCOUNT_JSON",
            "DOCKER_CONFIG_JSON",
            "SLACK_WEBHOOK_URL",
            "GHCR_PW",
            "TF_VAR_db_pw",
            "SIGNING_PEM",
            "KUBECONFIG",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["HOME", "PATH", "AWS_REGION", "AWS_PROFILE", "OS", "CI", "GIT_COMMIT", "KEYBOARD", "CIRCLE_SHA1"] {
            assert!(!is_secret(name), "{name}");
        }
        assert!(holds_login("postgres://app:hunter2@db/x") && !holds_login("https://example.com/a:b@c"));
    }

    #[test]
    fn only_what_is_named_or_usual_is_given_and_no_secret_whoever_names_it() {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all = [
            set("CIRCLE_SHA1", "abc"),
            set("HOME", "/root"),
            set("STAGE", "prod"),
            set("OTHER", "x"),
            set("CI_JOB_JWT", "eyJ0.eyJ1.c2ln"),
            set("GIVEN_JWTISH", "eyJ0.eyJ1.c2ln"),
            set("BUILD_TAG", "https://u:p@host/x"),
        ];
        let named = ["STAGE", "CI_JOB_JWT", "GIVEN_JWTISH", "UNSET"].map(str::to_owned);
        let env = VisibleEnvironment::of(all, &named);
        for (name, shown) in
            [("CIRCLE_SHA1", true), ("STAGE", true), ("HOME", false), ("OTHER", false), ("BUILD_TAG", false)]
        {
            assert_eq!(env.dict().get(name).is_some(), shown, "{name}");
        }
        assert!(env.get("UNSET").is_ok_and(|value| matches!(value, TemplateValue::Text(text) if text.is_empty())));
        for (name, words) in [("OTHER", "is not given"), ("NEVER_SET", "is not given"), ("GIVEN_JWTISH", "a secret")] {
            assert!(env.get(name).is_err_and(|why| why.contains(words)), "{name}");
        }
        assert!(env.hides("OTHER") && !env.hides("NEVER_SET") && !env.hides("STAGE"));
    }

    #[test]
    fn expands_as_go_does() {
        let all = [("A".to_owned(), "1".to_owned()), ("MY_TOKEN".to_owned(), "x".to_owned())];
        let env = VisibleEnvironment::of(all, &["A", "MY_TOKEN", "NONE"].map(str::to_owned));
        assert_eq!(env.expand("a$A-${A}-$NONE.$").as_deref(), Ok("a1-1-.$"));
        assert!(env.expand("${MY_TOKEN}").is_err_and(|why| why.contains("MY_TOKEN")));
    }
}
