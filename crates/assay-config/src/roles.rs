//! What the four roles' policies are made from: assay.hcl and the flags of `assay iam`, put together. It owns which fact a role cannot do without, and asks
//! for all that are missing at once; it refuses to look anything up in the account, so that a policy can be made before anybody has rights.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{
    file::{ConfigFile, ImageDecl},
    problem::{ConfigProblem, ValuePlace},
    raw::OptionLayer,
};
use assay_iam::{IamRole, PolicyInputs, partition_of};
use assay_model::{AccountId, Architecture, Region};

/// What the command line adds to assay.hcl.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleFlags {
    /// `--account`
    pub account: Option<AccountId>,
    /// `--region`
    pub regions: Vec<Region>,
    /// `--vpc`
    pub vpcs: Vec<String>,
    /// `--subnet`
    pub subnets: Vec<String>,
    /// `--instance-type`
    pub instance_types: Vec<String>,
    /// `--source-owner`
    pub source_owners: Vec<String>,
    /// `--pass-role`
    pub pass_role: Option<String>,
    /// `--run-tag-key`
    pub run_tag_keys: Vec<String>,
    /// `--kms-key`
    pub kms_keys: Vec<String>,
    /// `--signing-key`
    pub signing_key: Option<String>,
}

/// The grounds of `role`'s policy. Fails with everything that is missing or does not fit.
pub fn grounds(
    role: IamRole,
    file: Option<&ConfigFile>,
    flags: &RoleFlags,
) -> Result<PolicyInputs, Vec<ConfigProblem>> {
    let mut asked = AskedRole { role, file, flags, problems: Vec::new() };
    let account = asked.account();
    let regions = asked.regions();
    asked.place();
    let grounds = PolicyInputs {
        account: account.unwrap_or_else(|| "000000000000".parse().expect("twelve digits are an account id")),
        regions,
        vpcs: sorted(flags.vpcs.iter().cloned().chain(asked.texts("vpc_id"))),
        subnets: asked.subnets(),
        security_groups: asked.security_groups(),
        instance_types: asked.instance_types(),
        source_owners: asked.source_owners(),
        run_tag_keys: asked.run_tag_keys(),
        instance_profile: asked.instance_profile(),
        share_with: sorted(asked.images().flat_map(|image| image.distribution.ami_users.clone())),
        ssm_parameters: asked.ssm_parameters(),
        encryption_keys: asked.encryption_keys(),
        signing_key: asked.signing_key(),
    };
    asked.one_partition(&grounds.regions);
    if asked.problems.is_empty() { Ok(grounds) } else { Err(asked.problems) }
}

struct AskedRole<'a> {
    role: IamRole,
    file: Option<&'a ConfigFile>,
    flags: &'a RoleFlags,
    problems: Vec<ConfigProblem>,
}

impl<'a> AskedRole<'a> {
    fn images(&self) -> impl Iterator<Item = &'a ImageDecl> + use<'a> {
        self.file.into_iter().flat_map(|file| &file.images)
    }

    /// The layers that may hold options: those of all images, then those of the file.
    fn layers(&self) -> impl Iterator<Item = &'a OptionLayer> + use<'a> {
        let of_file = self.file.map(|file| &file.options);
        self.images().map(|image| &image.options).chain(of_file)
    }

    fn values(&self, option: &'static str) -> impl Iterator<Item = &'a Json> + use<'a> {
        self.layers().filter_map(move |layer| layer.given.get(option)).map(|given| &given.value)
    }

    /// Every text that any image says for an option, one or a list.
    fn texts(&self, option: &'static str) -> Vec<String> {
        let list = |value: &Json| match value {
            Json::Array(items) => items.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            Json::String(text) => vec![text.clone()],
            _ => Vec::new(),
        };
        self.values(option).flat_map(list).filter(|text| !text.is_empty()).collect()
    }

    fn missing(&mut self, flag: &str, message: impl Into<String>) {
        self.problems.push(ConfigProblem::new(ValuePlace::Nowhere, flag, message));
    }

    fn account(&mut self) -> Option<AccountId> {
        if self.flags.account.is_none() {
            self.missing("--account", "is missing; the policy names resources of one account, twelve digits");
        }
        self.flags.account.clone()
    }

    /// Where images are built, tested and copied to.
    fn regions(&mut self) -> Vec<Region> {
        let of_images = self.images().flat_map(|image| image.regions.iter().chain(&image.distribution.ami_regions));
        let of_subnets = self.values("subnet_ids").filter_map(Json::as_object).flat_map(|map| map.keys());
        let of_subnets = of_subnets.filter_map(|name| name.parse::<Region>().ok());
        let all = sorted(self.flags.regions.iter().chain(of_images).cloned().chain(of_subnets));
        if all.is_empty() {
            self.missing("--region", "is missing; assay.hcl names no region in `regions` of an image");
        }
        all
    }

    fn one_partition(&mut self, regions: &[Region]) {
        let partitions: BTreeSet<_> = regions.iter().map(|region| partition_of(Some(region))).collect();
        if partitions.len() > 1 {
            let list = partitions.into_iter().collect::<Vec<_>>().join(" and ");
            self.missing(
                "--region",
                format!("the regions are of different partitions ({list}); each needs its own role"),
            );
        }
    }

    /// Instances go into known networks or nowhere.
    fn place(&mut self) {
        if !self.role.launches() {
            return;
        }
        let vpc = !self.flags.vpcs.is_empty() || !self.texts("vpc_id").is_empty();
        let groups = self.images().count() > 0
            && self.images().all(|image| {
                ["security_group_id", "security_group_ids"].iter().any(|name| image.options.given.contains_key(name))
            });
        // Packer makes a group of its own, whatever the tests use.
        let makes_groups = self.role == IamRole::Builder || !groups;
        if !vpc && (makes_groups || self.subnets().is_empty()) {
            self.missing(
                "--vpc",
                "is missing; instances and their temporary security groups are made in this VPC (of each region), and in no other",
            );
        }
    }

