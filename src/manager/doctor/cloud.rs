//! AWS: who we are, whose clock is right, and what each region says of networks, types, quota and rights. It asks; nothing is made.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::{DoctorFinding, FindingLevel};
use assay_aws::{
    cloud::{
        Cloud, CloudError, CloudErrorKind, CloudFactory, CloudImage, DescribeFilters, DryRun, DryRunAnswer, Ec2Factory,
    },
    launch::KeyPairText,
};
use assay_config::doctor::{DoctorRequest, LaunchPlace};
use assay_iam::{IamRole, NO_GROUP, NO_INSTANCE, NO_KEY_PAIR};
use assay_model::{AmiId, ImageState, Region, tags};

/// EC2 refuses requests whose time differs by more ("Troubleshooting SigV4" in the IAM User Guide).
const MOST_SKEW: i64 = 300;
/// What a run should have before its credentials end, in seconds.
const RUN: i64 = 3_600;
/// vCPUs of one t3.small or t4g.small.
const ONE_INSTANCE: f64 = 2.0;

/// Everything, or only why nothing can be asked.
pub(super) async fn look(request: &DoctorRequest) -> Vec<DoctorFinding> {
    let factory = Ec2Factory::connect(&request.access).await;
    let (mut findings, known) = identity(&factory).await;
    if !known {
        return findings;
    }
    if request.regions.is_empty() {
        let cure = "name them in assay.hcl (`regions` of an image), or with --region";
        findings.push(DoctorFinding::bad("regions", FindingLevel::Unknown, "no region is known to look at", cure));
    }
    let regions = join_all(request.regions.iter().map(|region| look_at(request, &factory, region))).await;
    findings.extend(regions.into_iter().flatten());
    findings
}

/// Who we are to AWS alone.
pub(super) async fn who(request: &DoctorRequest) -> Vec<DoctorFinding> {
    identity(&Ec2Factory::connect(&request.access).await).await.0
}

/// Credentials, account and clock, and whether AWS knows us.
async fn identity(factory: &Ec2Factory) -> (Vec<DoctorFinding>, bool) {
    let mut findings = match credentials(factory).await {
        Ok(finding) => vec![finding],
        Err(finding) => return (vec![finding], false),
    };
    match factory.caller().await {
        Ok(caller) => {
            findings.push(DoctorFinding::ok("account", format!("{} as {}", caller.account, caller.arn)));
            findings.push(clock(caller.clock_ahead));
            (findings, true)
        }
        Err(error) => {
            let cure = "renew the credentials, or look at profile, assume_role and AWS_* variables";
            findings.push(failed("account", &error, cure));
            (findings, false)
        }
    }
}

async fn credentials(factory: &Ec2Factory) -> Result<DoctorFinding, DoctorFinding> {
    const ABOUT: &str = "credentials";
    let found = factory.credentials().await.map_err(|error| {
        let cure = "give this job credentials: an OIDC token with a role, a profile, or AWS_* variables";
        DoctorFinding::bad(ABOUT, FindingLevel::Error, error.message, cure)
    })?;
    let who = format!("{} from {}", found.access_key_id, found.source);
    let Some(end) = found.expires_at else { return Ok(DoctorFinding::ok(ABOUT, who)) };
    let left = end - jiff::Timestamp::now().as_second();
    let cure = "a run may take longer: have a role with longer sessions, or credentials that renew themselves";
    Ok(match left {
        ..=0 => DoctorFinding::bad(ABOUT, FindingLevel::Error, format!("{who}; they have expired"), "renew them"),
        1..RUN => {
            DoctorFinding::bad(ABOUT, FindingLevel::Warning, format!("{who}; they end in {} min", left / 60), cure)
        }
        _ => DoctorFinding::ok(ABOUT, format!("{who}; {} min left", left / 60)),
    })
}

