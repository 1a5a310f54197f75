//! Options as they were typed: one [`OptionLayer`] per source (template, command line, assay.hcl), each value with its place. It owns names,
//! types, placeholders and precedence; it refuses to judge what a value means (`check`).

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{
    options::{self, BlockField, OptionDecl, OptionKind},
    problem::{ConfigProblem, ValuePlace},
};

/// What Packer puts in a text for a value that it does not know yet (packer: `hcl2template`, seen on the wire).
pub const UNKNOWN: &str = "<unknown>";

/// One given value.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenValue {
    /// The value, of its option's type.
    pub value: Json,
    /// Where it stands.
    pub place: ValuePlace,
    /// The option's name there.
    pub shown: String,
}

/// The values of one source, by the option's name in a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptionLayer {
    /// The values.
    pub given: BTreeMap<&'static str, GivenValue>,
    /// Options whose value is not known yet.
    pub unknown: Vec<String>,
    /// Options that were given and did not fit; the mistake is recorded elsewhere, and they do not count as missing too.
    pub misfits: Vec<&'static str>,
}

/// The options of a Packer template's block as Configure delivers them.
#[derive(Debug, Clone, Default)]
pub struct TemplateOptions {
    /// Name to value; what the user left out may be missing or null.
    pub options: Map<String, Json>,
    /// They come from a legacy JSON template: nobody has checked the names or interpolated the texts.
    pub from_json_template: bool,
    /// Packer's `packer_builder_type`.
    pub builder_type: Option<String>,
}

/// Reads a template's options. Returns what is usable; every name, type and `{{` that is wrong is added to `problems`.
pub fn template_layer(template: &TemplateOptions, problems: &mut Vec<ConfigProblem>) -> OptionLayer {
    let mut layer = OptionLayer::default();
    for (name, value) in &template.options {
        if is_left_out(value) {
            continue;
        }
        let Some(option) = options::find(name) else {
            problems.push(ConfigProblem::new(
                ValuePlace::Template,
                name,
                unknown_name(name, options::honoured_names()),
            ));
            continue;
        };
        if is_absent_block(option.kind, value) {
            continue;
        }
        if let Some(sentence) = option.refused {
            problems.push(ConfigProblem::new(ValuePlace::Template, name, format!("is not supported: {sentence}")));
        } else if holds_unknown(value) {
            layer.unknown.push(name.clone());
        } else if is_placeholder(option.kind, value) && !template.from_json_template {
            // Zero, an empty list and an empty map are what Packer sends for values that it does not know yet.
            if option.needed {
                layer.unknown.push(name.clone());
            }
        } else if template.from_json_template && holds_template(value) {
            problems.push(ConfigProblem::new(ValuePlace::Template, name, NOT_INTERPOLATED));
            layer.misfits.push(option.name);
        } else {
            layer.give(option, value, ValuePlace::Template, name.clone(), problems);
        }
    }
    layer
}

const NOT_INTERPOLATED: &str = "contains \"{{\", and Packer does not evaluate this in legacy JSON templates for assay; \
                                write the value out, or use an HCL2 template (`packer hcl2_upgrade`)";

/// The sentence for a name that nobody knows.
pub fn unknown_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match options::nearest(name, known) {
        Some(near) => format!("there is no such option; did you mean {near:?}?"),
        None => "there is no such option".to_owned(),
    }
}

impl OptionLayer {
    /// Takes a value in, or says why it does not fit its option's type. A left-out value is ignored.
    pub fn give(
        &mut self,
        option: &'static OptionDecl,
        value: &Json,
        place: ValuePlace,
        shown: String,
        problems: &mut Vec<ConfigProblem>,
    ) {
        if is_left_out(value) {
            return;
        }
        match typed(option.kind, value) {
            Ok(value) => {
                self.given.insert(option.name, GivenValue { value, place, shown });
            }
            Err(mismatch) => {
                self.misfits.push(option.name);
                let found = if option.secret { "another type".to_owned() } else { mismatch.found };
                problems.push(ConfigProblem::new(
                    place,
                    format!("{shown}{}", mismatch.path),
                    format!("{found} is not {}", mismatch.expected),
                ));
            }
        }
    }

