//! The environment that a template sees. It owns which variables are withheld: what a template prints travels to the
//! prober, into reports and into git, and whoever writes a suite in a pull request could print the pipeline's secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    dict::{Dict, Key},
    value::Value,
};

/// Parts of names that say: this is a secret, or the way to one.
const SECRET_PARTS: [&str; 14] = [
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
];
/// Ends of such names.
const SECRET_ENDS: [&str; 6] = ["_KEY", "_PAT", "_PASS", "_PWD", "_DSN", "_CERT"];
/// Variables of AWS's that are no secret; every other one of AWS's is withheld.
const OPEN_AWS: [&str; 4] = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"];

/// What of an environment may be shown.
#[derive(Debug, Clone)]
pub(in crate::suite) struct Environment {
    shown: Dict,
    withheld: BTreeSet<String>,
}

impl Default for Environment {
    fn default() -> Self {
        Self::of([])
    }
}

impl Environment {
    /// This process's.
    pub(in crate::suite) fn of_process() -> Self {
        Self::of(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Splits what may be shown from what may not.
    pub(in crate::suite) fn of(all: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut shown = BTreeMap::new();
        let mut withheld = BTreeSet::new();
        for (name, value) in all {
            if is_secret(&name) || holds_login(&value) {
                withheld.insert(name);
            } else {
                shown.insert(Key::from(name.as_str()), Value::from(value));
            }
        }
        Self { shown: Dict::of_texts(shown), withheld }
    }

    /// `.Env`.
    pub(super) fn dict(&self) -> Dict {
        self.shown.clone()
    }

    /// Whether `value` is [`Self::dict`], and not only equal to it.
    pub(super) fn is_it(&self, value: &Value) -> bool {
        matches!(value, Value::Dict(dict) if dict.is(&self.shown))
    }

    /// Whether the name is that of a variable which exists and is withheld.
    pub(super) fn withholds(&self, name: &str) -> bool {
        self.withheld.contains(name)
    }

    /// A variable, as os.Getenv: an absent one is an empty text. Fails where it is withheld.
    pub(super) fn get(&self, name: &str) -> Result<Value, String> {
        if self.withholds(name) {
            return Err(withheld(name));
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

/// The sentence about a withheld variable.
pub(super) fn withheld(name: &str) -> String {
    format!("the environment variable {name} looks like a secret and is not given to templates")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let aws = name.starts_with("AWS_") && !OPEN_AWS.contains(&name.as_str());
    aws || SECRET_PARTS.iter().any(|part| name.contains(part)) || SECRET_ENDS.iter().any(|end| name.ends_with(end))
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
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["HOME", "PATH", "AWS_REGION", "AWS_PROFILE", "OS", "CI", "GIT_COMMIT", "KEYBOARD", "CIRCLE_SHA1"] {
            assert!(!is_secret(name), "{name}");
        }
        assert!(holds_login("postgres://app:hunter2@db/x") && !holds_login("https://example.com/a:b@c"));
    }

    #[test]
    fn expands_as_go_does() {
        let env = Environment::of([("A".to_owned(), "1".to_owned()), ("MY_TOKEN".to_owned(), "x".to_owned())]);
        assert_eq!(env.expand("a$A-${A}-$NONE.$").as_deref(), Ok("a1-1-.$"));
        assert!(env.expand("${MY_TOKEN}").is_err_and(|why| why.contains("MY_TOKEN")));
    }
}
