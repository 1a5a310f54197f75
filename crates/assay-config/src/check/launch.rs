//! The boot settings.

use std::{io::Read, time::Duration};

use super::{
    access::is_name,
    checker::OptionChecker,
    network::{filters, resource_id, security_groups, subnet_filter, subnets},
    results::tags,
    ssh::duration,
};
use crate::{
    settings::{CidrBlock, LaunchSettings},
    units, user_data,
};
use assay_model::target;
use assay_suite::ReadableFolders;

/// Options of which only one may be given; a filter beside an id is outweighed by it and no mistake, as in amazon's builders.
const ONLY_ONE: [(&str, &str); 6] = [
    ("user_data", "user_data_file"),
    ("subnet_id", "subnet_ids"),
    ("security_group_id", "security_group_ids"),
    ("instance_type", "instance_types"),
    ("instance_type", "spot_instance_types"),
    ("instance_types", "spot_instance_types"),
];

pub(super) fn settings(checker: &mut OptionChecker<'_>, ssh_timeout: Duration) -> LaunchSettings {
    for (first, second) in ONLY_ONE {
        checker.only_one_of(first, second);
    }
    let defaults = LaunchSettings::default();
    let source_cidrs = source_cidrs(checker);
    let (instance_types, fallback_types) = types(checker);
    LaunchSettings {
        instance_types,
        fallback_types,
        subnets: subnets(checker),
        subnet_id: checker.parsed("subnet_id", |text| resource_id(text, "subnet-")),
        subnet_filter: subnet_filter(checker),
        vpc_id: checker.parsed("vpc_id", |text| resource_id(text, "vpc-")),
        vpc_filter: filters(checker, "vpc_filter"),
        security_group_ids: security_groups(checker),
        security_group_filter: filters(checker, "security_group_filter"),
        source_cidrs,
        iam_instance_profile: checker.parsed("iam_instance_profile", instance_profile),
        associate_public_ip_address: checker.flag("associate_public_ip_address"),
        user_data: user_data_given(checker),
        run_tags: tags(checker, "run_tags"),
        spot_price: checker.parsed("spot_price", spot_price),
        max_parallel: checker
            .whole("max_parallel", 1, 10_000)
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(defaults.max_parallel),
        clean_up_check: checker.flag("clean_up_check").unwrap_or(defaults.clean_up_check),
        ttl: ttl(checker, ssh_timeout).unwrap_or(defaults.ttl),
    }
}

fn ttl(checker: &mut OptionChecker<'_>, ssh_timeout: Duration) -> Option<Duration> {
    let ttl = duration(checker, "ttl", Duration::from_secs(60), Duration::from_secs(24 * 3600));
    let counts = ttl.unwrap_or(LaunchSettings::default().ttl);
    if counts <= ssh_timeout && !checker.is_unknown("ttl") && !checker.is_unknown("ssh_timeout") {
        let name = if ttl.is_some() { "ttl" } else { "ssh_timeout" };
        let message = format!(
            "a test instance would end ({}s) before a login must have worked ({}s); ttl must be longer than ssh_timeout",
            counts.as_secs(),
            ssh_timeout.as_secs()
        );
        checker.wrong(name, message);
    }
    ttl
}

fn instance_type(text: &str) -> Result<String, String> {
    target::checked(text).map_err(|_| format!("{text:?} is not an instance type; expected one like \"t3.small\""))
}