fn clock(ahead: Option<i64>) -> DoctorFinding {
    const ABOUT: &str = "clock";
    let cure = "set this machine's clock: AWS refuses requests that are more than five minutes off";
    let words = |ahead: i64| match ahead {
        0 => "agrees with AWS's".to_owned(),
        1.. => format!("is {ahead} s ahead of AWS's"),
        _ => format!("is {} s behind AWS's", -ahead),
    };
    match ahead {
        None => DoctorFinding::bad(ABOUT, FindingLevel::Unknown, "the answer bore no date", cure),
        Some(ahead) if ahead.abs() > MOST_SKEW => DoctorFinding::bad(ABOUT, FindingLevel::Error, words(ahead), cure),
        Some(ahead) if ahead.abs() > MOST_SKEW / 5 => {
            DoctorFinding::bad(ABOUT, FindingLevel::Warning, words(ahead), cure)
        }
        Some(ahead) => DoctorFinding::ok(ABOUT, words(ahead)),
    }
}

async fn look_at(request: &DoctorRequest, factory: &dyn CloudFactory, region: &Region) -> Vec<DoctorFinding> {
    let cloud = factory.region(region);
    let cloud = cloud.as_ref();
    // Where gold is only copied to, nothing is launched.
    let place = request.launches.get(region).filter(|_| request.role.is_none_or(IamRole::launches));
    let (of_launching, rights) = tokio::join!(
        async {
            match place {
                Some(place) => launching(place, cloud).await,
                None => Vec::new(),
            }
        },
        rights(request, place, cloud),
    );
    of_launching.into_iter().chain(rights).collect()
}

async fn launching(place: &LaunchPlace, cloud: &dyn Cloud) -> Vec<DoctorFinding> {
    let (networks, types, quota) = tokio::join!(networks(place, cloud), types(place, cloud), quota(cloud));
    networks.into_iter().chain(types).chain([quota]).collect()
}

/// What is named and not there.
async fn networks(place: &LaunchPlace, cloud: &dyn Cloud) -> Vec<DoctorFinding> {
    let about = cloud.region().as_str();
    let mut findings = Vec::new();
    if !place.subnets.is_empty() {
        let ids: Vec<String> = place.subnets.iter().cloned().collect();
        let filters: DescribeFilters = [("subnet-id".to_owned(), ids.clone())].into();
        let cure = "correct subnet_id or subnet_ids in assay.hcl";
        findings.push(match cloud.find_subnets(&filters).await {
            Ok(found) => {
                let known: Vec<&str> = found.iter().map(|subnet| subnet.id.as_str()).collect();
                let lost: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !known.contains(id)).collect();
                match (lost.as_slice(), found.iter().map(|subnet| subnet.free_addresses).sum::<i32>()) {
                    ([], 0) => DoctorFinding::bad(about, FindingLevel::Error, "the subnets have no free address", cure),
                    ([], free) => {
                        DoctorFinding::ok(about, format!("{} subnets with {free} free addresses", found.len()))
                    }
                    (lost, _) => {
                        DoctorFinding::bad(about, FindingLevel::Error, format!("no subnet {}", lost.join(", ")), cure)
                    }
                }
            }
            Err(error) => failed(about, &error, "allow ec2:DescribeSubnets"),
        });
    }
    if place.default_vpc {
        let filters: DescribeFilters = [("is-default".to_owned(), vec!["true".to_owned()])].into();
        let cure = "name vpc_id, subnet_ids, vpc_filter or subnet_filter in assay.hcl, or make a default VPC";
        findings.push(match cloud.find_vpcs(&filters).await {
            Ok(found) if found.is_empty() => {
                DoctorFinding::bad(about, FindingLevel::Error, "there is no default VPC", cure)
            }
            Ok(found) => DoctorFinding::ok(about, format!("default VPC {}", found.join(", "))),
            Err(error) => failed(about, &error, "allow ec2:DescribeVpcs"),
        });
    }
    findings
}

async fn types(place: &LaunchPlace, cloud: &dyn Cloud) -> Vec<DoctorFinding> {
    let about = cloud.region().as_str();
    let asked: Vec<String> = place.instance_types.union(&place.fallback_types).cloned().collect();
    if asked.is_empty() {
        return Vec::new();
    }
    match cloud.offered_types(&asked).await {
        Ok(offered) => types_lost(place, about, &asked, &offered),
        Err(error) => vec![failed(about, &error, "allow ec2:DescribeInstanceTypeOfferings")],
    }
}

