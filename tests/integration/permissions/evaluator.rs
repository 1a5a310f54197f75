//! IAM's decision over policy documents: what "Policy evaluation logic" and "IAM JSON policy elements: Condition operators" of the IAM User Guide say, for the
//! elements and operators that our policies use. Anything else is an error, so that a policy never passes for what this cannot judge.

use std::collections::BTreeMap;

use serde_json::Value;

/// A call as IAM sees it: one action on one or more resources, each with what the service says of it. It is allowed where it is allowed on each.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// `ec2:RunInstances`
    pub action: String,
    /// At least one.
    pub resources: Vec<Target>,
}

/// One resource of a call.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Its ARN, or `*` for calls that know none.
    pub arn: String,
    /// Condition keys, in any case of letters, with their values.
    pub context: Context,
}

/// Condition keys and their values.
pub(super) type Context = BTreeMap<String, Vec<String>>;

/// Why a call is not allowed; `None`: it is.
pub(super) type Refusal = Option<String>;

/// What a role with all of these documents may: `Ok(None)` allowed, `Ok(Some(why))` denied. Fails on what it does not know.
pub(super) fn decide(documents: &[Value], request: &Request) -> Result<Refusal, String> {
    for target in &request.resources {
        let mut allowed = false;
        for statement in documents.iter().flat_map(|document| document["Statement"].as_array().expect("statements")) {
            known_members(statement)?;
            if !fits(statement, &request.action, target)? {
                continue;
            }
            match statement["Effect"].as_str() {
                Some("Deny") => {
                    return Ok(Some(format!("{} denies {} on {}", statement["Sid"], request.action, target.arn)));
                }
                Some("Allow") => allowed = true,
                other => return Err(format!("Effect {other:?}")),
            }
        }
        if !allowed {
            return Ok(Some(format!(
                "no statement allows {} on {} with {:?}",
                request.action, target.arn, target.context
            )));
        }
    }
    Ok(None)
}

fn known_members(statement: &Value) -> Result<(), String> {
    let members = statement.as_object().ok_or("a statement is an object")?;
    match members.keys().find(|key| !["Sid", "Effect", "Action", "Resource", "Condition"].contains(&key.as_str())) {
        Some(unknown) => Err(format!("{unknown} is not evaluated here")),
        None => Ok(()),
    }
}

fn fits(statement: &Value, action: &str, target: &Target) -> Result<bool, String> {
    let action = action.to_ascii_lowercase();
    if !texts(&statement["Action"]).iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action)) {
        return Ok(false);
    }
    if !texts(&statement["Resource"]).iter().any(|pattern| arn_like(pattern, &target.arn)) {
        return Ok(false);
    }
    let Some(conditions) = statement.get("Condition") else { return Ok(true) };
    for (operator, keys) in conditions.as_object().ok_or("Condition is an object")? {
        for (key, values) in keys.as_object().ok_or("an operator holds keys")? {
            if !holds(operator, key, &texts(values), &target.context)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A text or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().expect("a text").to_owned()).collect(),
        Value::String(text) => vec![text.clone()],
        other => panic!("{other} is neither a text nor a list"),
    }
}

fn holds(operator: &str, key: &str, wanted: &[String], context: &Context) -> Result<bool, String> {
    if let Some(variable) = wanted.iter().find(|value| value.contains("${")) {
        return Err(format!("the policy variable {variable} is not evaluated here"));
    }
    let found = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, values)| values.as_slice());
    if operator == "Null" {
        return Ok(wanted.iter().any(|word| (word == "true") == found.is_none()));
    }
    let (set, rest) = match operator.split_once(':') {
        Some((set, rest)) => (Some(set), rest),
        None => (None, operator),
    };
    let (base, if_exists) = match rest.strip_suffix("IfExists") {
        Some(base) => (base, true),
        None => (rest, false),
    };
    let (negated, matches): (bool, fn(&str, &str) -> bool) = match base {
        "StringEquals" => (false, |pattern, value| pattern == value),
        "StringNotEquals" => (true, |pattern, value| pattern == value),
        "StringLike" => (false, like),
        "StringNotLike" => (true, like),
        "ArnLike" | "ArnEquals" => (false, arn_like),
        "Bool" => (false, |pattern, value| pattern.eq_ignore_ascii_case(value)),
        other => return Err(format!("the operator {other} is not evaluated here")),
    };
    let one = |value: &String| wanted.iter().any(|pattern| matches(pattern, value)) != negated;
    match (set, found) {
        (None, None) => Ok(if_exists || negated),
        (None, Some([value])) => Ok(one(value)),
        (None, Some(values)) => Err(format!("{key} has {} values and {operator} takes one", values.len())),
        (Some("ForAllValues"), values) => Ok(values.unwrap_or_default().iter().all(one)),
        (Some("ForAnyValue"), values) => {
            Ok(if_exists && values.is_none() || values.unwrap_or_default().iter().any(one))
        }
        (Some(other), _) => Err(format!("the set operator {other} is not evaluated here")),
    }
}

