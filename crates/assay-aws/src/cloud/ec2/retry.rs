//! What the SDK must not try again. EC2 says with HTTP status 500 that it has no room for a launch, and the SDK's standard mode takes every 500 for a passing
//! failure: it would ask for the same thing in the same place again and again, while another zone may have it. It owns that one exception.

use aws_sdk_ec2::{
    config::{interceptors::InterceptorContext, retry::ClassifyRetry},
    error::ProvideErrorMetadata,
    operation::run_instances::RunInstancesError,
};
use aws_smithy_runtime_api::client::retries::classifiers::{RetryAction, RetryClassifierPriority};

use crate::cloud::CapacityShortfall;

/// Forbids the SDK to repeat a RunInstances that was refused for a [`CapacityShortfall`].
#[derive(Debug)]
pub(super) struct LackIsFinal;

impl ClassifyRetry for LackIsFinal {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(|answer| answer.err());
        let refusal = error
            .and_then(|error| error.as_operation_error())
            .and_then(|error| error.downcast_ref::<RunInstancesError>());
        match refusal.and_then(|refusal| refusal.code()).and_then(CapacityShortfall::of_code) {
            Some(_) => RetryAction::RetryForbidden,
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "no room for a launch"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_before(RetryClassifierPriority::http_status_code_classifier())
    }
}