/// A type that is tested on must be there; without one that is only fallen back to a run may have fewer chances, and no more.
fn types_lost(place: &LaunchPlace, about: &str, asked: &[String], offered: &[String]) -> Vec<DoctorFinding> {
    let (tested, fallbacks): (Vec<&str>, Vec<&str>) = asked
        .iter()
        .filter(|kind| !offered.contains(kind))
        .map(String::as_str)
        .partition(|kind| place.instance_types.contains(*kind));
    if tested.is_empty() && fallbacks.is_empty() {
        return vec![DoctorFinding::ok(about, format!("{} offered", asked.join(", ")))];
    }
    let finding = |lost: Vec<&str>, level, cure| {
        let found = format!("{} not offered here", lost.join(", "));
        (!lost.is_empty()).then(|| DoctorFinding::bad(about, level, found, cure))
    };
    let tested = finding(tested, FindingLevel::Error, "name another instance_type in assay.hcl");
    let fallbacks =
        finding(fallbacks, FindingLevel::Warning, "launches do without; name another in instance_type_fallbacks");
    tested.into_iter().chain(fallbacks).collect()
}

async fn quota(cloud: &dyn Cloud) -> DoctorFinding {
    let about = cloud.region().as_str();
    match cloud.vcpu_quota().await {
        Ok(Some(quota)) if quota < ONE_INSTANCE => DoctorFinding::bad(
            about,
            FindingLevel::Error,
            format!("the quota for standard instances is {quota} vCPUs"),
            "ask for more in Service Quotas (L-1216C47A)",
        ),
        Ok(Some(quota)) => DoctorFinding::ok(about, format!("quota for standard instances: {quota} vCPUs")),
        Ok(None) => DoctorFinding::bad(
            about,
            FindingLevel::Warning,
            "nobody says what the vCPU quota is",
            "look at Service Quotas (L-1216C47A)",
        ),
        Err(error) => DoctorFinding::bad(
            about,
            FindingLevel::Warning,
            format!("the vCPU quota is not known: {error}"),
            "allow servicequotas:GetServiceQuota and servicequotas:GetAWSDefaultServiceQuota, or do without",
        ),
    }
}

/// What the role must be allowed, as far as EC2 can be asked without a thing to do it to.
async fn rights(request: &DoctorRequest, place: Option<&LaunchPlace>, cloud: &dyn Cloud) -> Vec<DoctorFinding> {
    let about = cloud.region().as_str();
    let mut calls = Vec::new();
    if let Some(place) = place {
        calls.extend(of_launching(request, place));
    }
    let mut findings = Vec::new();
    if matches!(request.role, Some(IamRole::Promoter | IamRole::Sweeper)) {
        let managed = [(tags::MANAGED.to_owned(), "true".to_owned())];
        match cloud.find_images(&managed).await {
            Ok(images) => calls.extend(of_images(request.role, &images)),
            Err(error) => findings.push(failed(about, &error, "allow ec2:DescribeImages")),
        }
        if calls.is_empty() {
            let found = "there is no AMI of ours to ask EC2 about";
            findings.push(DoctorFinding::bad(about, FindingLevel::Warning, found, "ask again when there is one"));
        }
    }
    let answers = join_all(calls.iter().map(|call| cloud.dry_run(call))).await;
    let mut allowed = Vec::new();
    for (call, answer) in calls.iter().zip(answers) {
        let action = call.action();
        let cure = || {
            let role = request.role.map_or("…", IamRole::as_str);
            format!("allow ec2:{action}: see assay iam --role {role}")
        };
        match answer {
            Ok(DryRunAnswer::Allowed | DryRunAnswer::NotSaid(_)) => allowed.push(action),
            Ok(DryRunAnswer::Denied(words)) => findings.push(DoctorFinding::bad(
                about,
                FindingLevel::Error,
                format!("ec2:{action} is not allowed: {words}"),
                cure(),
            )),
            Err(error) => findings.push(failed(about, &error, &cure())),
        }
    }
    if !allowed.is_empty() {
        findings.insert(0, DoctorFinding::ok(about, format!("not refused by EC2: {}", allowed.join(", "))));
    }
    findings
}

