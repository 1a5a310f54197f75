//! [`RegionServices`] by the AWS SDK: KMS, quotas and auto scaling's client. Each client is made of the same configuration as EC2's when it is asked for, so
//! `AWS_ENDPOINT_URL`, profiles and proxies hold for all of them; `custom_endpoint_ec2` is EC2's alone, as its name says.

use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use futures::future::{BoxFuture, FutureExt};

use super::{Ec2Cloud, answer::cloud_error};
use crate::cloud::{CloudErrorKind, CloudResult, DryRun, DryRunAnswer, RegionServices};

/// "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", in vCPUs ("Amazon EC2 service quotas").
const STANDARD_VCPUS: &str = "L-1216C47A";

/// The region in an ARN (`arn:partition:service:region:account:resource`).
fn region_of_arn(key: &str) -> Option<&str> {
    let mut parts = key.split(':');
    (parts.next()? == "arn").then_some(())?;
    parts.nth(2).filter(|region| !region.is_empty())
}

impl Ec2Cloud {
    /// A client for auto scaling in this region.
    pub(super) fn auto_scaling(&self) -> aws_sdk_autoscaling::Client {
        let config = aws_sdk_autoscaling::config::Builder::from(&self.sdk);
        let region = aws_sdk_autoscaling::config::Region::new(self.region.to_string());
        aws_sdk_autoscaling::Client::from_conf(config.region(region).build())
    }

    /// A client for KMS where `key` lives, and that region.
    fn kms(&self, key: &str) -> (aws_sdk_kms::Client, String) {
        let region = region_of_arn(key).unwrap_or(self.region.as_str()).to_owned();
        let config = aws_sdk_kms::config::Builder::from(&self.sdk);
        let config = config.region(aws_sdk_kms::config::Region::new(region.clone()));
        (aws_sdk_kms::Client::from_conf(config.build()), region)
    }

    async fn sign(&self, key: &str, digest: &[u8; 32]) -> CloudResult<Vec<u8>> {
        let (client, region) = self.kms(key);
        let request = client
            .sign()
            .key_id(key)
            .message(aws_sdk_kms::primitives::Blob::new(digest.as_slice()))
            .message_type(MessageType::Digest)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
        let answer = request.send().await.map_err(|error| cloud_error("Sign", &region, error))?;
        let signature = answer.signature().map(|blob| blob.as_ref().to_vec());
        signature.ok_or_else(|| self.incomplete("Sign", "signature"))
    }

    async fn public_key(&self, key: &str) -> CloudResult<Vec<u8>> {
        let (client, region) = self.kms(key);
        let answer = client.get_public_key().key_id(key).send().await;
        let answer = answer.map_err(|error| cloud_error("GetPublicKey", &region, error))?;
        let public = answer.public_key().map(|blob| blob.as_ref().to_vec());
        public.ok_or_else(|| self.incomplete("GetPublicKey", "public key"))
    }

    async fn standard_vcpus(&self) -> CloudResult<Option<f64>> {
        let config = aws_sdk_servicequotas::config::Builder::from(&self.sdk);
        let region = aws_sdk_servicequotas::config::Region::new(self.region.to_string());
        let client = aws_sdk_servicequotas::Client::from_conf(config.region(region).build());
        let request = client.get_service_quota().service_code("ec2").quota_code(STANDARD_VCPUS);
        let applied = request.send().await.map_err(|e| cloud_error("GetServiceQuota", self.region.as_str(), e));
        match applied {
            Ok(answer) => return Ok(answer.quota().and_then(|quota| quota.value())),
            // An account that never asked for more has no value of its own.
            Err(error) if is_absent(&error.code, error.kind) => {}
            Err(error) => return Err(error),
        }
        let request = client.get_aws_default_service_quota().service_code("ec2").quota_code(STANDARD_VCPUS);
        let usual = request.send().await;
        match usual.map_err(|e| cloud_error("GetAWSDefaultServiceQuota", self.region.as_str(), e)) {
            Ok(answer) => Ok(answer.quota().and_then(|quota| quota.value())),
            Err(error) if is_absent(&error.code, error.kind) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_absent(code: &str, kind: CloudErrorKind) -> bool {
    code == "NoSuchResourceException" || kind == CloudErrorKind::NotFound
}

impl RegionServices for Ec2Cloud {
    fn get_parameter<'a>(&'a self, name: &'a str) -> BoxFuture<'a, CloudResult<Option<String>>> {
        self.parameter(name).boxed()
    }

    fn put_parameter<'a>(&'a self, name: &'a str, value: &'a str, overwrite: bool) -> BoxFuture<'a, CloudResult<()>> {
        self.set_parameter(name, value, overwrite).boxed()
    }

    fn kms_sign<'a>(&'a self, key: &'a str, digest: &'a [u8; 32]) -> BoxFuture<'a, CloudResult<Vec<u8>>> {
        self.sign(key, digest).boxed()
    }

    fn kms_public_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, CloudResult<Vec<u8>>> {
        self.public_key(key).boxed()
    }

    fn vcpu_quota(&self) -> BoxFuture<'_, CloudResult<Option<f64>>> {
        self.standard_vcpus().boxed()
    }

    fn offered_types<'a>(&'a self, types: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<String>>> {
        self.types_offered(types).boxed()
    }

    fn dry_run<'a>(&'a self, call: &'a DryRun) -> BoxFuture<'a, CloudResult<DryRunAnswer>> {
        self.ask(call).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_region_and_nothing_else_does() {
        assert_eq!(region_of_arn("arn:aws:kms:eu-west-1:123456789012:key/x"), Some("eu-west-1"));
        assert_eq!(region_of_arn("alias/evidence"), None);
        assert_eq!(region_of_arn("1234abcd-12ab-34cd-56ef-1234567890ab"), None);
    }
}
