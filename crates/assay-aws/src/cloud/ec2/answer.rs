//! The SDK's errors as [`CloudError`]s. It owns the question "was the request done?": only an answer of the service's own says no.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::cloud::{CloudError, CloudErrorKind, plain};

/// The code of an answer that is none of the service's.
const UNREADABLE: &str = "<unreadable answer>";

/// An answer in words that does not read as the service's.
fn not_the_services(answer: &HttpResponse) -> String {
    let body = answer.body().bytes().unwrap_or_default();
    let begins = String::from_utf8_lossy(&body[..body.len().min(120)]);
    format!(
        "HTTP status {} with an answer that is none of AWS's, which may be a proxy's; it begins: {}",
        answer.status().as_u16(),
        begins.trim()
    )
}

/// What `error`, the outcome of `action` in `region`, means to us.
pub(super) fn cloud_error<E>(action: &'static str, region: &str, error: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (kind, code, message) = match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            match service.err().code() {
                Some(code) => {
                    let message = service.err().message().unwrap_or("no message");
                    (CloudErrorKind::of_code(code, status), plain(code), message.to_owned())
                }
                // The service's own errors have a code. What stands between (a proxy, a load balancer) may answer though the request was done.
                None => (CloudErrorKind::Unknown, UNREADABLE.to_owned(), not_the_services(service.raw())),
            }
        }
        // Credentials are looked for before anything is sent, whichever way the SDK wraps their absence.
        _ if lacks_credentials(&error).is_some_and(may_come) => {
            (CloudErrorKind::NoCredentialsYet, "<no credentials yet>".to_owned(), chain(&error))
        }
        _ if lacks_credentials(&error).is_some() => {
            (CloudErrorKind::Credentials, "<no credentials>".to_owned(), chain(&error))
        }
        SdkError::ConstructionFailure(_) => (CloudErrorKind::Invalid, "<not sent>".to_owned(), chain(&error)),
        SdkError::TimeoutError(_) => (CloudErrorKind::Unknown, "<timeout>".to_owned(), chain(&error)),
        SdkError::DispatchFailure(_) => (CloudErrorKind::Unknown, "<no answer>".to_owned(), chain(&error)),
        SdkError::ResponseError(_) => (CloudErrorKind::Unknown, UNREADABLE.to_owned(), chain(&error)),
        _ => (CloudErrorKind::Unknown, "<unknown>".to_owned(), chain(&error)),
    };
    CloudError { action, region: region.to_owned(), kind, code, message: plain(&message) }
}

/// An answer that holds no error but lacks what EC2 always sends. It may well have been done.
pub(super) fn incomplete(action: &'static str, region: &str, what: &str) -> CloudError {
    CloudError {
        action,
        region: region.to_owned(),
        kind: CloudErrorKind::Unknown,
        code: UNREADABLE.to_owned(),
        message: format!("the answer has no {what}"),
    }
}

/// An id of EC2's, where it is of the form of these: `prefix-` and 8 or 17 hexadecimal digits ("Amazon EC2 resource IDs" in the user guide). Anything else is no value.
pub(super) fn resource_id(prefix: &str, text: Option<&str>) -> Option<String> {
    let digits = text?.strip_prefix(prefix)?.strip_prefix('-')?;
    let is_id = (8..=17).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| format!("{prefix}-{digits}"))
}

fn lacks_credentials<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a CredentialsError> {
    let mut source = Some(error);
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}

/// Codes with which STS and IAM Identity Center say no for good ("AssumeRole", "AssumeRoleWithWebIdentity" in the STS API reference, "GetRoleCredentials" in the IAM Identity
/// Center Portal API reference).
const REFUSALS: [&str; 12] = [
    "AccessDenied",
    "ExpiredToken",
    "IDPRejectedClaim",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "MalformedPolicyDocument",
    "RegionDisabled",
    "ResourceNotFound",
    "SignatureDoesNotMatch",
    "Unauthorized",
    "ValidationError",
];

/// Whether credentials that could not be had may come a little later: nobody said no, and somewhere they are to come from was found.
fn may_come(error: &CredentialsError) -> bool {
    let words = chain(error);
    match error {
        CredentialsError::ProviderTimedOut(_) => true,
        CredentialsError::ProviderError(_) | CredentialsError::Unhandled(_) => {
            !REFUSALS.iter().any(|code| words.contains(code))
        }
        _ => false,
    }
}