/// An ARN against a pattern, part by part: a `*` does not reach over a colon, but for the pattern that is nothing else.
fn arn_like(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| like(pattern, part))
}

/// `*` stands for any characters, `?` for one.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    for symbol in pattern {
        let mut next = vec![false; text.len() + 1];
        let mut any = false;
        for at in 0..=text.len() {
            any |= reach[at];
            next[at] = match symbol {
                '*' => any,
                '?' => at > 0 && reach[at - 1],
                letter => at > 0 && reach[at - 1] && text[at - 1] == letter,
            };
        }
        reach = next;
    }
    reach[text.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(statements: Value, context: &[(&str, &[&str])]) -> Result<bool, String> {
        let context = context.iter().map(|(key, values)| {
            ((*key).to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        });
        let arn = "arn:aws:ec2:us-east-1:123456789012:instance/i-1".to_owned();
        let request = Request {
            action: "ec2:TerminateInstances".to_owned(),
            resources: vec![Target { arn, context: context.collect() }],
        };
        decide(&[json!({"Version": "2012-10-17", "Statement": statements})], &request).map(|refusal| refusal.is_none())
    }

    fn allow(condition: Value) -> Value {
        json!([{"Sid": "A", "Effect": "Allow", "Action": "ec2:Term*", "Resource": "arn:aws:ec2:*:123456789012:instance/*",
                "Condition": condition}])
    }

    #[test]
    fn operators_and_absent_keys_are_as_in_the_guide() {
        for (condition, context, allowed) in [
            (json!({"StringEquals": {"k": ["a", "b"]}}), &[("K", &["b"][..])][..], true),
            (json!({"StringEquals": {"k": "a"}}), &[], false),
            (json!({"StringNotEquals": {"k": "a"}}), &[], true),
            (json!({"StringNotEquals": {"k": "a"}}), &[("k", &["a"])], false),
            (json!({"StringEqualsIfExists": {"k": "a"}}), &[], true),
            (json!({"StringEqualsIfExists": {"k": "a"}}), &[("k", &["b"])], false),
            (json!({"StringLike": {"k": "?*"}}), &[("k", &[""])], false),
            (json!({"StringLike": {"k": "?*"}}), &[("k", &["x"])], true),
            (json!({"Null": {"k": "true"}}), &[], true),
            (json!({"Null": {"k": "true"}}), &[("k", &["x"])], false),
            (json!({"Null": {"k": "false"}}), &[], false),
            (json!({"ForAllValues:StringLike": {"k": ["a:*", "N"]}}), &[("k", &["a:1", "N"])], true),
            (json!({"ForAllValues:StringLike": {"k": ["a:*", "N"]}}), &[("k", &["a:1", "x"])], false),
            (json!({"ForAllValues:StringEquals": {"k": "a"}}), &[], true),
            (json!({"ForAnyValue:StringEquals": {"k": "a"}}), &[("k", &["x", "a"])], true),
            (json!({"ForAnyValue:StringEquals": {"k": "a"}}), &[], false),
            (json!({"Bool": {"k": "true"}}), &[("k", &["True"])], true),
            (json!({"ArnLike": {"k": "arn:aws:ec2:*:1:vpc/v"}}), &[("k", &["arn:aws:ec2:x:1:vpc/v"])], true),
            (json!({"ArnLike": {"k": "arn:aws:*:vpc/v"}}), &[("k", &["arn:aws:ec2:x:1:vpc/v"])], false),
            (json!({"StringEquals": {"k": "a", "l": "b"}}), &[("k", &["a"])], false),
        ] {
            assert_eq!(judged(allow(condition.clone()), context), Ok(allowed), "{condition} with {context:?}");
        }
    }

    #[test]
    fn a_deny_outweighs_and_other_resources_are_not_meant() {
        let mut statements = allow(json!({}));
        assert_eq!(judged(statements.clone(), &[]), Ok(true));
        statements.as_array_mut().unwrap().push(
            json!({"Sid": "D", "Effect": "Deny", "Action": "ec2:*", "Resource": "*", "Condition": {"StringEquals": {"k": "a"}}}),
        );
        assert_eq!(judged(statements.clone(), &[]), Ok(true));
        assert_eq!(judged(statements, &[("k", &["a"])]), Ok(false));
        let other =
            json!([{"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "arn:aws:ec2:*:123456789012:volume/*"}]);
        assert_eq!(judged(other, &[]), Ok(false));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        assert!(judged(allow(json!({"NumericLessThan": {"k": "1"}})), &[]).is_err());
        assert!(judged(allow(json!({"ForSomeValues:StringEquals": {"k": "1"}})), &[]).is_err());
        assert!(judged(allow(json!({"StringEquals": {"k": "${aws:PrincipalTag/x}"}})), &[("k", &["x"])]).is_err());
        assert!(judged(json!([{"Sid": "A", "Effect": "Allow", "NotAction": "x", "Resource": "*"}]), &[]).is_err());
        assert!(judged(allow(json!({"StringEquals": {"k": "1"}})), &[("k", &["x", "y"])]).is_err());
    }
}
