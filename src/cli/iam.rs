//! `assay iam`: the policy of a role, and who may take it.

use std::path::Path;

use clap::{Args, ValueEnum};

use super::{args::GlobalOptions, dispatch, option_flags::problem, output};
use assay_config::{
    ConfigFile, ConfigProblem, file,
    request::OutputFormat,
    roles::{self, RoleFlags},
};
use assay_iam as iam;
use assay_iam::{
    INLINE_POLICIES, IamRole, MANAGED_POLICY, Policy, PolicyInputs,
    trust::{CiProject, TrustPolicy},
};
use assay_model::{AccountId, Region, exit::ExitStatus};

/// Print the IAM policy of a role, made from assay.hcl: what it needs and no more
///
/// Nothing is looked up in the account: what assay.hcl does not say is asked for by flags. See docs/iam.md.
#[derive(Debug, Args)]
pub struct IamArgs {
    /// builder (Packer and the post-processor), tester (validate), promoter (promote and its like), sweeper (sweep, prune)
    #[arg(long)]
    role: IamRole,
    /// The account whose resources are named
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Regions beside those of assay.hcl
    #[arg(long = "region", value_name = "REGION", num_args = 1..)]
    regions: Vec<Region>,
    /// VPCs in which instances and temporary security groups are made
    #[arg(long = "vpc", value_name = "ID", num_args = 1..)]
    vpcs: Vec<String>,
    /// Subnets beside those of assay.hcl; default: every one of the VPCs
    #[arg(long = "subnet", value_name = "ID", num_args = 1..)]
    subnets: Vec<String>,
    /// Instance types beside those of assay.hcl: those that templates build on
    #[arg(long = "instance-type", value_name = "TYPE", num_args = 1..)]
    instance_types: Vec<String>,
    /// Owners of the AMIs that builds start from: account ids, or amazon
    #[arg(long = "source-owner", value_name = "ID", num_args = 1..)]
    source_owners: Vec<String>,
    /// The role in the instance profile that assay.hcl names
    #[arg(long, value_name = "ARN")]
    pass_role: Option<String>,
    /// Keys of tags of your own that templates give to build instances and all that is made for them (`run_tags`), beside those of assay.hcl
    #[arg(long = "run-tag-key", value_name = "KEY", num_args = 1..)]
    run_tag_keys: Vec<String>,
    /// Keys that encrypt the images
    #[arg(long = "kms-key", value_name = "ARN", num_args = 1..)]
    kms_keys: Vec<String>,
    /// The key that signs evidence
    #[arg(long, value_name = "ARN")]
    signing_key: Option<String>,
    /// Only this one of several documents, where one would be too long for a managed policy
    #[arg(long, value_name = "N")]
    part: Option<usize>,
    /// Print the role's trust policy instead: which CI jobs may take it
    #[arg(long)]
    trust: bool,
    #[command(flatten)]
    ci: CiFlags,
}

/// Whose jobs may take the role.
#[derive(Debug, Args)]
struct CiFlags {
    /// The service that runs the jobs
    #[arg(long, value_enum, default_value_t, help_heading = "Trust")]
    ci: CiService,
    /// CircleCI: the organisation's id
    #[arg(long, value_name = "UUID", help_heading = "Trust")]
    org_id: Option<String>,
    /// CircleCI: the project's id
    #[arg(long, value_name = "UUID", help_heading = "Trust")]
    project_id: Option<String>,
    /// The repository, like github.com/acme/images; default: the owner of assay.hcl
    #[arg(long, value_name = "HOST/OWNER/NAME", help_heading = "Trust")]
    repository: Option<String>,
    /// Only jobs that build this branch, or "*"; default: any for builder, else the protected branch of assay.hcl
    #[arg(long, value_name = "NAME", help_heading = "Trust")]
    branch: Option<String>,
}

/// A CI service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum CiService {
    /// CircleCI
    #[default]
    Circleci,
    /// GitHub Actions
    Github,
    /// GitLab CI/CD
    Gitlab,
}

