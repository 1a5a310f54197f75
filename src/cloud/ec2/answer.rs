//! The SDK's errors as [`CloudError`]s. It owns the question "was the request done?": only an answer of the service's own says no.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::cloud::{CloudError, CloudErrorKind, plain};

/// What `error`, the outcome of `action` in `region`, means to us.
pub(super) fn cloud_error<E>(action: &'static str, region: &str, error: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (kind, code, message) = match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("<no code>");
            let status = service.raw().status().as_u16();
            let message = service.err().message().unwrap_or("no message");
            (CloudErrorKind::of_code(code, status), plain(code), message.to_owned())
        }
        // Credentials are looked for before anything is sent, whichever way the SDK wraps their absence.
        _ if lacks_credentials(&error) => (CloudErrorKind::Credentials, "<no credentials>".to_owned(), chain(&error)),
        SdkError::ConstructionFailure(_) => (CloudErrorKind::Invalid, "<not sent>".to_owned(), chain(&error)),
        SdkError::TimeoutError(_) => (CloudErrorKind::Unknown, "<timeout>".to_owned(), chain(&error)),
        SdkError::DispatchFailure(_) => (CloudErrorKind::Unknown, "<no answer>".to_owned(), chain(&error)),
        SdkError::ResponseError(_) => (CloudErrorKind::Unknown, "<unreadable answer>".to_owned(), chain(&error)),
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
        code: "<unreadable answer>".to_owned(),
        message: format!("the answer has no {what}"),
    }
}

fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(cause) = source {
        if cause.is::<CredentialsError>() {
            return true;
        }
        source = cause.source();
    }
    false
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
