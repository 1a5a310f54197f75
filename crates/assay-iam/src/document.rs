//! A policy as data, and its JSON as IAM reads it. It owns the document's grammar and its sizes ("IAM and AWS STS quotas" and "Grammar of the IAM JSON
//! policy language" in the IAM User Guide); it refuses to know what any statement is for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The longest managed policy, in characters without white space.
pub const MANAGED_POLICY: usize = 6_144;
/// All of a role's inline policies together, in characters without white space.
pub const INLINE_POLICIES: usize = 10_240;
/// The version of the policy language.
const VERSION: &str = "2012-10-17";

/// Operator → condition key → values, any of which fits.
pub(crate) type PolicyConditions = BTreeMap<&'static str, BTreeMap<String, Vec<String>>>;

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// In the order in which they are printed; each `sid` once.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Letters and digits: what it is for.
    pub sid: &'static str,
    /// What it does where it fits.
    pub effect: StatementEffect,
    /// Calls with their service, like `ec2:RunInstances`.
    pub actions: Vec<&'static str>,
    /// ARNs, with `*`.
    pub resources: Vec<String>,
    /// All must hold.
    pub conditions: PolicyConditions,
}

/// Allow or Deny; a Deny outweighs every Allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementEffect {
    /// Allows.
    Allow,
    /// Forbids, whatever else is attached.
    Deny,
}

impl Statement {
    /// A statement that allows nothing yet.
    pub fn allow(sid: &'static str) -> Self {
        let (actions, resources) = (Vec::new(), Vec::new());
        Self { sid, effect: StatementEffect::Allow, actions, resources, conditions: PolicyConditions::new() }
    }

    /// A statement that forbids nothing yet.
    pub fn deny(sid: &'static str) -> Self {
        Self { effect: StatementEffect::Deny, ..Self::allow(sid) }
    }

    /// Adds calls, named without their service where that is EC2.
    pub fn calls(mut self, actions: &[&'static str]) -> Self {
        self.actions.extend(actions);
        self
    }

    /// Adds resources.
    pub fn on<T: Into<String>>(mut self, resources: impl IntoIterator<Item = T>) -> Self {
        self.resources.extend(resources.into_iter().map(Into::into));
        self
    }

    /// Adds a condition.
    pub fn when<T: Into<String>>(
        mut self,
        operator: &'static str,
        key: impl Into<String>,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let values = values.into_iter().map(Into::into);
        self.conditions.entry(operator).or_default().entry(key.into()).or_default().extend(values);
        self
    }

    /// As IAM reads it.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("Sid".to_owned(), json!(self.sid));
        object.insert("Effect".to_owned(), json!(if self.effect == StatementEffect::Allow { "Allow" } else { "Deny" }));
        object.insert("Action".to_owned(), one_or_many(&self.actions));
        object.insert("Resource".to_owned(), one_or_many(&self.resources));
        if !self.conditions.is_empty() {
            let conditions: Map<String, Value> = self
                .conditions
                .iter()
                .map(|(operator, keys)| {
                    let keys: Map<String, Value> =
                        keys.iter().map(|(key, values)| (key.clone(), one_or_many(values))).collect();
                    ((*operator).to_owned(), Value::Object(keys))
                })
                .collect();
            object.insert("Condition".to_owned(), Value::Object(conditions));
        }
        Value::Object(object)
    }
}

/// IAM takes a string for a list of one, which saves two of the few characters that there are.
fn one_or_many<T: serde::Serialize>(values: &[T]) -> Value {
    match values {
        [one] => json!(one),
        many => json!(many),
    }
}

impl Policy {
    /// As IAM reads it.
    pub fn json(&self) -> Value {
        document(&self.statements)
    }

    /// How long it is for IAM, which does not count white space.
    pub fn size(&self) -> usize {
        size_of(&self.statements)
    }

    /// The same policy as few documents, none longer than `limit` characters, in the order of its statements. A role with all of them may do what this policy
    /// allows. A statement that alone is longer stands in a document of its own, and IAM refuses it.
    pub fn parts(&self, limit: usize) -> Vec<Policy> {
        let mut parts: Vec<Vec<Statement>> = Vec::new();
        for statement in &self.statements {
            let fits = parts.last().is_some_and(|part| {
                let mut longer = part.clone();
                longer.push(statement.clone());
                size_of(&longer) <= limit
            });
            match parts.last_mut() {
                Some(part) if fits => part.push(statement.clone()),
                _ => parts.push(vec![statement.clone()]),
            }
        }
        parts.into_iter().map(|statements| Policy { statements }).collect()
    }
}

fn document(statements: &[Statement]) -> Value {
    let statements: Vec<Value> = statements.iter().map(Statement::json).collect();
    json!({ "Version": VERSION, "Statement": statements })
}

/// Values hold no white space, so the compact form is what IAM counts.
fn size_of(statements: &[Statement]) -> usize {
    document(statements).to_string().chars().filter(|c| !c.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(sid: &'static str, count: usize) -> Statement {
        Statement::allow(sid)
            .calls(&["ec2:RunInstances"])
            .on((0..count).map(|n| format!("arn:aws:ec2:*:*:subnet/{n:017}")))
    }

    #[test]
    fn parts_hold_every_statement_once_in_order_and_none_is_too_long() {
        let policy = Policy { statements: vec![long("A", 20), long("B", 100), long("C", 30), long("D", 1)] };
        let parts = policy.parts(MANAGED_POLICY);
        assert!(parts.len() > 1 && parts.iter().all(|part| part.size() <= MANAGED_POLICY), "{}", parts.len());
        let sids: Vec<_> = parts.iter().flat_map(|part| &part.statements).map(|s| s.sid).collect();
        assert_eq!(sids, ["A", "B", "C", "D"]);
        assert_eq!(policy.parts(usize::MAX), [policy]);
    }

    #[test]
    fn lists_of_one_are_strings_and_conditions_join() {
        let statement = Statement::deny("No")
            .calls(&["ec2:CreateTags"])
            .on(["*"])
            .when("StringEquals", "aws:RequestTag/a", ["x"])
            .when("StringEquals", "aws:RequestTag/b", ["y", "z"]);
        let wanted = json!({"Sid": "No", "Effect": "Deny", "Action": "ec2:CreateTags", "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/a": "x", "aws:RequestTag/b": ["y", "z"]}}});
        assert_eq!(statement.json(), wanted);
    }
}
