//! Who we are to AWS, and what its clock says: the credentials in use without their secrets, GetCallerIdentity, and the Date of its answer. It owns the names of
//! where credentials come from; it refuses to hand out a secret.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use aws_credential_types::{Credentials, credential_feature::AwsCredentialFeature, provider::ProvideCredentials};
use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sts::config::{
    ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextRef,
};
use aws_smithy_runtime_api::box_error::BoxError;

use super::{CloudError, CloudErrorKind, CloudResult, Ec2Factory, ec2, plain};
use assay_model::AccountId;

/// The credentials in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsInUse {
    /// The access key's id, which is no secret.
    pub access_key_id: String,
    /// Where they come from, in words.
    pub source: String,
    /// When they end, seconds since the epoch; absent where they do not, or nobody says.
    pub expires_at: Option<i64>,
}

/// What STS says of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account.
    pub account: AccountId,
    /// Our ARN.
    pub arn: String,
    /// How far this machine's clock is ahead of AWS's, in seconds; absent where the answer bears no date.
    pub clock_ahead: Option<i64>,
}

impl Ec2Factory {
    /// The credentials that calls are signed with. Fails where there are none.
    pub async fn credentials(&self) -> CloudResult<CredentialsInUse> {
        let none = |message: String| CloudError {
            action: "Credentials",
            region: "-".to_owned(),
            kind: CloudErrorKind::Credentials,
            code: "<no credentials>".to_owned(),
            message,
        };
        let provider = self.sdk().credentials_provider().ok_or_else(|| none("no source is configured".to_owned()))?;
        // The SDK goes on for many lines, one for each place that it looked in.
        let first = |text: String| plain(text.lines().next().unwrap_or_default());
        let found = provider.provide_credentials().await.map_err(|error| none(first(causes(&error))))?;
        let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
        let expires_at = found.expiry().and_then(since_epoch).and_then(|age| i64::try_from(age.as_secs()).ok());
        Ok(CredentialsInUse { access_key_id: found.access_key_id().to_owned(), source: source_of(&found), expires_at })
    }

    /// STS GetCallerIdentity, and its date.
    pub async fn caller(&self) -> CloudResult<CallerIdentity> {
        let date = DateHeader::default();
        let answer = ec2::caller_identity(self.sdk(), Some(date.clone())).await?;
        Ok(CallerIdentity { account: answer.0, arn: answer.1, clock_ahead: date.ahead() })
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// The last of the features that the SDK notes on credentials is how they were made.
fn source_of(credentials: &Credentials) -> String {
    use AwsCredentialFeature as From;
    let noted = credentials.get_property::<Vec<AwsCredentialFeature>>();
    let noted = noted.into_iter().flatten().filter_map(|feature| match feature {
        From::CredentialsCode => Some("assay's own settings"),
        From::CredentialsEnvVars => Some("the environment (AWS_ACCESS_KEY_ID)"),
        From::CredentialsEnvVarsStsWebIdToken => Some("a web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)"),
        From::CredentialsStsAssumeRole => Some("AssumeRole"),
        From::CredentialsStsAssumeRoleWebId => Some("AssumeRoleWithWebIdentity"),
        From::CredentialsProfile => Some("a profile"),
        From::CredentialsProfileSourceProfile => Some("a profile's source_profile"),
        From::CredentialsProfileNamedProvider => Some("a profile's credential_source"),
        From::CredentialsProfileStsWebIdToken => Some("a profile's web identity token"),
        From::CredentialsProfileSso | From::CredentialsSso => Some("SSO"),
        From::CredentialsProfileProcess | From::CredentialsProcess => Some("a credential process"),
        From::CredentialsHttp => Some("the container's endpoint"),
        From::CredentialsImds => Some("the instance's metadata service"),
        _ => None,
    });
    let words: Vec<&str> = noted.collect();
    if words.is_empty() { "assay's own settings or the SDK's default chain".to_owned() } else { words.join(", then ") }
}

/// Notes the Date header of an answer (RFC 9110), and when it came.
#[derive(Debug, Clone, Default)]
pub(super) struct DateHeader(Arc<Mutex<Option<i64>>>);

impl DateHeader {
    fn ahead(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "date of the answer"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let there = context.response().headers().get("date");
        let there = there.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
        let here = here.and_then(|age| i64::try_from(age.as_secs()).ok());
        if let (Some(there), Some(here)) = (there, here) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(here - there.secs());
        }
        Ok(())
    }
}