/// What every AMI is tested on, each type once; and what is tried where EC2 has no room for it.
fn types(checker: &mut OptionChecker<'_>) -> (Vec<String>, Vec<String>) {
    let mut types: Vec<String> = checker.parsed("instance_type", instance_type).into_iter().collect();
    types.extend(type_list(checker, "instance_types"));
    let mut fallbacks = type_list(checker, "instance_type_fallbacks");
    if types.len() > 1 && !fallbacks.is_empty() {
        let message = "cannot be given where instance_types names several: each of them is to be tested itself";
        checker.wrong("instance_type_fallbacks", message);
    }
    let mut spot = type_list(checker, "spot_instance_types").into_iter();
    if let Some(first) = spot.next() {
        if checker.given("spot_price").is_none() && !checker.is_unknown("spot_price") {
            checker.wrong(
                "spot_instance_types",
                "needs spot_price; for launches that are not spot use instance_type_fallbacks",
            );
        }
        types.push(first);
        fallbacks.splice(0..0, spot);
    }
    (types, fallbacks)
}

/// A list of instance types, each once.
fn type_list(checker: &mut OptionChecker<'_>, name: &str) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for text in checker.list(name) {
        match instance_type(&text) {
            Ok(text) if types.contains(&text) => checker.wrong(name, format!("names {text:?} twice")),
            Ok(text) => types.push(text),
            Err(message) => checker.wrong(name, message),
        }
    }
    types
}

fn source_cidrs(checker: &mut OptionChecker<'_>) -> Vec<CidrBlock> {
    const CIDRS: &str = "temporary_security_group_source_cidrs";
    let mut blocks = Vec::new();
    for text in checker.list(CIDRS) {
        match units::cidr(&text) {
            Some(block) => blocks.push(block),
            None => {
                checker.wrong(CIDRS, format!("{text:?} is not an address block; expected one like \"203.0.113.7/32\""))
            }
        }
    }
    if !blocks.is_empty() && checker.flag("temporary_security_group_source_public_ip") == Some(true) {
        checker.wrong(
            "temporary_security_group_source_public_ip",
            format!("cannot be true together with {CIDRS}; give one of them"),
        );
    }
    blocks
}

fn instance_profile(text: &str) -> Result<String, String> {
    if text.starts_with("arn:") {
        return Err(format!("{text:?} is an ARN; expected the instance profile's name"));
    }
    // IAM CreateInstanceProfile: InstanceProfileName.
    if is_name(text, 1, 128) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not an instance profile's name; expected 1 to 128 letters, digits or any of _+=,.@-"))
    }
}

fn spot_price(text: &str) -> Result<String, String> {
    let is_price = text.parse::<f64>().is_ok_and(|price| price.is_finite() && price > 0.0)
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if text == "auto" || is_price {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a price; expected dollars per hour like \"0.05\", or \"auto\""))
    }
}

fn user_data_given(checker: &mut OptionChecker<'_>) -> Option<Vec<u8>> {
    if let Some(text) = checker.text("user_data") {
        return bounded(checker, "user_data", text.into_bytes());
    }
    let path = checker.path("user_data_file")?;
    let on_disk = checker.on_disk(&path);
    let reach = ReadableFolders::of_folder(&checker.base_dir("user_data_file"), &checker.bounds());
    // What is not there at all is told below, in the words for any file.
    if on_disk.exists()
        && let Err(why) = reach.admit_as(&on_disk, checker.named_by("user_data_file"))
    {
        let message = format!(
            "cannot read {}: {why}; user data lies in the repository, or below a folder that --allow-path names",
            path.display()
        );
        checker.wrong("user_data_file", message);
        return None;
    }
    let read = std::fs::File::open(&on_disk).and_then(|file| {
        let mut bytes = Vec::new();
        // Of what is far too long the beginning says so.
        file.take(4 * user_data::LIMIT as u64).read_to_end(&mut bytes).map(|_| bytes)
    });
    match read {
        Ok(bytes) => bounded(checker, "user_data_file", bytes),
        Err(error) => {
            checker.wrong("user_data_file", format!("cannot read {}: {error}", path.display()));
            None
        }
    }
}

fn bounded(checker: &mut OptionChecker<'_>, name: &str, bytes: Vec<u8>) -> Option<Vec<u8>> {
    let Some(message) = user_data::refusal(&bytes) else { return Some(bytes) };
    checker.wrong(name, message);
    None
}