/// What is printed.
#[derive(Debug)]
pub struct IamRequest {
    role: IamRole,
    grounds: PolicyInputs,
    trust: Option<TrustPolicy>,
    what: PrintedPart,
    format: OutputFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PrintedPart {
    Policy { part: Option<usize> },
    Trust,
    Terraform,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &IamArgs, globals: &GlobalOptions) -> Result<IamRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?)
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &IamArgs,
    globals: &GlobalOptions,
    folder: &Path,
) -> Result<IamRequest, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let file = file::read_located(globals.config.as_deref(), folder, &mut problems);
    ids(args, &mut problems);
    let (format, terraform) = match globals.terraform() {
        true => (OutputFormat::Text, true),
        false => (globals.plain_format().map_err(|wrong| problems.push(wrong)).unwrap_or_default(), false),
    };
    let what = match (terraform, args.trust) {
        (true, true) => {
            problems.push(problem("--trust", "is in the Terraform file anyway; leave it out"));
            PrintedPart::Terraform
        }
        (true, false) => PrintedPart::Terraform,
        (false, true) => PrintedPart::Trust,
        (false, false) => PrintedPart::Policy { part: args.part },
    };
    if args.part.is_some() && !matches!(what, PrintedPart::Policy { .. }) {
        problems.push(problem("--part", "is of the policy alone"));
    }
    let trust = match what {
        PrintedPart::Policy { .. } => None,
        _ => trust(args, file.as_ref(), &mut problems),
    };
    let grounds = roles::grounds(args.role, file.as_ref(), &flags(args));
    match (grounds, problems.is_empty()) {
        (Ok(grounds), true) => Ok(IamRequest { role: args.role, grounds, trust, what, format }),
        (grounds, _) => {
            // A trust policy says nothing of networks and images.
            let asked = grounds.err().unwrap_or_default();
            let needed = |problem: &ConfigProblem| what != PrintedPart::Trust || problem.option == "--account";
            problems.extend(asked.into_iter().filter(needed));
            if !problems.is_empty() {
                return Err(problems);
            }
            trust_alone(args, trust, format)
        }
    }
}

/// What a trust policy needs of the grounds is the account.
fn trust_alone(
    args: &IamArgs,
    trust: Option<TrustPolicy>,
    format: OutputFormat,
) -> Result<IamRequest, Vec<ConfigProblem>> {
    let complete = RoleFlags {
        account: args.account.clone(),
        regions: if args.regions.is_empty() {
            vec!["us-east-1".parse().expect("a region")]
        } else {
            args.regions.clone()
        },
        ..RoleFlags::default()
    };
    let grounds = roles::grounds(IamRole::Sweeper, None, &complete)?;
    Ok(IamRequest { role: args.role, grounds, trust, what: PrintedPart::Trust, format })
}

/// Ids that are none would make a policy that fits nothing.
fn ids(args: &IamArgs, problems: &mut Vec<ConfigProblem>) {
    let hexadecimal = |text: &str, prefix: &str| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| (8..=17).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for (flag, prefix, given) in [("--vpc", "vpc-", &args.vpcs), ("--subnet", "subnet-", &args.subnets)] {
        for id in given.iter().filter(|id| !hexadecimal(id, prefix)) {
            problems.push(problem(flag, format!("{id:?} is not an id; expected one like {prefix}0abcdef1234567890")));
        }
    }
    for owner in &args.source_owners {
        let known = ["amazon", "aws-marketplace"].contains(&owner.as_str());
        if !known && owner.parse::<AccountId>().is_err() {
            problems.push(problem(
                "--source-owner",
                format!("{owner:?} is no account id; expected 12 digits, amazon or aws-marketplace"),
            ));
        }
    }
    // In a policy these are patterns, and EC2 takes no key of its own kind from anybody.
    for key in args
        .run_tag_keys
        .iter()
        .filter(|key| key.is_empty() || key.contains(['*', '?', '$']) || key.starts_with("aws:"))
    {
        problems.push(problem(
            "--run-tag-key",
            format!("{key:?} does not fit; expected the key of one tag, like CostCenter"),
        ));
    }
    for (flag, part, given) in [
        ("--pass-role", ":role/", args.pass_role.iter().collect::<Vec<_>>()),
        ("--kms-key", ":key/", args.kms_keys.iter().collect()),
    ] {
        for arn in given.into_iter().filter(|arn| !(arn.starts_with("arn:") && arn.contains(part))) {
            problems.push(problem(flag, format!("{arn:?} does not fit; expected an ARN with {part}")));
        }
    }
}

fn flags(args: &IamArgs) -> RoleFlags {
    RoleFlags {
        account: args.account.clone(),
        regions: args.regions.clone(),
        vpcs: args.vpcs.clone(),
        subnets: args.subnets.clone(),
        instance_types: args.instance_types.clone(),
        source_owners: args.source_owners.clone(),
        pass_role: args.pass_role.clone(),
        run_tag_keys: args.run_tag_keys.clone(),
        kms_keys: args.kms_keys.clone(),
        signing_key: args.signing_key.clone(),
    }
}

