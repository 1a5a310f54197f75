//! What is launched of the AMIs of a run. It owns which targets there are; it refuses to launch.

use assay_config::LaunchSettings;
use assay_model::{AmiRef, BootOptions, TargetId};

/// Every target of `amis`, in their order: one for each AMI, or one for each AMI on each instance type where several are asked for.
pub(super) fn planned(amis: &[AmiRef], launch: &LaunchSettings) -> Vec<TargetId> {
    let several = launch.instance_types.len() > 1;
    let types: Vec<Option<&String>> = match several {
        true => launch.instance_types.iter().map(Some).collect(),
        false => vec![None],
    };
    let of_ami = |ami: &AmiRef| {
        let target = |instance_type: &Option<&String>| TargetId {
            ami: ami.clone(),
            instance_type: instance_type.cloned(),
            boot: BootOptions::Prepared,
        };
        types.iter().map(target).collect::<Vec<_>>()
    };
    amis.iter().flat_map(of_ami).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ami_is_one_target_or_one_per_type() {
        let amis: Vec<AmiRef> =
            ["us-east-1:ami-0000000a", "eu-west-1:ami-0000000b"].map(|a| a.parse().expect("an AMI")).into();
        let shown = |types: &[&str]| {
            let instance_types = types.iter().map(ToString::to_string).collect();
            let launch = LaunchSettings { instance_types, ..LaunchSettings::default() };
            planned(&amis, &launch).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let plain = ["us-east-1:ami-0000000a", "eu-west-1:ami-0000000b"];
        assert_eq!(shown(&[]), plain);
        assert_eq!(shown(&["t3.small"]), plain, "one type needs no name of its own");
        assert_eq!(
            shown(&["t3.small", "t3.large"]),
            [
                "us-east-1:ami-0000000a/t3.small",
                "us-east-1:ami-0000000a/t3.large",
                "eu-west-1:ami-0000000b/t3.small",
                "eu-west-1:ami-0000000b/t3.large"
            ]
        );
    }
}
