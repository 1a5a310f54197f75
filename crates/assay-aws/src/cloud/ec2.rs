//! [`Cloud`] by the AWS SDK, for one region. It owns the wording of each request; what a failure means is `answer`'s, the shapes are
//! `convert`'s. It refuses to wait, to retry beyond the SDK's own standard mode, and to remember anything.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    operation::run_instances::builders::RunInstancesFluentBuilder,
    types::{
        BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
        InstanceInterruptionBehavior, InstanceMarketOptionsRequest, InstanceMetadataOptionsRequest,
        InstanceNetworkInterfaceSpecification, InstanceType, IpPermission, IpRange, Ipv6Range, MarketType,
        ResourceType, ShutdownBehavior, SpotInstanceType, SpotMarketOptions,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::{BoxFuture, FutureExt};

use super::{
    Cloud, CloudError, CloudErrorKind, CloudImage, CloudInstance, CloudResult, CloudSubnet, DescribeFilters,
    InstanceStatus, NamedResource, RunInstances,
};
use assay_model::{AccountId, AmiId, Region};

mod answer;
mod convert;
mod dry_run;
mod estate;
mod fleets;
mod network;
mod parameter;
mod retry;
mod services;
mod sharing;
mod templates;
mod uses;
mod whole;

use answer::{call, cloud_error, incomplete, resource_id};

/// How much a listing asks for at once: EC2 can refuse listings that ask for no pages ("Actions that require pagination", EC2 API Reference). Never with ids.
const PAGE: i32 = 200;
/// EC2 takes at most 200 values in one filter ("Filter" in the EC2 API reference).
const FILTER_VALUES: usize = 200;
/// GetConsoleOutput returns at most 64 KiB.
const CONSOLE_BYTES: usize = 64 * 1024;
/// One hop: the instance itself. A container on it could only reach the metadata with two, and a test has nothing to fetch there.
const IMDS_HOPS: i32 = 1;

type TagMap = BTreeMap<String, String>;

/// EC2 in one region.
pub(super) struct Ec2Cloud {
    region: Region,
    client: Client,
    /// What the other services' clients are made of, when first asked.
    sdk: SdkConfig,
}

impl Ec2Cloud {
    /// A client for `region`, at `endpoint` where one is given.
    pub(super) fn new(region: Region, sdk: &SdkConfig, endpoint: Option<&str>) -> Self {
        let mut config =
            aws_sdk_ec2::config::Builder::from(sdk).region(aws_sdk_ec2::config::Region::new(region.to_string()));
        config = config.retry_classifier(retry::LackIsFinal).interceptor(whole::WholeAnswer);
        if let Some(url) = endpoint {
            config = config.endpoint_url(url);
        }
        Self { region, client: Client::from_conf(config.build()), sdk: sdk.clone() }
    }

    fn incomplete(&self, action: &'static str, what: &str) -> CloudError {
        incomplete(action, self.region.as_str(), what)
    }

    async fn instances_where(&self, filters: Vec<aws_sdk_ec2::types::Filter>) -> CloudResult<Vec<CloudInstance>> {
        let mut pages =
            self.client.describe_instances().set_filters(Some(filters)).into_paginator().page_size(PAGE).send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeInstances", self.region.as_str(), e))?;
            found.extend(page.reservations().iter().flat_map(|r| r.instances()).filter_map(convert::instance));
        }
        Ok(found)
    }

    async fn images_where(
        &self,
        request: aws_sdk_ec2::operation::describe_images::builders::DescribeImagesFluentBuilder,
    ) -> CloudResult<Vec<CloudImage>> {
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeImages", self.region.as_str(), e))?;
            found.extend(page.images().iter().filter_map(convert::image));
        }
        Ok(found)
    }

    /// The request of a launch. What every launch must have is set here and nowhere else.
    fn launch_request(&self, launch: &RunInstances) -> RunInstancesFluentBuilder {
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(HttpTokensState::Required)
            .http_put_response_hop_limit(IMDS_HOPS);
        let mut request = self
            .client
            .run_instances()
            .min_count(1)
            .max_count(1)
            .image_id(launch.image.as_str())
            .instance_type(InstanceType::from(launch.instance_type.as_str()))
            .client_token(&launch.client_token)
            .key_name(&launch.key_name)
            .metadata_options(metadata.build())
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .set_user_data((!launch.user_data.is_empty()).then(|| STANDARD.encode(&launch.user_data)));
        for resource in [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface] {
            request = request.tag_specifications(convert::tag_specification(resource, &launch.tags));
        }
        for device in &launch.delete_on_termination {
            let ebs = EbsBlockDevice::builder().delete_on_termination(true).build();
            let mapping = BlockDeviceMapping::builder().device_name(device).ebs(ebs).build();
            request = request.block_device_mappings(mapping);
        }
        if let Some(profile) = &launch.iam_instance_profile {
            request = request.iam_instance_profile(IamInstanceProfileSpecification::builder().name(profile).build());
        }
        let request = with_network(request, launch);
        with_market(request, launch.spot_price.as_deref())
    }
}

