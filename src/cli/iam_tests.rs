//! `assay iam` from its command line to its request and its documents.

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::cli::args::{CliCommand, CommandLine};

const FILE: &str = "owner = \"github.com/acme/images\"\ngit {\n  branch = \"trunk\"\n}\nimage \"base\" {\n  inputs  = [\"x\"]\n  regions = [\"us-east-1\"]\n}\n";

fn planned(arguments: &str, file: &str) -> Result<IamRequest, Vec<String>> {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("assay.hcl"), file).unwrap();
    let cli = CommandLine::try_parse_from(format!("assay iam {arguments}").split_whitespace())
        .unwrap_or_else(|e| panic!("{e}"));
    let CliCommand::Iam(args) = &cli.command else { panic!("iam") };
    plan_in(args, &cli.globals, folder.path()).map_err(|all| all.iter().map(ToString::to_string).collect())
}

const CI: &str = "--org-id 0a --project-id 0b";
const BUILD: &str = "--account 123456789012 --vpc vpc-0aaaaaaaaaaaaaaa1 --source-owner 136693071363";

#[test]
fn only_the_builder_is_trusted_from_any_branch() {
    let subject = |arguments: &str| {
        let request = planned(arguments, FILE).expect("planned");
        let document = request.trust.expect("trust").json("aws", &request.grounds.account);
        let conditions = &document["Statement"][0]["Condition"]["StringLike"];
        conditions.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    };
    let of = |role: &str| subject(&format!("--role {role} --trust --account 123456789012 {CI}"));
    assert!(of("builder").ends_with("/vcs-origin/github.com/acme/images/vcs-ref/*"), "{}", of("builder"));
    for role in ["tester", "promoter", "sweeper"] {
        assert!(of(role).ends_with("/vcs-ref/refs/heads/trunk"), "{role}: {}", of(role));
    }
}

#[test]
fn a_promoter_of_any_branch_and_wildcards_are_refused() {
    let every = planned(&format!("--role promoter --trust --account 123456789012 {CI} --branch *"), FILE);
    assert!(every.expect_err("refused")[0].contains("every branch"));
    let wild = planned("--role tester --trust --account 123456789012 --org-id * --project-id 0b", FILE);
    assert!(wild.expect_err("refused")[0].contains("--org-id"), "a wildcard lets others in");
}

#[test]
fn a_tag_that_only_a_template_gives_can_be_allowed() {
    let keys = |more: &str| {
        let request = planned(&format!("--role builder {BUILD} {more}"), FILE).expect("planned");
        let document = iam::policy(IamRole::Builder, &request.grounds).json();
        let statements = document["Statement"].as_array().expect("statements").clone();
        let tags = statements.iter().find(|statement| statement["Sid"] == "TagTemporary").expect("its statement");
        tags["Condition"]["ForAllValues:StringLike"]["aws:TagKeys"].clone()
    };
    assert_eq!(keys(""), serde_json::json!(["assay:*", "Name"]));
    assert_eq!(keys("--run-tag-key CostCenter Team"), serde_json::json!(["assay:*", "Name", "CostCenter", "Team"]));
    let wild = planned(&format!("--role builder {BUILD} --run-tag-key *"), FILE).expect_err("refused").join("\n");
    assert!(wild.contains("--run-tag-key"), "any tag would be allowed: {wild}");
}

/// What `assay doctor --role ROLE` asks of the quotas, its role may ask: else it would warn for ever, and name this policy as the cure.
#[test]
fn who_launches_may_ask_the_quotas() {
    for role in IamRole::ALL {
        let request = planned(&format!("--role {role} {BUILD}"), FILE).expect("planned");
        let text = iam::policy(role, &request.grounds).json().to_string();
        assert_eq!(text.contains("servicequotas:GetServiceQuota"), role.launches(), "{role}");
    }
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let missing = planned("--role builder --format terraform", "image \"base\" {\n  inputs = [\"x\"]\n}\n");
    let missing = missing.expect_err("nothing is known").join("\n");
    for flag in ["--account", "--region", "--vpc", "--source-owner", "--org-id", "--project-id", "--repository"] {
        assert!(missing.contains(flag), "{flag} in\n{missing}");
    }
}