    /// Puts `lower` under this layer: what is given here counts. Of options that say the same thing in two ways, one given here also
    /// outweighs the other there.
    #[must_use]
    pub fn over(mut self, lower: OptionLayer) -> OptionLayer {
        let same = SAME_THING.iter().filter(|group| group.iter().any(|name| self.has(name)));
        let other_way = INSTEAD.iter().filter(|(name, _)| self.has(name)).map(|(_, others)| others);
        let outweighed: Vec<&str> = same.chain(other_way).flat_map(|group| group.iter().copied()).collect();
        for (name, given) in lower.given {
            if !outweighed.contains(&name) && !self.has(name) {
                self.given.insert(name, given);
            }
        }
        self.misfits.extend(lower.misfits.into_iter().filter(|name| !outweighed.contains(name)));
        self
    }

    /// Whether this source says anything about the option, right or wrong.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name) || self.unknown.iter().any(|other| other == name) || self.misfits.contains(&name)
    }
}

/// Options that say the same thing in several ways: a source that gives one of them outweighs all of them in the sources beneath it.
pub const SAME_THING: [&[&str]; 7] = [
    &["vars", "vars_inline"],
    &["temporary_security_group_source_cidrs", "temporary_security_group_source_public_ip"],
    &["user_data", "user_data_file"],
    &["subnet_id", "subnet_ids", "subnet_filter"],
    &["vpc_id", "vpc_filter"],
    &["security_group_id", "security_group_ids", "security_group_filter"],
    &["instance_type", "instance_types", "spot_instance_types"],
];

/// Ways to a host: an option that chooses one outweighs what belongs to the other in the sources beneath it, and nothing of its own.
const INSTEAD: [(&str, &[&str]); 2] = [
    (
        "ssh_proxy_command",
        &[
            "ssh_bastion_host",
            "ssh_bastion_port",
            "ssh_bastion_username",
            "ssh_bastion_private_key_file",
            "ssh_bastion_known_hosts_file",
        ],
    ),
    ("ssh_bastion_host", &["ssh_proxy_command"]),
];

struct TypeMismatch {
    path: String,
    found: String,
    expected: String,
}

fn mismatch(found: &Json, expected: impl Into<String>) -> TypeMismatch {
    let mut text = found.to_string();
    if text.chars().count() > 60 {
        text = text.chars().take(57).collect::<String>() + "…";
    }
    TypeMismatch { path: String::new(), found: text, expected: expected.into() }
}

/// The value as its type wants it. As in Packer, numbers and booleans may be written as texts and the reverse.
fn typed(kind: OptionKind, value: &Json) -> Result<Json, TypeMismatch> {
    match (kind, value) {
        (OptionKind::String, Json::String(_)) => Ok(value.clone()),
        (OptionKind::String, Json::Number(_) | Json::Bool(_)) => Ok(Json::String(value.to_string())),
        (OptionKind::Number, Json::Number(_)) => Ok(value.clone()),
        (OptionKind::Number, Json::String(text)) => {
            text.trim().parse::<serde_json::Number>().map(Json::Number).map_err(|_| mismatch(value, kind.words()))
        }
        (OptionKind::Bool, Json::Bool(_)) => Ok(value.clone()),
        (OptionKind::Bool, Json::String(text)) if text == "true" || text == "false" => Ok(Json::Bool(text == "true")),
        (OptionKind::List, Json::Array(items)) => {
            texts(items.iter().enumerate().map(|(at, item)| (format!("[{at}]"), item)))
                .map(|pairs| Json::Array(pairs.into_iter().map(|(_, text)| text).collect()))
        }
        (OptionKind::Map, Json::Object(entries)) => texts(entries.iter().map(|(key, item)| (format!(".{key}"), item)))
            .map(|pairs| entries.keys().cloned().zip(pairs.into_iter().map(|(_, text)| text)).collect::<Map<_, _>>())
            .map(Json::Object),
        (OptionKind::Block(fields), Json::Object(entries)) => block(fields, entries),
        (OptionKind::Block(fields), Json::Array(items)) if items.len() == 1 => {
            typed(OptionKind::Block(fields), &items[0])
        }
        _ => Err(mismatch(value, kind.words())),
    }
}

