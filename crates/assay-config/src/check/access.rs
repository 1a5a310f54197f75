//! The settings for reaching AWS.

use secrecy::SecretString;
use serde_json::Value as Json;

use super::checker::OptionChecker;
use crate::settings::{AccessSettings, AssumeRole};
use assay_model::IdError;

pub(super) fn settings(checker: &mut OptionChecker<'_>) -> AccessSettings {
    keys_belong_together(checker);
    AccessSettings {
        access_key: checker.text("access_key"),
        secret_key: checker.text("secret_key").map(SecretString::from),
        token: checker.text("token").map(SecretString::from),
        profile: checker.text("profile"),
        shared_credentials_file: credentials_file(checker),
        region: checker.parsed("region", |text| text.parse().map_err(|error: IdError| error.to_string())),
        assume_role: assume_role(checker),
        custom_endpoint_ec2: checker.parsed("custom_endpoint_ec2", endpoint),
        max_retries: checker.whole("max_retries", 0, 100),
    }
}

/// Their values are never part of a message.
fn keys_belong_together(checker: &mut OptionChecker<'_>) {
    for (given, wanted) in [("access_key", "secret_key"), ("secret_key", "access_key"), ("token", "access_key")] {
        if checker.given(given).is_some() && checker.given(wanted).is_none() && !checker.is_unknown(wanted) {
            checker.wrong(given, format!("needs {wanted} too"));
        }
    }
}

fn credentials_file(checker: &mut OptionChecker<'_>) -> Option<std::path::PathBuf> {
    let path = checker.path("shared_credentials_file")?;
    if !checker.on_disk(&path).is_file() {
        checker.wrong("shared_credentials_file", format!("there is no file {}", path.display()));
    }
    Some(path)
}

fn endpoint(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is not an endpoint; expected a URL like https://ec2.us-east-1.amazonaws.com")),
    }
}

fn assume_role(checker: &mut OptionChecker<'_>) -> Option<AssumeRole> {
    let block = checker.given("assume_role")?.value.clone();
    let text = |name: &str| block.get(name).and_then(Json::as_str).map(str::to_owned);
    let Some(role_arn) = text("role_arn") else {
        checker.wrong("assume_role", "needs role_arn");
        return None;
    };
    if !(role_arn.starts_with("arn:") && role_arn.contains(":role/")) {
        checker
            .wrong("assume_role", format!("role_arn {role_arn:?} is no role; expected arn:aws:iam::ACCOUNT:role/NAME"));
    }
    let session_name = text("session_name");
    // STS AssumeRole: RoleSessionName.
    if let Some(name) = session_name.as_deref().filter(|name| !is_name(name, 2, 64)) {
        let message = format!("session_name {name:?} does not fit; expected 2 to 64 letters, digits or any of _+=,.@-");
        checker.wrong("assume_role", message);
    }
    let seconds = block.get("duration_seconds").and_then(Json::as_f64).filter(|seconds| *seconds != 0.0);
    let duration_seconds = seconds.and_then(|seconds| format!("{seconds}").parse::<u32>().ok());
    if seconds.is_some() && !duration_seconds.is_some_and(|seconds| (900..=43_200).contains(&seconds)) {
        checker.wrong("assume_role", "duration_seconds is out of bounds; expected 900 to 43200");
    }
    Some(AssumeRole { role_arn, session_name, external_id: text("external_id"), duration_seconds })
}

/// A name in IAM's alphabet.
pub(super) fn is_name(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}
