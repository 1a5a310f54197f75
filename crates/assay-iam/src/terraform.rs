//! A role, its policies and who may take it as one Terraform file for the hashicorp/aws provider. It owns that file's layout; what it says is `Policy`'s and
//! `Trust`'s. The identity provider is looked up, never made: an account has it once, whoever needs it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{IamRole, MANAGED_POLICY, Policy, trust::TrustPolicy};

/// Stands in the trust policy where Terraform's own expression goes.
const PROVIDER: &str = "data.aws_iam_openid_connect_provider.ci.arn";

/// The whole file. `policy` is split where it is longer than a managed policy may be; `name` begins the names of role and policies.
pub fn file(role: IamRole, name: &str, policy: &Policy, trust: &TrustPolicy) -> String {
    let mut text = String::new();
    let resource = format!("assay_{role}");
    write_all(
        &mut text,
        &format!("# Made by `assay iam --role {role} --format terraform`; make it again when assay.hcl changes.\n\n"),
    );
    write_all(
        &mut text,
        "terraform {\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = \">= 4.0\"\n    }\n  }\n}\n\n",
    );
    let url = quote(&format!("https://{}", trust.ci.provider()));
    write_all(&mut text, &format!("data \"aws_iam_openid_connect_provider\" \"ci\" {{\n  url = {url}\n}}\n\n"));
    let assume = expression(&trust.json_for(&json!(PROVIDER)), 1);
    write_all(
        &mut text,
        &format!(
            "resource \"aws_iam_role\" \"{resource}\" {{\n  name               = {}\n  assume_role_policy = jsonencode({assume})\n}}\n",
            quote(&format!("{name}-{role}"))
        ),
    );
    let parts = policy.parts(MANAGED_POLICY);
    for (index, part) in parts.iter().enumerate() {
        let (label, part_name) = match parts.len() {
            1 => (resource.clone(), format!("{name}-{role}")),
            _ => (format!("{resource}_{}", index + 1), format!("{name}-{role}-{}", index + 1)),
        };
        let document = expression(&part.json(), 1);
        write_all(
            &mut text,
            &format!(
                "\nresource \"aws_iam_policy\" \"{label}\" {{\n  name   = {}\n  policy = jsonencode({document})\n}}\n",
                quote(&part_name)
            ),
        );
        write_all(
            &mut text,
            &format!(
                "\nresource \"aws_iam_role_policy_attachment\" \"{label}\" {{\n  role       = aws_iam_role.{resource}.name\n  \
                 policy_arn = aws_iam_policy.{label}.arn\n}}\n"
            ),
        );
    }
    write_all(&mut text, &format!("\noutput \"{resource}_role_arn\" {{\n  value = aws_iam_role.{resource}.arn\n}}\n"));
    text
}

fn write_all(text: &mut String, more: &str) {
    write!(text, "{more}").expect("writing to a String does not fail");
}

/// JSON as an HCL expression, two spaces a level.
fn expression(value: &Value, depth: usize) -> String {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Value::String(text) if text == PROVIDER => text.clone(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| format!("{inner}{},\n", expression(item, depth + 1))).collect();
            format!("[\n{}{outer}]", items.concat())
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{inner}{} = {}\n", quote(key), expression(value, depth + 1)))
                .collect();
            format!("{{\n{}{outer}}}", members.concat())
        }
        other => other.to_string(),
    }
}

/// A quoted HCL string: JSON's escapes, and no templates.
fn quote(text: &str) -> String {
    Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{")
}