    fn subnets(&self) -> Vec<String> {
        let by_region = self.values("subnet_ids").filter_map(Json::as_object).flat_map(|map| map.values());
        let by_region = by_region.filter_map(Json::as_str).flat_map(|list| list.split(','));
        let by_region = by_region.map(|id| id.trim().to_owned());
        sorted(self.flags.subnets.iter().cloned().chain(self.texts("subnet_id")).chain(by_region))
    }

    fn security_groups(&self) -> Vec<String> {
        sorted(self.texts("security_group_id").into_iter().chain(self.texts("security_group_ids")))
    }

    /// What is named, and the default where nothing is.
    fn instance_types(&self) -> Vec<String> {
        const OPTIONS: [&str; 4] =
            ["instance_type", "instance_types", "instance_type_fallbacks", "spot_instance_types"];
        let named = OPTIONS.iter().flat_map(|option| self.texts(option));
        let mut all: Vec<String> = self.flags.instance_types.iter().cloned().chain(named).collect();
        let named_by_all = self.images().count() > 0
            && self.images().all(|image| {
                ["instance_type", "instance_types", "spot_instance_types"]
                    .iter()
                    .any(|option| image.options.given.contains_key(option))
            });
        if !named_by_all {
            let wanted: BTreeSet<Architecture> =
                self.images().flat_map(|image| image.architectures.iter().copied()).collect();
            let both = [Architecture::X86_64, Architecture::Arm64];
            let meant = both.into_iter().filter(|one| wanted.is_empty() || wanted.contains(one));
            all.extend(meant.map(|one| one.default_instance_type().to_owned()));
        }
        sorted(all)
    }

    /// A build that starts from nothing of ours starts from somebody's AMI.
    fn source_owners(&mut self) -> Vec<String> {
        let chained = self.images().count() > 0 && self.images().all(|image| image.parent.is_some());
        if self.role == IamRole::Builder && self.flags.source_owners.is_empty() && !chained {
            self.missing(
                "--source-owner",
                "is missing; builds start from AMIs of these owners, as in `owners` of the template's source_ami_filter: account ids, or amazon",
            );
        }
        sorted(self.flags.source_owners.iter().cloned())
    }

    fn run_tag_keys(&self) -> Vec<String> {
        let keys = self.values("run_tags").filter_map(Json::as_object).flat_map(|map| map.keys());
        sorted(keys.chain(&self.flags.run_tag_keys).filter(|key| *key != "Name").cloned())
    }

    fn instance_profile(&mut self) -> Option<(String, String)> {
        let profiles = sorted(self.texts("iam_instance_profile"));
        if profiles.len() > 1 && self.role.launches() {
            let list = profiles.join(", ");
            self.missing("iam_instance_profile", format!("the images name several ({list}); a role may give only one"));
        }
        let profile = profiles.into_iter().next()?;
        match &self.flags.pass_role {
            Some(role) => Some((profile, role.clone())),
            None => {
                if self.role.launches() {
                    let message = format!(
                        "is missing; test instances get the instance profile {profile:?}, and this is the ARN of the role in it"
                    );
                    self.missing("--pass-role", message);
                }
                None
            }
        }
    }

    /// Names with what they leave open as `*`.
    fn ssm_parameters(&self) -> Vec<String> {
        let names = self.images().filter_map(|image| {
            let name = image.distribution.ssm_parameter.as_ref()?;
            Some(name.replace("{image}", image.name.as_str()))
        });
        sorted(names.map(|name| with_stars(&name)))
    }

    fn encryption_keys(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        let configured = self.images().filter_map(|image| image.distribution.kms_key_id.clone());
        for key in configured.filter(|key| !key.is_empty()).chain(self.flags.kms_keys.clone()) {
            match key_arn(&key, self.flags.account.as_ref(), partition_of(self.flags.regions.first())) {
                Some(arn) => all.push(arn),
                None if self.flags.kms_keys.is_empty() => self.missing(
                    "--kms-key",
                    format!("is missing; copies are encrypted with {key:?}, and a policy names a key by its ARN, not by an alias"),
                ),
                None => {}
            }
        }
        sorted(all)
    }

    fn signing_key(&mut self) -> Option<String> {
        let key = self.flags.signing_key.clone()?;
        if !is_key_arn(&key) {
            self.missing(
                "--signing-key",
                format!("{key:?} is no key's ARN; expected arn:aws:kms:REGION:ACCOUNT:key/ID"),
            );
        }
        Some(key)
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().collect::<BTreeSet<T>>().into_iter().collect()
}

/// `/images/base/{architecture}` → `/images/base/*`.
fn with_stars(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        text.push('*');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

fn is_key_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.contains(":kms:") && text.contains(":key/") && !text.contains(char::is_whitespace)
}

/// A key's id in every region (a multi-region key has one id), or its ARN as it is; `None` for an alias.
fn key_arn(key: &str, account: Option<&AccountId>, partition: &str) -> Option<String> {
    if is_key_arn(key) {
        return Some(key.to_owned());
    }
    if key.contains("alias/") || key.contains(':') {
        return None;
    }
    let account = account.map_or("*", AccountId::as_str);
    Some(format!("arn:{partition}:kms:*:{account}:key/{key}"))
}

#[cfg(test)]
#[path = "roles_tests.rs"]
mod tests;