fn texts<'a>(items: impl Iterator<Item = (String, &'a Json)>) -> Result<Vec<(String, Json)>, TypeMismatch> {
    items
        .map(|(path, item)| match typed(OptionKind::String, item) {
            Ok(text) => Ok((path, text)),
            Err(inner) => Err(TypeMismatch { path, ..inner }),
        })
        .collect()
}

fn block(fields: &'static [BlockField], entries: &Map<String, Json>) -> Result<Json, TypeMismatch> {
    let mut typed_block = Map::new();
    for (name, value) in entries.iter().filter(|(_, value)| !is_left_out(value)) {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            let known = fields.iter().map(|field| field.name);
            let near =
                options::nearest(name, known.clone()).map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            let list = known.collect::<Vec<_>>().join(", ");
            let mut wrong = mismatch(&Json::String(name.clone()), format!("one of {list}{near}"));
            wrong.path = format!(".{name}");
            return Err(wrong);
        };
        let value = typed(field.kind.kind(), value)
            .map_err(|inner| TypeMismatch { path: format!(".{name}{}", inner.path), ..inner })?;
        typed_block.insert(name.clone(), value);
    }
    Ok(Json::Object(typed_block))
}

/// Null, and an empty text, are how a variable says "not set" (Packer's own convention).
fn is_left_out(value: &Json) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// Blocks that are not there arrive as an empty list.
fn is_absent_block(kind: OptionKind, value: &Json) -> bool {
    matches!(kind, OptionKind::Block(_) | OptionKind::BlockList(_)) && value.as_array().is_some_and(Vec::is_empty)
}

fn is_placeholder(kind: OptionKind, value: &Json) -> bool {
    match value {
        Json::Number(number) => kind == OptionKind::Number && number.as_f64() == Some(0.0),
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

fn holds_unknown(value: &Json) -> bool {
    any_text(value, &|text| text.contains(UNKNOWN))
}

fn holds_template(value: &Json) -> bool {
    any_text(value, &|text| text.contains("{{"))
}

fn any_text(value: &Json, found: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Json::String(text) => found(text),
        Json::Array(items) => items.iter().any(|item| any_text(item, found)),
        Json::Object(entries) => entries.iter().any(|(key, item)| found(key) || any_text(item, found)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(pairs: &[(&'static str, Json)]) -> OptionLayer {
        let given =
            |value: &Json| GivenValue { value: value.clone(), place: ValuePlace::Nowhere, shown: String::new() };
        OptionLayer {
            given: pairs.iter().map(|(name, value)| (*name, given(value))).collect(),
            ..OptionLayer::default()
        }
    }

    fn left(upper: &[(&'static str, Json)], lower: &[(&'static str, Json)]) -> Vec<&'static str> {
        layer(upper).over(layer(lower)).given.into_keys().collect()
    }

    #[test]
    fn what_is_given_here_outweighs_what_says_the_same_beneath() {
        let text = |name: &'static str| (name, Json::from("x"));
        assert_eq!(left(&[text("vars")], &[text("vars_inline")]), ["vars"]);
        assert_eq!(left(&[text("vars_inline")], &[text("vars")]), ["vars_inline"]);
        let (cidrs, public) = ("temporary_security_group_source_cidrs", "temporary_security_group_source_public_ip");
        assert_eq!(left(&[text(cidrs)], &[text(public)]), [cidrs]);
        assert_eq!(left(&[text(public)], &[text(cidrs)]), [public]);
    }

    #[test]
    fn a_way_to_the_host_outweighs_the_other_way_and_nothing_of_its_own() {
        let text = |name: &'static str| (name, Json::from("x"));
        let (host, user, command) = ("ssh_bastion_host", "ssh_bastion_username", "ssh_proxy_command");
        assert_eq!(left(&[text(host)], &[text(command), text(user)]), [host, user]);
        assert_eq!(left(&[text(command)], &[text(host), text(user)]), [command]);
        assert_eq!(left(&[text(user)], &[text(host)]), [host, user]);
        assert_eq!(left(&[text(user)], &[text(command)]), [user, command], "which is a mistake that is told");
    }
}
