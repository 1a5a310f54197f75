//! SSM parameters: read one, write one. It owns the choice of the data type and what "not there" means.

use aws_sdk_ssm::types::ParameterType;

use super::{Ec2Cloud, answer::cloud_error};
use crate::cloud::{CloudError, CloudErrorKind, CloudResult};
use assay_model::AmiId;

/// The data type whose values SSM checks to be AMI ids.
const IMAGE: &str = "aws:ec2:image";

impl Ec2Cloud {
    fn ssm(&self) -> aws_sdk_ssm::Client {
        let config = aws_sdk_ssm::config::Builder::from(&self.sdk);
        let region = aws_sdk_ssm::config::Region::new(self.region.to_string());
        aws_sdk_ssm::Client::from_conf(config.region(region).build())
    }

    /// See [`crate::cloud::RegionServices::get_parameter`].
    pub(super) async fn parameter(&self, name: &str) -> CloudResult<Option<String>> {
        let answer = self.ssm().get_parameter().name(name).send().await;
        match answer.map_err(|error| cloud_error("GetParameter", self.region.as_str(), error)) {
            Ok(answer) => {
                let value = answer.parameter().and_then(|parameter| parameter.value()).map(str::to_owned);
                value.map(Some).ok_or_else(|| self.incomplete("GetParameter", "value"))
            }
            Err(error) if matches!(error.code.as_str(), "ParameterNotFound" | "ParameterVersionNotFound") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// See [`crate::cloud::RegionServices::put_parameter`].
    pub(super) async fn set_parameter(&self, name: &str, value: &str, overwrite: bool) -> CloudResult<()> {
        if value.parse::<AmiId>().is_ok() {
            match self.put(name, value, overwrite, IMAGE).await {
                // An existing parameter keeps its data type, and not every partition knows this one.
                Err(error) if refuses_the_type(&error) => {}
                other => return other,
            }
        }
        self.put(name, value, overwrite, "text").await
    }

    async fn put(&self, name: &str, value: &str, overwrite: bool, data_type: &str) -> CloudResult<()> {
        let client = self.ssm();
        let request = client.put_parameter().name(name).value(value).overwrite(overwrite);
        let answer = request.r#type(ParameterType::String).data_type(data_type).send().await;
        match answer.map_err(|error| cloud_error("PutParameter", self.region.as_str(), error)) {
            Ok(_) => Ok(()),
            Err(error) if error.code == "ParameterAlreadyExists" => {
                Err(CloudError { kind: CloudErrorKind::Duplicate, ..error })
            }
            Err(error) => Err(error),
        }
    }
}

fn refuses_the_type(error: &CloudError) -> bool {
    matches!(error.code.as_str(), "ValidationException" | "UnsupportedParameterType")
}
