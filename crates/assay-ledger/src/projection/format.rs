//! The kinds of files that projections are written into, and how each writes keys and strings. It owns what differs between them.

use std::path::Path;

use super::{
    edit::rendered,
    hcl, json,
    tree::{ProjectionNode, ProjectionNodeKind, WantedNode},
    yaml,
};
use crate::hcl_text::quote;

/// What is wrong in a file, and at which byte.
pub(super) type WrongContent = (usize, String);

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProjectionFormat {
    /// `*.tfvars`, `*.pkrvars.hcl`, `*.hcl`, `*.tf`, ….
    Hcl,
    /// `*.json`, also `*.tfvars.json` and `*.tf.json`.
    Json,
    /// `*.yaml`, `*.yml`.
    Yaml,
}

impl ProjectionFormat {
    /// By the name's end.
    pub(super) fn of(path: &Path) -> Result<Self, String> {
        let end = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match end.as_str() {
            "tfvars" | "hcl" | "tf" | "tofu" => Ok(Self::Hcl),
            "json" => Ok(Self::Json),
            "yaml" | "yml" => Ok(Self::Yaml),
            _ => Err("assay writes into *.tfvars, *.hcl, *.tf, *.json, *.yaml and *.yml, and this is none of them"
                .to_owned()),
        }
    }

    /// Parses a file's text into its root map.
    pub(super) fn parse(self, text: &str) -> Result<ProjectionNode, WrongContent> {
        match self {
            Self::Hcl => hcl::parse(text),
            Self::Json => json::parse(text),
            Self::Yaml => yaml::parse(text),
        }
    }

    /// A file with this variable alone.
    pub(super) fn new_file(self, path: &Path, segments: &[&str], wanted: &WantedNode) -> Result<String, String> {
        let code = path.extension().is_some_and(|end| end == "tf" || end == "tofu");
        if code && segments.len() == 1 {
            return Err(format!(
                "{} would not stand in a block here; name a variable inside one, like locals.{0}",
                segments[0]
            ));
        }
        if code {
            return Err(format!(
                "there is no such file, and assay writes no Terraform code: write it with {} once",
                segments.join(".")
            ));
        }
        let whole = nested(segments, wanted);
        let WantedNode::Map(entries) = &whole else { return Err("there is no variable to write".to_owned()) };
        Ok(match self {
            Self::Json => rendered(self, &whole, "", "  ", Some("\n")) + "\n",
            Self::Hcl | Self::Yaml => entries
                .iter()
                .map(|(key, value)| self.entry(ProjectionNodeKind::File, key, value, "", "  ", Some("\n")) + "\n")
                .collect(),
        })
    }

    /// One entry of a map, its value spread over lines where `newline` is given.
    pub(super) fn entry(
        self,
        kind: ProjectionNodeKind,
        key: &str,
        value: &WantedNode,
        indent: &str,
        step: &str,
        newline: Option<&str>,
    ) -> String {
        let key = self.key(kind, key);
        match (self, value, newline) {
            (Self::Hcl, ..) => format!("{key} = {}", rendered(self, value, indent, step, newline)),
            (Self::Yaml, WantedNode::Map(_), Some(newline)) => {
                let inner = format!("{indent}{step}");
                format!("{key}:{newline}{inner}{}", rendered(self, value, &inner, step, Some(newline)))
            }
            _ => format!("{key}: {}", rendered(self, value, indent, step, newline)),
        }
    }

    /// A key as it is written.
    pub(super) fn key(self, kind: ProjectionNodeKind, key: &str) -> String {
        match self {
            Self::Hcl if matches!(kind, ProjectionNodeKind::File | ProjectionNodeKind::Block) && is_identifier(key) => {
                key.to_owned()
            }
            Self::Hcl => quote(key),
            Self::Json => json_string(key),
            Self::Yaml if is_plain(key) => key.to_owned(),
            Self::Yaml => json_string(key),
        }
    }

    /// An id as it is written where `like` stood.
    pub(super) fn id(self, id: &str, like: &str) -> String {
        match self {
            Self::Hcl => quote(id),
            Self::Json => json_string(id),
            Self::Yaml => match like.chars().next() {
                Some('"') => json_string(id),
                Some('\'') => format!("'{id}'"),
                Some(_) => id.to_owned(),
                // An empty value begins right behind its colon.
                None => format!(" {id}"),
            },
        }
    }
}

/// `wanted` under a path.
pub(super) fn nested(segments: &[&str], wanted: &WantedNode) -> WantedNode {
    segments.iter().rev().fold(wanted.clone(), |inner, segment| WantedNode::Map(vec![((*segment).to_owned(), inner)]))
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Whether a YAML reader takes it for this string, unquoted.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    is_identifier(text) && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}