/// Launching itself needs a key pair and a group that exist, so it cannot be asked about.
fn of_launching(request: &DoctorRequest, place: &LaunchPlace) -> Vec<DryRun> {
    let given = [
        (tags::MANAGED, "true"),
        (tags::RUN, "00000000000000000000000000"),
        (tags::EXPIRES_AT, "1970-01-01T00:00:00Z"),
    ];
    let given: BTreeMap<String, String> =
        given.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut calls = Vec::new();
    if let Ok(identity) = KeyPairText::generate("assay-doctor") {
        let name = "assay-doctor".to_owned();
        calls.push(DryRun::ImportKeyPair { name, public_key: identity.public_key, tags: given.clone() });
    }
    if request.security_groups.is_empty() {
        let name = "assay-doctor".to_owned();
        calls.push(DryRun::CreateSecurityGroup { name, vpc: place.vpc.clone(), tags: given });
        calls.push(DryRun::DeleteSecurityGroup { group: NO_GROUP.to_owned() });
    }
    calls.push(DryRun::DeleteKeyPair { name: NO_KEY_PAIR.to_owned() });
    calls.push(DryRun::TerminateInstances { instance: NO_INSTANCE.to_owned() });
    calls
}

/// Asked about AMIs that are there, with what they already are.
fn of_images(role: Option<IamRole>, images: &[CloudImage]) -> Vec<DryRun> {
    let state = |image: &CloudImage| image.tags.get(tags::STATE).and_then(|word| word.parse::<ImageState>().ok());
    let first = |wanted: &[ImageState]| -> Option<(AmiId, ImageState)> {
        images.iter().find_map(|image| {
            let state = state(image).filter(|state| wanted.contains(state))?;
            Some((image.id.clone(), state))
        })
    };
    let mut calls = Vec::new();
    let decided = [ImageState::Gold, ImageState::Vetted, ImageState::Retired, ImageState::Revoked];
    if let (Some(IamRole::Promoter), Some((image, state))) = (role, first(&decided)) {
        let same = [(tags::STATE.to_owned(), state.to_string())].into();
        calls.push(DryRun::CreateTags { resource: image.to_string(), tags: same });
        calls.push(DryRun::ModifyImageAttribute { image: image.clone() });
        calls.push(DryRun::EnableImageDeprecation { image });
    }
    let spare =
        [ImageState::Rejected, ImageState::Retired, ImageState::Untested, ImageState::Candidate, ImageState::Revoked];
    if let (Some(IamRole::Sweeper), Some((image, _))) = (role, first(&spare)) {
        calls.push(DryRun::EnableImageDeprecation { image: image.clone() });
        calls.push(DryRun::DisableImage { image: image.clone() });
        calls.push(DryRun::DeregisterImage { image });
    }
    calls
}

