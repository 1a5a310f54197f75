//! What a conductor tells its reaper: how to reach AWS, and the credentials that it got there. Lines of JSON over the reaper's standard input, so that no secret is ever in
//! a file, an argument or an environment that was not there before. It owns the form of these lines.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::cloud::ResolvedCredentials;
use assay_config::{AccessSettings, AssumeRole};
use assay_model::Region;

/// [`AccessSettings`] with its secrets in the open: lives only while the line is made or read, and is wiped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandoverLine {
    access_key: Option<String>,
    secret_key: Option<String>,
    token: Option<String>,
    profile: Option<String>,
    shared_credentials_file: Option<PathBuf>,
    region: Option<Region>,
    assume_role: Option<RoleLine>,
    custom_endpoint_ec2: Option<String>,
    max_retries: Option<u32>,
}

impl Drop for HandoverLine {
    fn drop(&mut self) {
        self.secret_key.zeroize();
        self.token.zeroize();
    }
}

/// [`ResolvedCredentials`], likewise.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsLine {
    access_key: String,
    secret_key: String,
    token: Option<String>,
    expires_at: Option<i64>,
}

impl Drop for CredentialsLine {
    fn drop(&mut self) {
        self.secret_key.zeroize();
        self.token.zeroize();
    }
}

/// The line for credentials that were got, without its newline.
pub(super) fn credentials_to_line(resolved: &ResolvedCredentials) -> serde_json::Result<Zeroizing<String>> {
    let line = CredentialsLine {
        access_key: resolved.access_key.clone(),
        secret_key: resolved.secret_key.expose_secret().to_owned(),
        token: resolved.token.as_ref().map(|token| token.expose_secret().to_owned()),
        expires_at: resolved.expires_at,
    };
    serde_json::to_string(&line).map(Zeroizing::new)
}

/// What such a line says.
pub(super) fn credentials_from_line(line: &str) -> serde_json::Result<ResolvedCredentials> {
    let line: CredentialsLine = serde_json::from_str(line)?;
    Ok(ResolvedCredentials {
        access_key: line.access_key.clone(),
        secret_key: SecretString::from(line.secret_key.clone()),
        token: line.token.clone().map(SecretString::from),
        expires_at: line.expires_at,
    })
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleLine {
    role_arn: String,
    session_name: Option<String>,
    external_id: Option<String>,
    duration_seconds: Option<u32>,
}

/// The line for `access`, without its newline.
pub(super) fn to_line(access: &AccessSettings) -> serde_json::Result<Zeroizing<String>> {
    let open = |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
    let line = HandoverLine {
        access_key: access.access_key.clone(),
        secret_key: open(&access.secret_key),
        token: open(&access.token),
        profile: access.profile.clone(),
        shared_credentials_file: access.shared_credentials_file.clone(),
        region: access.region.clone(),
        assume_role: access.assume_role.clone().map(|role| RoleLine {
            role_arn: role.role_arn,
            session_name: role.session_name,
            external_id: role.external_id,
            duration_seconds: role.duration_seconds,
        }),
        custom_endpoint_ec2: access.custom_endpoint_ec2.clone(),
        max_retries: access.max_retries,
    };
    serde_json::to_string(&line).map(Zeroizing::new)
}

/// What the line says.
pub(super) fn from_line(line: &str) -> serde_json::Result<AccessSettings> {
    let line: HandoverLine = serde_json::from_str(line)?;
    let close = |secret: &Option<String>| secret.clone().map(SecretString::from);
    Ok(AccessSettings {
        access_key: line.access_key.clone(),
        secret_key: close(&line.secret_key),
        token: close(&line.token),
        profile: line.profile.clone(),
        shared_credentials_file: line.shared_credentials_file.clone(),
        region: line.region.clone(),
        assume_role: line.assume_role.clone().map(|role| AssumeRole {
            role_arn: role.role_arn,
            session_name: role.session_name,
            external_id: role.external_id,
            duration_seconds: role.duration_seconds,
        }),
        custom_endpoint_ec2: line.custom_endpoint_ec2.clone(),
        max_retries: line.max_retries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives() {
        let access = AccessSettings {
            access_key: Some("AK".to_owned()),
            secret_key: Some("s\"ecret\n".to_owned().into()),
            token: Some("t".to_owned().into()),
            profile: Some("p".to_owned()),
            shared_credentials_file: Some("/x".into()),
            region: Some("us-east-1".parse().expect("region")),
            assume_role: Some(AssumeRole {
                role_arn: "arn".to_owned(),
                session_name: Some("n".to_owned()),
                external_id: None,
                duration_seconds: Some(900),
            }),
            custom_endpoint_ec2: Some("http://127.0.0.1:1".to_owned()),
            max_retries: Some(4),
        };
        let line = to_line(&access).expect("line");
        assert!(!line.contains('\n'));
        let read = from_line(&line).expect("reads");
        assert_eq!(read.secret_key.as_ref().expect("there").expose_secret(), "s\"ecret\n");
        assert_eq!(read.token.as_ref().expect("there").expose_secret(), "t");
        // Debug hides secrets, so what is left is everything else.
        assert_eq!(format!("{read:?}"), format!("{access:?}"));
        assert!(from_line("{\"unknown\":1}").is_err());
        let resolved = ResolvedCredentials {
            access_key: "AK".to_owned(),
            secret_key: "s\n".to_owned().into(),
            token: None,
            expires_at: Some(7),
        };
        let line = credentials_to_line(&resolved).expect("line");
        let read = credentials_from_line(&line).expect("reads");
        assert!(!line.contains('\n') && read.secret_key.expose_secret() == "s\n");
        assert_eq!((read.access_key, read.token.is_none(), read.expires_at), (resolved.access_key, true, Some(7)));
    }
}