#[test]
fn terraform_is_a_format_of_this_command_alone() {
    let cli = CommandLine::try_parse_from(["assay", "lint", "--format", "terraform"]).unwrap();
    let refused = cli.globals.plain_format().expect_err("not of lint");
    assert!(refused.message.contains("assay iam alone"), "{refused}");
    assert!(CommandLine::try_parse_from(["assay", "iam", "--role", "tester", "--format", "terraform=x.tf"]).is_err());
}

/// Every attribute and block of the Terraform file, read back by an HCL parser, says what the JSON says.
#[test]
fn the_terraform_file_is_hcl_and_holds_the_same_policies() {
    for role in IamRole::ALL {
        let request = planned(&format!("--role {role} --format terraform {BUILD} {CI}"), FILE).expect("planned");
        let policy = iam::policy(role, &request.grounds);
        let text = iam::terraform::file(role, "assay", &policy, request.trust.as_ref().expect("trust"));
        let body = hcl_edit::parser::parse_body(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let of = |kind: &str| {
            body.blocks().filter(|block| block.labels.first().is_some_and(|label| label.as_str() == kind)).count()
        };
        let parts = policy.parts(MANAGED_POLICY);
        assert_eq!((of("aws_iam_role"), of("aws_iam_openid_connect_provider")), (1, 1), "{text}");
        assert_eq!((of("aws_iam_policy"), of("aws_iam_role_policy_attachment")), (parts.len(), parts.len()));
        let documents: Vec<serde_json::Value> = body
            .blocks()
            .filter(|block| block.labels.first().is_some_and(|label| label.as_str() == "aws_iam_policy"))
            .map(|block| {
                let call =
                    block.body.get_attribute("policy").expect("policy").value.as_func_call().expect("jsonencode");
                assert_eq!(call.name.name.as_str(), "jsonencode");
                json_of(call.args.iter().next().expect("an argument"))
            })
            .collect();
        let wanted: Vec<serde_json::Value> = parts.iter().map(Policy::json).collect();
        assert_eq!(documents, wanted, "{role}");
    }
}

fn json_of(expression: &hcl_edit::expr::Expression) -> serde_json::Value {
    use hcl_edit::expr::Expression;
    match expression {
        Expression::String(text) => serde_json::Value::from(text.as_str()),
        Expression::Array(items) => items.iter().map(json_of).collect(),
        Expression::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let key = key.as_expr().and_then(Expression::as_str).expect("a quoted key");
                (key.to_owned(), json_of(value.expr()))
            })
            .collect(),
        other => panic!("{other:?} is no JSON"),
    }
}

#[test]
fn every_part_fits_a_managed_policy_and_no_document_a_placeholder() {
    for role in IamRole::ALL {
        let request = planned(&format!("--role {role} {BUILD}"), FILE).expect("planned");
        let policy = iam::policy(role, &request.grounds);
        assert!(policy.parts(MANAGED_POLICY).iter().all(|part| part.size() <= MANAGED_POLICY), "{role}");
        assert!(policy.size() <= INLINE_POLICIES, "{role}: {}", policy.size());
        let text = policy.json().to_string();
        assert!(!text.contains('<') && !text.contains(":000000000000:") && !text.contains("ACCOUNT"), "{text}");
        let mut sids: Vec<_> = policy.statements.iter().map(|statement| statement.sid).collect();
        assert!(sids.iter().all(|sid| sid.bytes().all(|b| b.is_ascii_alphanumeric())));
        sids.sort_unstable();
        sids.dedup();
        assert_eq!(sids.len(), policy.statements.len(), "a Sid stands once");
    }
}