fn trust(args: &IamArgs, file: Option<&ConfigFile>, problems: &mut Vec<ConfigProblem>) -> Option<TrustPolicy> {
    let flags = &args.ci;
    let owner = || file?.options.given.get("owner")?.value.as_str().map(str::to_owned);
    let repository = flags.repository.clone().or_else(owner);
    let mut need = |flag: &str, value: Option<String>| {
        let harmless = |text: &String| !text.is_empty() && !text.contains(['*', '?', '$', ' ']);
        match value {
            Some(text) if harmless(&text) => Some(text),
            Some(text) => {
                problems.push(problem(flag, format!("{text:?} does not fit; wildcards would let others in")));
                None
            }
            None => {
                problems.push(problem(flag, "is missing; it says whose jobs may take the role"));
                None
            }
        }
    };
    let repository = need("--repository", repository);
    let without_host = |text: &str| match text.split_once('/') {
        Some((host, path)) if host.contains('.') => (Some(host.to_owned()), path.to_owned()),
        _ => (None, text.to_owned()),
    };
    let ci = match flags.ci {
        CiService::Circleci => {
            let org_id = need("--org-id", flags.org_id.clone());
            let project_id = need("--project-id", flags.project_id.clone());
            CiProject::CircleCi { org_id: org_id?, project_id: project_id?, vcs_origin: repository? }
        }
        CiService::Github => CiProject::GitHub { repository: without_host(&repository?).1 },
        CiService::Gitlab => {
            let (host, project) = without_host(&repository?);
            CiProject::GitLab { host: host.unwrap_or_else(|| "gitlab.com".to_owned()), project }
        }
    };
    Some(TrustPolicy { ci, branch: branch(args, file, problems) })
}

/// What a pull request's job may do is the builder's; all else belongs to the protected branch.
fn branch(args: &IamArgs, file: Option<&ConfigFile>, problems: &mut Vec<ConfigProblem>) -> Option<String> {
    match (args.ci.branch.as_deref(), args.role) {
        (Some("*"), IamRole::Promoter) => {
            problems.push(problem(
                "--branch",
                "a promoter's jobs must build the protected branch: \"*\" would let every branch promote",
            ));
            None
        }
        (Some("*"), _) | (None, IamRole::Builder) => None,
        (Some(name), _) => {
            if name.is_empty() || name.contains(['*', '?', '$', ' ']) {
                problems.push(problem("--branch", format!("{name:?} is no branch's name; \"*\" alone means any")));
            }
            Some(name.to_owned())
        }
        (None, _) => Some(file.map_or_else(|| "main".to_owned(), |file| file.git.branch.clone())),
    }
}

/// Prints it; what IAM would refuse for its length is said on stderr.
pub fn execute(request: IamRequest) -> ExitStatus {
    let IamRequest { role, grounds, trust, what, format } = request;
    match (what, trust) {
        (PrintedPart::Terraform, Some(trust)) => {
            let text = iam::terraform::file(role, "assay", &iam::policy(role, &grounds), &trust);
            output::result(&text, ExitStatus::Done)
        }
        (PrintedPart::Trust, Some(trust)) => {
            output::json(&trust.json(grounds.partition(), &grounds.account), format, ExitStatus::Done)
        }
        (PrintedPart::Policy { part }, _) => policy(role, &iam::policy(role, &grounds), part, format),
        // A plan always holds the trust that these two print.
        (PrintedPart::Terraform | PrintedPart::Trust, None) => ExitStatus::Usage,
    }
}

fn policy(role: IamRole, policy: &Policy, part: Option<usize>, format: OutputFormat) -> ExitStatus {
    let parts = policy.parts(MANAGED_POLICY);
    match part {
        None => {
            let size = policy.size();
            if size > MANAGED_POLICY {
                let inline = if size > INLINE_POLICIES {
                    ", and for a role's inline policies together"
                } else {
                    "; it fits a role's inline policy"
                };
                output::warning(&format!(
                    "{size} characters are too long for one managed policy ({MANAGED_POLICY}){inline}: print it with --part 1 to --part {}, or as Terraform",
                    parts.len()
                ));
            }
            output::json(&policy.json(), format, ExitStatus::Done)
        }
        Some(part) => match part.checked_sub(1).and_then(|index| parts.get(index)) {
            Some(part) => output::json(&part.json(), format, ExitStatus::Done),
            None => {
                let message = format!(
                    "there is no part {part}: the policy of the {role} is {} of at most {MANAGED_POLICY} characters",
                    parts.len()
                );
                output::error(&problem("--part", message));
                ExitStatus::Usage
            }
        },
    }
}

#[cfg(test)]
#[path = "iam_tests.rs"]
mod tests;
