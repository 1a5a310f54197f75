//! What stands in requests to EC2 where the mini cloud does not look: networks of one's own, forced deletion of volumes, IPv6, spot prices,
//! and what is asked again where an older instance type refuses.

use std::{collections::BTreeMap, sync::Arc};

use assay_aws::cloud::{Cloud, CloudFactory as _, Ec2Factory, RunInstances};
use assay_config::AccessSettings;

use crate::support::canned_ec2::{Answer, CannedEc2, Parameters, error};

const LAUNCHED: &str = "<RunInstancesResponse><reservationId>r-1</reservationId><instancesSet><item>\
    <instanceId>i-0abcdef1234567890</instanceId><imageId>ami-0abcdef1234567890</imageId>\
    <instanceState><code>0</code><name>pending</name></instanceState></item></instancesSet></RunInstancesResponse>";

async fn client(ec2: &CannedEc2) -> Arc<dyn Cloud> {
    let access = AccessSettings {
        access_key: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
        secret_key: Some("secret".to_owned().into()),
        region: Some("us-east-1".parse().expect("a region")),
        custom_endpoint_ec2: Some(ec2.endpoint().to_owned()),
        max_retries: Some(1),
        ..AccessSettings::default()
    };
    Ec2Factory::connect(&access).await.region(&"us-east-1".parse().expect("a region"))
}

fn launch() -> RunInstances {
    RunInstances {
        image: "ami-0abcdef1234567890".parse().expect("an id"),
        instance_type: "t3.small".to_owned(),
        client_token: "token".to_owned(),
        key_name: "key".to_owned(),
        security_group_ids: vec!["sg-1".to_owned(), "sg-2".to_owned()],
        subnet_id: Some("subnet-1".to_owned()),
        associate_public_ip_address: None,
        iam_instance_profile: None,
        user_data: Vec::new(),
        delete_on_termination: Vec::new(),
        spot_price: None,
        tags: BTreeMap::from([("assay:managed".to_owned(), "true".to_owned())]),
    }
}