/// A call that did not do what was asked: a refusal is a mistake, silence is not known.
fn failed(about: &str, error: &CloudError, cure: &str) -> DoctorFinding {
    let level = match error.kind {
        CloudErrorKind::Denied | CloudErrorKind::Credentials => FindingLevel::Error,
        _ => FindingLevel::Unknown,
    };
    DoctorFinding::bad(about, level, error.to_string(), cure)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use assay_aws::cloud::fake::FakeCloud;
    use assay_config::{
        request::OutputFormat,
        settings::{AccessSettings, ProberSettings},
    };

    /// Launches in us-east-1 that name a subnet filter, copies to eu-west-1.
    fn request(role: Option<IamRole>) -> DoctorRequest {
        let place = LaunchPlace { instance_types: ["t3.small".to_owned()].into(), ..LaunchPlace::default() };
        let [here, copy] = ["us-east-1", "eu-west-1"].map(|name| name.parse::<Region>().expect("a region"));
        DoctorRequest {
            ci: false,
            role,
            access: AccessSettings::default(),
            images: Vec::new(),
            regions: vec![copy, here.clone()],
            launches: [(here, place)].into(),
            security_groups: Vec::new(),
            prober: ProberSettings::default(),
            folder: PathBuf::new(),
            branch: "main".to_owned(),
            remote: None,
            mistakes: None,
            format: OutputFormat::Text,
        }
    }

    /// The actions of a look at both regions, as `region action`.
    async fn asked(request: &DoctorRequest) -> Vec<String> {
        let cloud = FakeCloud::new();
        for region in &request.regions {
            look_at(request, &cloud, region).await;
        }
        let action = |call: String| call.split(' ').take(2).collect::<Vec<_>>().join(" ");
        cloud.calls().into_iter().map(action).collect()
    }

    #[tokio::test]
    async fn a_region_of_copies_is_asked_what_copying_needs_and_no_more() {
        let of_copies = |calls: &[String]| -> Vec<String> {
            calls.iter().filter(|call| call.starts_with("eu-west-1")).cloned().collect()
        };
        for role in [None, Some(IamRole::Builder), Some(IamRole::Tester)] {
            let calls = asked(&request(role)).await;
            assert_eq!(of_copies(&calls), [""; 0], "{role:?}");
            for needed in ["DescribeInstanceTypeOfferings", "GetServiceQuota", "DryRun"] {
                assert!(calls.contains(&format!("us-east-1 {needed}")), "{role:?}: {needed} in {calls:?}");
            }
        }
        for role in [IamRole::Promoter, IamRole::Sweeper] {
            let calls = asked(&request(Some(role))).await;
            assert_eq!(of_copies(&calls), ["eu-west-1 DescribeImages"], "{role}");
        }
    }

    #[tokio::test]
    async fn the_default_vpc_is_asked_for_only_where_it_is_needed() {
        let mut request = request(Some(IamRole::Tester));
        let of_vpcs = |calls: Vec<String>| calls.iter().filter(|call| call.ends_with("DescribeVpcs")).count();
        assert_eq!(of_vpcs(asked(&request).await), 0, "a subnet filter chooses");
        request.launches.values_mut().for_each(|place| place.default_vpc = true);
        assert_eq!(of_vpcs(asked(&request).await), 1);
    }

    #[test]
    fn a_type_to_fall_back_to_that_is_missing_is_a_warning() {
        let place = LaunchPlace {
            instance_types: ["m7i.large", "t3.small"].map(str::to_owned).into(),
            fallback_types: ["m6i.large".to_owned()].into(),
            ..LaunchPlace::default()
        };
        let asked = ["m6i.large", "m7i.large", "t3.small"].map(str::to_owned);
        let lost = |offered: &[usize]| -> Vec<(FindingLevel, String)> {
            let offered: Vec<String> = offered.iter().map(|n| asked[*n].clone()).collect();
            types_lost(&place, "x", &asked, &offered)
                .into_iter()
                .map(|finding| (finding.level, finding.found))
                .collect()
        };
        let not_here = |kind: &str| format!("{kind} not offered here");
        assert_eq!(lost(&[0, 1, 2]), [(FindingLevel::Ok, "m6i.large, m7i.large, t3.small offered".to_owned())]);
        assert_eq!(lost(&[1, 2]), [(FindingLevel::Warning, not_here("m6i.large"))]);
        assert_eq!(
            lost(&[2]),
            [(FindingLevel::Error, not_here("m7i.large")), (FindingLevel::Warning, not_here("m6i.large"))]
        );
    }

    #[test]
    fn a_clock_that_aws_would_refuse_is_an_error() {
        let level = |ahead| clock(ahead).level;
        assert_eq!(level(Some(0)), FindingLevel::Ok);
        assert_eq!(level(Some(-61)), FindingLevel::Warning);
        assert_eq!(level(Some(300)), FindingLevel::Warning);
        assert_eq!(level(Some(301)), FindingLevel::Error);
        assert_eq!(level(None), FindingLevel::Unknown);
        assert_eq!(clock(Some(-400)).found, "is 400 s behind AWS's");
    }
}