/// The error's sources without its own words, which only name the SDK's category.
fn chain(error: &dyn std::error::Error) -> String {
    let mut parts = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        parts.push(cause.to_string());
        source = cause.source();
    }
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}

/// Awaits one SDK call under its action's name; `$self` has a `region`.
macro_rules! call {
    ($self:ident, $action:literal, $request:expr) => {
        $request
            .send()
            .await
            .map_err(|error| $crate::cloud::ec2::answer::cloud_error($action, $self.region.as_str(), error))?
    };
}
pub(super) use call;

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that gives every request this answer; its URL.
    async fn answering(status: &'static str, body: &'static str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 16 << 10];
                let _ = stream.read(&mut request).await;
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        url
    }

    #[test]
    fn what_is_no_id_is_no_value() {
        assert_eq!(resource_id("sg", Some("sg-0abcdef1234567890")).as_deref(), Some("sg-0abcdef1234567890"));
        for text in [None, Some(""), Some("sg-"), Some("sg-0abcde"), Some("i-0abcdef1234567890"), Some("sg-0abcdefg")] {
            assert_eq!(resource_id("sg", text), None, "{text:?}");
        }
    }

    /// Only an answer of EC2's own says that nothing was made.
    #[tokio::test]
    async fn an_answer_that_cannot_be_read_leaves_open_whether_it_was_done() {
        use crate::cloud::{CloudFactory, Ec2Factory};
        use assay_config::AccessSettings;
        const REFUSED: &str = "<Response><Errors><Error><Code>InvalidGroup.Duplicate</Code><Message>m</Message></Error></Errors></Response>";
        for (status, body, kind) in [
            ("200 OK", "<html><body>Sign in</body></html>", CloudErrorKind::Unknown),
            ("200 OK", "<CreateSecurityGroupResponse><requestId>0abc", CloudErrorKind::Unknown),
            ("200 OK", "", CloudErrorKind::Unknown),
            ("200 OK", "<CreateSecurityGroupResponse><groupId>sg-0abcdef1", CloudErrorKind::Unknown),
            ("200 OK", "<CreateSecurityGroupResponse><groupId>sg-0abcdef1</groupId>", CloudErrorKind::Unknown),
            (
                "200 OK",
                "<CreateSecurityGroupResponse><groupId>sg-0a</groupId></CreateSecurityGroupResponse>",
                CloudErrorKind::Unknown,
            ),
            ("403 Forbidden", "<html>not here</html>", CloudErrorKind::Unknown),
            ("400 Bad Request", REFUSED, CloudErrorKind::Duplicate),
        ] {
            let access = AccessSettings {
                access_key: Some("AK".to_owned()),
                secret_key: Some("s".to_owned().into()),
                region: Some("us-east-1".parse().expect("a region")),
                custom_endpoint_ec2: Some(answering(status, body).await),
                max_retries: Some(1),
                ..AccessSettings::default()
            };
            let factory = Ec2Factory::connect(&access).await;
            let cloud = factory.region(&"us-east-1".parse().expect("a region"));
            let made = cloud.create_security_group("name", None, &Default::default()).await;
            let error = made.expect_err("no group");
            assert_eq!(error.kind, kind, "{status} {body}: {error}");
        }
    }

    #[test]
    fn only_a_source_that_said_no_is_a_refusal() {
        for (error, comes) in [
            (CredentialsError::provider_timed_out(std::time::Duration::from_secs(5)), true),
            (
                CredentialsError::provider_error("Error retrieving credentials: external process exited with code 1"),
                true,
            ),
            (CredentialsError::provider_error("dispatch failure: io error: connection refused"), true),
            (CredentialsError::provider_error("service error: unhandled error (Throttling)"), true),
            (CredentialsError::provider_error("service error: unhandled error (AccessDenied)"), false),
            (CredentialsError::provider_error("service error: ExpiredTokenException: Token expired"), false),
            (CredentialsError::not_loaded("nothing is configured"), false),
            (CredentialsError::invalid_configuration("a profile that is not there"), false),
        ] {
            assert_eq!(may_come(&error), comes, "{error:?}");
        }
    }
}