/// The one RunInstances that this launch becomes.
async fn request(launch: &RunInstances) -> Parameters {
    let ec2 = CannedEc2::start(|_| (200, LAUNCHED.to_owned()));
    client(&ec2).await.run_instance(launch).await.expect("launched");
    let mut requests = ec2.requests("RunInstances");
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn assert_holds(request: &Parameters, wanted: &[(&str, &str)]) {
    for (key, value) in wanted {
        assert_eq!(request.get(*key).map(String::as_str), Some(*value), "{key} in {request:#?}");
    }
}

#[tokio::test]
async fn every_launch_ends_at_power_off_and_wants_tokens_from_the_metadata_service() {
    let request = request(&launch()).await;
    assert_holds(
        &request,
        &[
            ("InstanceInitiatedShutdownBehavior", "terminate"),
            ("MetadataOptions.HttpTokens", "required"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("ClientToken", "token"),
            ("SubnetId", "subnet-1"),
            ("SecurityGroupId.1", "sg-1"),
            ("SecurityGroupId.2", "sg-2"),
        ],
    );
    let kinds: Vec<&str> = (1..=3).map(|n| request[&format!("TagSpecification.{n}.ResourceType")].as_str()).collect();
    assert_eq!(kinds, ["instance", "volume", "network-interface"]);
    assert!(!request.keys().any(|key| key.starts_with("NetworkInterface") || key.starts_with("BlockDevice")));
    assert!(!request.keys().any(|key| key.starts_with("InstanceMarketOptions")), "{request:#?}");
}

#[tokio::test]
async fn a_public_address_is_asked_for_on_the_interface_with_its_subnet_and_groups() {
    for public in [true, false] {
        let request = request(&RunInstances { associate_public_ip_address: Some(public), ..launch() }).await;
        assert_holds(
            &request,
            &[
                ("NetworkInterface.1.DeviceIndex", "0"),
                ("NetworkInterface.1.AssociatePublicIpAddress", if public { "true" } else { "false" }),
                ("NetworkInterface.1.DeleteOnTermination", "true"),
                ("NetworkInterface.1.SubnetId", "subnet-1"),
                ("NetworkInterface.1.SecurityGroupId.1", "sg-1"),
                ("NetworkInterface.1.SecurityGroupId.2", "sg-2"),
            ],
        );
        // EC2 refuses a launch that has both.
        assert!(!request.contains_key("SubnetId") && !request.contains_key("SecurityGroupId.1"), "{request:#?}");
    }
}

#[tokio::test]
async fn volumes_are_forced_to_go_and_spot_prices_are_handed_on() {
    let devices = vec!["/dev/xvda".to_owned(), "/dev/sdf".to_owned()];
    let profile = Some("logs".to_owned());
    let full = RunInstances {
        delete_on_termination: devices,
        spot_price: Some("0.05".to_owned()),
        iam_instance_profile: profile,
        ..launch()
    };
    assert_holds(
        &request(&full).await,
        &[
            ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ("BlockDeviceMapping.2.DeviceName", "/dev/sdf"),
            ("BlockDeviceMapping.2.Ebs.DeleteOnTermination", "true"),
            ("IamInstanceProfile.Name", "logs"),
            ("InstanceMarketOptions.MarketType", "spot"),
            ("InstanceMarketOptions.SpotOptions.MaxPrice", "0.05"),
            ("InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time"),
            ("InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior", "terminate"),
        ],
    );
    let auto = request(&RunInstances { spot_price: Some("auto".to_owned()), ..launch() }).await;
    assert_eq!(auto["InstanceMarketOptions.MarketType"], "spot");
    assert!(!auto.contains_key("InstanceMarketOptions.SpotOptions.MaxPrice"), "{auto:#?}");
}

#[tokio::test]
async fn the_group_is_of_its_vpc_and_admits_one_port_from_both_kinds_of_address() {
    let ec2 = CannedEc2::start(|request| {
        let action = &request["Action"];
        (
            200,
            format!(
                "<{action}Response><groupId>sg-0abcdef1234567890</groupId><return>true</return></{action}Response>"
            ),
        )
    });
    let cloud = client(&ec2).await;
    let tags = BTreeMap::from([("assay:managed".to_owned(), "true".to_owned())]);
    assert_eq!(
        cloud.create_security_group("assay-x", Some("vpc-7"), &tags).await.expect("made"),
        "sg-0abcdef1234567890"
    );
    assert_holds(&ec2.requests("CreateSecurityGroup")[0], &[("VpcId", "vpc-7"), ("GroupName", "assay-x")]);
    let cidrs = ["192.0.2.1/32".to_owned(), "2001:db8::1/128".to_owned(), "198.51.100.0/24".to_owned()];
    cloud.authorize_ingress("sg-0abcdef1234567890", 2222, &cidrs).await.expect("admitted");
    let request = &ec2.requests("AuthorizeSecurityGroupIngress")[0];
    assert_holds(
        request,
        &[
            ("GroupId", "sg-0abcdef1234567890"),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "2222"),
            ("IpPermissions.1.ToPort", "2222"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "192.0.2.1/32"),
            ("IpPermissions.1.IpRanges.2.CidrIp", "198.51.100.0/24"),
            ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "2001:db8::1/128"),
        ],
    );
    assert!(!request.contains_key("IpPermissions.2.IpProtocol"), "{request:#?}");
}

/// Types before Nitro refuse `Latest`; their console, and with it the host keys, is had without.
#[tokio::test]
async fn a_console_that_refuses_latest_is_asked_again_without() {
    let answer = |request: &Parameters| -> Answer {
        if request.contains_key("Latest") {
            return error(
                "UnsupportedOperation",
                "This instance type does not support retrieving the latest console logs.",
            );
        }
        let told = "<instanceId>i-1</instanceId><output>aG9zdCBrZXk=</output>";
        (200, format!("<GetConsoleOutputResponse>{told}</GetConsoleOutputResponse>"))
    };
    let ec2 = CannedEc2::start(answer);
    let console = client(&ec2).await.console_output("i-1").await.expect("a console");
    assert_eq!(console, b"host key");
    assert_eq!(ec2.requests("GetConsoleOutput").len(), 2);
}