/// Subnet and groups; on the interface where the public address is asked for, since EC2 takes it nowhere else.
fn with_network(request: RunInstancesFluentBuilder, launch: &RunInstances) -> RunInstancesFluentBuilder {
    let Some(public) = launch.associate_public_ip_address else {
        return request
            .set_subnet_id(launch.subnet_id.clone())
            .set_security_group_ids(Some(launch.security_group_ids.clone()));
    };
    let interface = InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .associate_public_ip_address(public)
        .delete_on_termination(true)
        .set_subnet_id(launch.subnet_id.clone())
        .set_groups(Some(launch.security_group_ids.clone()));
    request.network_interfaces(interface.build())
}

/// A one-time spot request that ends with its instance. Without a maximum price EC2 takes the on-demand price, which is what `auto` says.
fn with_market(request: RunInstancesFluentBuilder, spot_price: Option<&str>) -> RunInstancesFluentBuilder {
    let Some(price) = spot_price else { return request };
    let spot = SpotMarketOptions::builder()
        .spot_instance_type(SpotInstanceType::OneTime)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
        .set_max_price((price != "auto").then(|| price.to_owned()));
    let market = InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(spot.build());
    request.instance_market_options(market.build())
}

/// TCP `port` from each block; text with a colon is IPv6.
fn ingress(port: u16, cidrs: &[String]) -> IpPermission {
    let (v6, v4): (Vec<&String>, Vec<&String>) = cidrs.iter().partition(|cidr| cidr.contains(':'));
    IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(port.into())
        .to_port(port.into())
        .set_ip_ranges(Some(v4.into_iter().map(|c| IpRange::builder().cidr_ip(c).build()).collect()))
        .set_ipv6_ranges(Some(v6.into_iter().map(|c| Ipv6Range::builder().cidr_ipv6(c).build()).collect()))
        .build()
}

/// STS GetCallerIdentity: the account.
pub(super) async fn caller_account(sdk: &SdkConfig) -> CloudResult<AccountId> {
    caller_identity(sdk, None).await.map(|(account, _)| account)
}

/// STS GetCallerIdentity: account and ARN. `date` notes that of the answer.
pub(super) async fn caller_identity(
    sdk: &SdkConfig,
    date: Option<super::caller::DateHeader>,
) -> CloudResult<(AccountId, String)> {
    const ACTION: &str = "GetCallerIdentity";
    let mut config = aws_sdk_sts::config::Builder::from(sdk);
    let region = sdk.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
    config = config.region(aws_sdk_sts::config::Region::new(region.clone()));
    let client = aws_sdk_sts::Client::from_conf(config.build());
    let request = client.get_caller_identity().customize();
    let request = match date {
        Some(date) => request.interceptor(date),
        None => request,
    };
    let answer = request.send().await.map_err(|e| cloud_error(ACTION, &region, e))?;
    let account =
        answer.account().and_then(|a| a.parse().ok()).ok_or_else(|| incomplete(ACTION, &region, "account"))?;
    Ok((account, answer.arn().unwrap_or_default().to_owned()))
}

/// DescribeRegions: the regions that the account may use.
pub(super) async fn regions(client: &Ec2Cloud) -> CloudResult<Vec<Region>> {
    const ACTION: &str = "DescribeRegions";
    let answer =
        client.client.describe_regions().send().await.map_err(|e| cloud_error(ACTION, client.region.as_str(), e))?;
    Ok(answer.regions().iter().filter_map(|r| r.region_name()?.parse().ok()).collect())
}

impl Cloud for Ec2Cloud {
    fn region(&self) -> &Region {
        &self.region
    }

    fn describe_images<'a>(&'a self, ids: &'a [AmiId]) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>> {
        async move {
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let ids = ids.iter().map(|id| id.to_string()).collect();
            let request = self.client.describe_images().set_image_ids(Some(ids));
            self.images_where(request.include_deprecated(true).include_disabled(true)).await
        }
        .boxed()
    }

    fn find_images<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>> {
        async move {
            if tags.is_empty() {
                return Ok(Vec::new());
            }
            let request = self.client.describe_images().owners("self").max_results(PAGE);
            self.images_where(request.set_filters(Some(convert::tag_filters(tags)))).await
        }
        .boxed()
    }

    fn create_tags<'a>(&'a self, ids: &'a [String], tags: &'a TagMap) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            let request = self.client.create_tags().set_resources(Some(ids.to_vec()));
            call!(self, "CreateTags", request.set_tags(Some(convert::sdk_tags(tags))));
            Ok(())
        }
        .boxed()
    }

    fn describe_tags<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<BTreeMap<String, TagMap>>> {
        async move {
            let mut found: BTreeMap<String, TagMap> = BTreeMap::new();
            for ids in ids.chunks(FILTER_VALUES) {
                let wanted = convert::filter("resource-id", ids.iter().cloned());
                let mut pages = self.client.describe_tags().filters(wanted).into_paginator().page_size(PAGE).send();
                while let Some(page) = pages.next().await {
                    let page = page.map_err(|e| cloud_error("DescribeTags", self.region.as_str(), e))?;
                    for tag in page.tags() {
                        if let (Some(id), Some(key)) = (tag.resource_id(), tag.key()) {
                            let value = tag.value().unwrap_or_default().to_owned();
                            found.entry(id.to_owned()).or_default().insert(key.to_owned(), value);
                        }
                    }
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn enable_deregistration_protection<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            let request = self.client.enable_image_deregistration_protection().image_id(id.as_str());
            call!(self, "EnableImageDeregistrationProtection", request.with_cooldown(false));
            Ok(())
        }
        .boxed()
    }

    fn disable_deregistration_protection<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            let request = self.client.disable_image_deregistration_protection().image_id(id.as_str());
            call!(self, "DisableImageDeregistrationProtection", request);
            Ok(())
        }
        .boxed()
    }

    fn import_key_pair<'a>(
        &'a self,
        name: &'a str,
        public_key: &'a str,
        tags: &'a TagMap,
    ) -> BoxFuture<'a, CloudResult<String>> {
        async move {
            let material = aws_sdk_ec2::primitives::Blob::new(public_key.as_bytes());
            let request = self.client.import_key_pair().key_name(name).public_key_material(material);
            let request = request.tag_specifications(convert::tag_specification(ResourceType::KeyPair, tags));
            let answer = call!(self, "ImportKeyPair", request);
            resource_id("key", answer.key_pair_id()).ok_or_else(|| self.incomplete("ImportKeyPair", "key pair id"))
        }
        .boxed()
    }

    fn delete_key_pair<'a>(&'a self, name: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "DeleteKeyPair", self.client.delete_key_pair().key_name(name));
            Ok(())
        }
        .boxed()
    }

    fn find_key_pairs<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>> {
        async move {
            if tags.is_empty() {
                return Ok(Vec::new());
            }
            let request = self.client.describe_key_pairs().set_filters(Some(convert::tag_filters(tags)));
            let answer = call!(self, "DescribeKeyPairs", request);
            Ok(answer.key_pairs().iter().filter_map(convert::key_pair).collect())
        }
        .boxed()
    }

    fn find_vpcs<'a>(&'a self, filters: &'a DescribeFilters) -> BoxFuture<'a, CloudResult<Vec<String>>> {
        self.vpcs_where(filters).boxed()
    }

    fn find_subnets<'a>(&'a self, filters: &'a DescribeFilters) -> BoxFuture<'a, CloudResult<Vec<CloudSubnet>>> {
        self.subnets_where(filters).boxed()
    }

    fn create_security_group<'a>(
        &'a self,
        name: &'a str,
        vpc: Option<&'a str>,
        tags: &'a TagMap,
    ) -> BoxFuture<'a, CloudResult<String>> {
        async move {
            let request = self.client.create_security_group().group_name(name).set_vpc_id(vpc.map(str::to_owned));
            let request = request.description("Temporary group of an assay test; removed when the test ends");
            let tags = convert::tag_specification(ResourceType::SecurityGroup, tags);
            let answer = call!(self, "CreateSecurityGroup", request.tag_specifications(tags));
            resource_id("sg", answer.group_id()).ok_or_else(|| self.incomplete("CreateSecurityGroup", "group id"))
        }
        .boxed()
    }

    fn authorize_ingress<'a>(
        &'a self,
        group: &'a str,
        port: u16,
        cidrs: &'a [String],
    ) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            let request = self.client.authorize_security_group_ingress().group_id(group);
            call!(self, "AuthorizeSecurityGroupIngress", request.ip_permissions(ingress(port, cidrs)));
            Ok(())
        }
        .boxed()
    }

    fn delete_security_group<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "DeleteSecurityGroup", self.client.delete_security_group().group_id(id));
            Ok(())
        }
        .boxed()
    }

    fn find_security_groups<'a>(
        &'a self,
        tags: &'a [(String, String)],
    ) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>> {
        async move {
            if tags.is_empty() {
                return Ok(Vec::new());
            }
            self.groups_where(convert::tag_filters(tags)).await
        }
        .boxed()
    }

    fn filter_security_groups<'a>(
        &'a self,
        filters: &'a DescribeFilters,
    ) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>> {
        async move {
            if filters.is_empty() {
                return Ok(Vec::new());
            }
            self.groups_where(convert::filters(filters)).await
        }
        .boxed()
    }

    fn run_instance<'a>(&'a self, launch: &'a RunInstances) -> BoxFuture<'a, CloudResult<CloudInstance>> {
        async move {
            let answer = call!(self, "RunInstances", self.launch_request(launch));
            let first = answer.instances().first().and_then(convert::instance);
            first.ok_or_else(|| self.incomplete("RunInstances", "instance"))
        }
        .boxed()
    }

    fn describe_instances<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>> {
        async move {
            // By filter: the parameter InstanceIds makes one unknown id fail the answer for all others.
            let mut found = Vec::new();
            for ids in ids.chunks(FILTER_VALUES) {
                found.extend(self.instances_where(vec![convert::filter("instance-id", ids.iter().cloned())]).await?);
            }
            Ok(found)
        }
        .boxed()
    }

    fn find_instances<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>> {
        async move {
            if tags.is_empty() { Ok(Vec::new()) } else { self.instances_where(convert::tag_filters(tags)).await }
        }
        .boxed()
    }

    fn instance_status<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<Option<InstanceStatus>>> {
        async move {
            let request = self.client.describe_instance_status().instance_ids(id).include_all_instances(true);
            let answer = call!(self, "DescribeInstanceStatus", request);
            let found = answer.instance_statuses().iter().find(|status| status.instance_id() == Some(id));
            Ok(found.map(convert::instance_status))
        }
        .boxed()
    }

    fn find_by_client_token<'a>(&'a self, token: &'a str) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>> {
        async move { self.instances_where(vec![convert::filter("client-token", [token.to_owned()])]).await }.boxed()
    }

    fn reboot_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "RebootInstances", self.client.reboot_instances().instance_ids(id));
            Ok(())
        }
        .boxed()
    }

    fn stop_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "StopInstances", self.client.stop_instances().instance_ids(id));
            Ok(())
        }
        .boxed()
    }

    fn start_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "StartInstances", self.client.start_instances().instance_ids(id));
            Ok(())
        }
        .boxed()
    }

    fn terminate_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "TerminateInstances", self.client.terminate_instances().instance_ids(id));
            Ok(())
        }
        .boxed()
    }

    fn find_volumes<'a>(
        &'a self,
        tags: &'a [(String, String)],
    ) -> BoxFuture<'a, CloudResult<BTreeMap<String, TagMap>>> {
        async move {
            if tags.is_empty() {
                return Ok(BTreeMap::new());
            }
            let request = self.client.describe_volumes().set_filters(Some(convert::tag_filters(tags)));
            let mut pages = request.into_paginator().page_size(PAGE).send();
            let mut found = BTreeMap::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|e| cloud_error("DescribeVolumes", self.region.as_str(), e))?;
                for volume in page.volumes() {
                    if let Some(id) = volume.volume_id() {
                        found.insert(id.to_owned(), convert::tag_map(volume.tags()));
                    }
                }
            }
            Ok(found)
        }
        .boxed()
    }

    fn delete_volume<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        async move {
            call!(self, "DeleteVolume", self.client.delete_volume().volume_id(id));
            Ok(())
        }
        .boxed()
    }

    fn console_output<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<Vec<u8>>> {
        async move {
            let request = || self.client.get_console_output().instance_id(id);
            let latest = request().latest(true).send().await;
            let answer = match latest.map_err(|e| cloud_error("GetConsoleOutput", self.region.as_str(), e)) {
                // Only Nitro types know Latest; the others refuse the parameter.
                Err(error) if matches!(error.kind, CloudErrorKind::Invalid | CloudErrorKind::Other) => {
                    call!(self, "GetConsoleOutput", request())
                }
                other => other?,
            };
            let text: String = answer.output().unwrap_or_default().split_whitespace().collect();
            let mut bytes =
                STANDARD.decode(text).map_err(|_| self.incomplete("GetConsoleOutput", "output in base64"))?;
            let surplus = bytes.len().saturating_sub(CONSOLE_BYTES);
            Ok(bytes.split_off(surplus))
        }
        .boxed()
    }
}
