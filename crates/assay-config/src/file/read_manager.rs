//! Reads what only the image manager asks of assay.hcl: `git`, `promotion`, `build`, `distribution`, `retention`, `projection`, `parent`, `max_age`. It
//! owns their names and places; it refuses defaults (see `manager`).

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use hcl_edit::{
    Span as _,
    expr::{Expression, ObjectKey, ObjectValue},
    structure::{Attribute, Block, Structure},
};
use serde_json::Value as Json;

use super::{
    BuildDecl, DistributionDecl, GitDecl, ImageDecl, KeepRule, ProjectionDecl, PromotionDecl, RetentionDecl,
    read::{FileReader, name_of, unknown},
};
use crate::units;
use assay_model::{ImageName, ImageState};

/// What is said of a path that leads out.
const OUTSIDE: &str = "must stay within the folder of assay.hcl";

/// Names inside an image block that [`FileReader::of_manager`] reads.
pub(super) const IN_IMAGE: [&str; 7] =
    ["projection", "parent", "max_age", "regions", "architectures", "build", "distribution"];

impl FileReader<'_> {
    /// Reads one of [`IN_IMAGE`]; false: it is none of them.
    pub(super) fn of_manager(&mut self, structure: &Structure, image: &mut ImageDecl) -> bool {
        match (name_of(structure), structure) {
            ("projection", Structure::Block(block)) => self.projection(block, image),
            ("build", Structure::Block(block)) if image.build.is_some() => self.twice(block),
            ("build", Structure::Block(block)) => image.build = Some(self.build(block)),
            ("distribution", Structure::Block(block)) if image.distribution != DistributionDecl::default() => {
                self.twice(block);
            }
            ("distribution", Structure::Block(block)) => image.distribution = self.distribution(block),
            ("parent", Structure::Attribute(attribute)) => image.parent = self.parent(attribute, image),
            ("max_age", Structure::Attribute(attribute)) => {
                image.max_age = self.age(attribute, "max_age").filter(|age| !age.is_zero());
            }
            ("regions", Structure::Attribute(attribute)) => image.regions = self.parsed_list(attribute, "regions"),
            ("architectures", Structure::Attribute(attribute)) => {
                image.architectures = self.parsed_list(attribute, "architectures");
            }
            _ => return false,
        }
        true
    }

    fn parent(&mut self, attribute: &Attribute, image: &ImageDecl) -> Option<ImageName> {
        let (line, text) = self.text(attribute, "parent")?;
        match text.parse::<ImageName>() {
            Ok(parent) if parent == image.name => {
                self.problem(line, "parent", "an image cannot be its own parent");
                None
            }
            Ok(parent) => Some(parent),
            Err(error) => {
                self.problem(line, "parent", error.to_string());
                None
            }
        }
    }

    /// `git { … }`.
    pub(super) fn git(&mut self, block: &Block, git: &mut GitDecl) {
        for structure in &block.body {
            let Some((name, attribute)) = self.attribute("git", structure, &["branch", "remote"]) else { continue };
            let shown = format!("git.{name}");
            let Some((line, text)) = self.text(attribute, &shown) else { continue };
            let branch = text.strip_prefix("refs/heads/").unwrap_or(&text);
            let bad_branch = name == "branch" && !is_branch_name(branch);
            if bad_branch || text.starts_with('-') || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
                self.problem(line, shown, format!("{text:?} is not a name that git takes"));
                continue;
            }
            match name {
                "branch" => git.branch = branch.to_owned(),
                _ => git.remote = Some(text),
            }
        }
    }

    /// `promotion { … }`.
    pub(super) fn promotion(&mut self, block: &Block, promotion: &mut PromotionDecl) {
        const NAMES: [&str; 4] =
            ["evidence_max_age", "allowed_signers", "require_signature", "require_pinned_host_key"];
        for structure in &block.body {
            let Some((name, attribute)) = self.attribute("promotion", structure, &NAMES) else { continue };
            let shown = format!("promotion.{name}");
            match name {
                "evidence_max_age" => {
                    if let Some(age) = self.age(attribute, &shown) {
                        promotion.evidence_max_age = age;
                    }
                }
                "allowed_signers" => promotion.allowed_signers = self.inner_path(attribute, &shown),
                "require_signature" => {
                    promotion.require_signature = self.flag(attribute, &shown).unwrap_or(promotion.require_signature);
                }
                _ => {
                    promotion.require_pinned_host_key =
                        self.flag(attribute, &shown).unwrap_or(promotion.require_pinned_host_key);
                }
            }
        }
    }

    fn build(&mut self, block: &Block) -> BuildDecl {
        const NAMES: [&str; 5] = ["template", "only", "except", "var_files", "variables"];
        let mut build = BuildDecl::default();
        for structure in &block.body {
            let Some((name, attribute)) = self.attribute("build", structure, &NAMES) else { continue };
            let shown = format!("build.{name}");
            match name {
                "template" => build.template = self.inner_path(attribute, &shown).unwrap_or_default(),
                "only" => build.only = self.parsed_list(attribute, &shown),
                "except" => build.except = self.parsed_list(attribute, &shown),
                "var_files" => build.var_files = self.parsed_list::<PathBuf>(attribute, &shown),
                _ => build.variables = self.variables(attribute, &shown),
            }
        }
        if build.template.as_os_str().is_empty() {
            self.problem(self.line(block), "build", "needs template = \"FILE\"");
        }
        build
    }

    fn distribution(&mut self, block: &Block) -> DistributionDecl {
        const NAMES: [&str; 6] =
            ["ami_regions", "ami_users", "ami_org_arns", "ami_ou_arns", "ssm_parameter", "kms_key_id"];
        let mut distribution = DistributionDecl::default();
        for structure in &block.body {
            let Some((name, attribute)) = self.attribute("distribution", structure, &NAMES) else { continue };
            let shown = format!("distribution.{name}");
            match name {
                "ami_regions" => distribution.ami_regions = self.parsed_list(attribute, &shown),
                "ami_users" => distribution.ami_users = self.parsed_list(attribute, &shown),
                "ami_org_arns" => distribution.ami_org_arns = self.arns(attribute, &shown, ":organization/"),
                "ami_ou_arns" => distribution.ami_ou_arns = self.arns(attribute, &shown, ":ou/"),
                "ssm_parameter" => distribution.ssm_parameter = self.parameter(attribute, &shown),
                _ => distribution.kms_key_id = self.text(attribute, &shown).map(|(_, text)| text),
            }
        }
        distribution
    }

    /// ARNs of AWS Organizations with `part` in them.
    fn arns(&mut self, attribute: &Attribute, shown: &str, part: &str) -> Vec<String> {
        let line = self.line(attribute);
        let mut arns: Vec<String> = self.parsed_list(attribute, shown);
        arns.retain(|arn| {
            let right = arn.starts_with("arn:") && arn.contains(":organizations:") && arn.contains(part);
            if !right {
                let message = format!("{arn:?} is not an ARN like arn:aws:organizations::123456789012{part}…");
                self.problem(line, shown, message);
            }
            right
        });
        arns
    }

    /// A name of SSM's Parameter Store (AWS Systems Manager API, PutParameter: `a-zA-Z0-9_.-` and `/`).
    fn parameter(&mut self, attribute: &Attribute, shown: &str) -> Option<String> {
        let (line, text) = self.text(attribute, shown)?;
        let plain = text.replace("{architecture}", "x");
        if plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/".contains(&b)) {
            return Some(text);
        }
        let message = format!("{text:?} is not a parameter's name: letters, digits, _ . - / and {{architecture}}");
        self.problem(line, shown, message);
        None
    }

    /// `retention { … }`.
    pub(super) fn retention(&mut self, block: &Block, retention: &mut RetentionDecl) {
        for structure in &block.body {
            match (name_of(structure), structure) {
                ("state", Structure::Block(inner)) => {
                    let Some(label) = self.label(inner, "a state, like state \"rejected\"") else { continue };
                    let line = self.line(inner);
                    match label.parse::<ImageState>() {
                        Ok(ImageState::Gold) => {
                            self.problem(line, "retention.state \"gold\"", "gold is always kept; leave it out");
                        }
                        Ok(state) if retention.states.contains_key(&state) => self.twice(inner),
                        Ok(state) => {
                            let mut keep = KeepRule::default();
                            for structure in &inner.body {
                                self.keep(structure, &mut keep, &["keep_releases", "keep_days"]);
                            }
                            retention.states.insert(state, keep);
                        }
                        Err(error) => self.problem(line, format!("retention.state {label:?}"), error.to_string()),
                    }
                }
                _ => self.keep(structure, &mut retention.all, &["keep_releases", "keep_days", "state"]),
            }
        }
    }

    fn keep(&mut self, structure: &Structure, keep: &mut KeepRule, known: &[&str]) {
        let shown = format!("retention.{}", name_of(structure));
        let field = match name_of(structure) {
            "keep_releases" => &mut keep.keep_releases,
            "keep_days" => &mut keep.keep_days,
            name => return self.problem(self.line(structure), shown, unknown(name, known)),
        };
        let Structure::Attribute(attribute) = structure else {
            return self.problem(self.line(structure), shown, "is no block; write it as name = number");
        };
        let Some(value) = self.value(attribute, &shown) else { return };
        *field = value.as_u64().and_then(|count| u32::try_from(count).ok());
        if field.is_none() {
            self.problem(self.line(attribute), shown, format!("{value} is not a whole number, 0 or more"));
        }
    }

    fn projection(&mut self, block: &Block, image: &mut ImageDecl) {
        let line = self.line(block);
        let Some(path) = self.label(block, "the file, like projection \"infra/base.auto.tfvars\"") else { return };
        let shown = format!("projection {path:?}");
        let (mut variable, mut region, mut architecture) = (None, None, None);
        for structure in &block.body {
            let known = ["variable", "region", "architecture"];
            let Some((name, attribute)) = self.attribute(&shown, structure, &known) else { continue };
            let Some((line, text)) = self.text(attribute, &format!("{shown}: {name}")) else { continue };
            match name {
                "variable" => variable = Some(text),
                "region" => region = self.parsed(line, &format!("{shown}: {name}"), &text),
                _ => architecture = self.parsed(line, &format!("{shown}: {name}"), &text),
            }
        }
        let path = inside(Path::new(&path));
        match &path {
            None => self.problem(line, &shown, OUTSIDE),
            Some(path) if path == Path::new(".") => self.problem(line, &shown, "names a folder; name the file in it"),
            Some(_) => {}
        }
        match variable {
            Some(variable) => {
                let path = path.unwrap_or_default();
                image.projections.push(ProjectionDecl { path, line, variable, region, architecture });
            }
            None => self.problem(line, shown, "needs variable = \"NAME\""),
        }
    }

    /// An attribute of one of these names; anything else is a problem of its own.
    fn attribute<'s>(
        &mut self,
        place: &str,
        structure: &'s Structure,
        known: &[&str],
    ) -> Option<(&'s str, &'s Attribute)> {
        let name = name_of(structure);
        // A projection's place is its label in quotes; `build.nmae` elsewhere.
        let joint = if place.ends_with('"') { ": " } else { "." };
        let shown = format!("{place}{joint}{name}");
        if !known.contains(&name) {
            self.problem(self.line(structure), shown, unknown(name, known));
            return None;
        }
        match structure {
            Structure::Attribute(attribute) => Some((name, attribute)),
            Structure::Block(_) => {
                self.problem(self.line(structure), shown, format!("is no block; write {name} = …"));
                None
            }
        }
    }

    fn twice(&mut self, block: &Block) {
        self.problem(self.line(block), block.ident.as_str(), "is declared twice");
    }

    fn flag(&mut self, attribute: &Attribute, shown: &str) -> Option<bool> {
        match self.value(attribute, shown)? {
            Json::Bool(flag) => Some(flag),
            other => {
                self.problem(self.line(attribute), shown, format!("{other} is not true or false"));
                None
            }
        }
    }

    fn age(&mut self, attribute: &Attribute, shown: &str) -> Option<std::time::Duration> {
        let (line, text) = self.text(attribute, shown)?;
        let age = units::age(&text).filter(|age| !age.is_zero());
        if age.is_none() {
            self.problem(line, shown, format!("{text:?} is not an age; expected one like \"30d\""));
        }
        age
    }

    fn inner_path(&mut self, attribute: &Attribute, shown: &str) -> Option<PathBuf> {
        let (line, text) = self.text(attribute, shown)?;
        let path = inside(Path::new(&text));
        if path.is_none() {
            self.problem(line, shown, OUTSIDE);
        }
        path
    }

    fn parsed<T: FromStr>(&mut self, line: usize, shown: &str, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        text.parse().map_err(|error: T::Err| self.problem(line, shown, error.to_string())).ok()
    }

    /// A list of strings, each read as a `T`; none twice.
    fn parsed_list<T: FromStr + PartialEq>(&mut self, attribute: &Attribute, shown: &str) -> Vec<T>
    where
        T::Err: Display,
    {
        let line = self.line(attribute);
        let Some(value) = self.value(attribute, shown) else { return Vec::new() };
        let Json::Array(items) = value else {
            self.problem(line, shown, format!("{value} is not a list of strings"));
            return Vec::new();
        };
        let mut list = Vec::new();
        for item in items {
            let Some(text) = item.as_str().filter(|text| !text.is_empty()) else {
                self.problem(line, shown, format!("{item} is not a string"));
                continue;
            };
            let Some(one) = self.parsed::<T>(line, shown, text) else { continue };
            if list.contains(&one) {
                self.problem(line, shown, format!("{text:?} is named twice"));
            } else {
                list.push(one);
            }
        }
        list
    }

    fn variables(&mut self, attribute: &Attribute, shown: &str) -> BTreeMap<String, String> {
        let line = self.line(attribute);
        let Some(value) = self.value(attribute, shown) else { return BTreeMap::new() };
        let Json::Object(object) = value else {
            self.problem(line, shown, format!("{value} is not an object of name = \"value\""));
            return BTreeMap::new();
        };
        let written = self.written_numbers(attribute);
        let mut variables = BTreeMap::new();
        for (name, value) in object {
            let shown = format!("{shown}.{name}");
            if name.is_empty() || name.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control()) {
                self.problem(line, shown, format!("{name:?} is not the name of a variable"));
                continue;
            }
            // Packer takes the text after -var NAME= as it is for a string variable, and reads it as HCL for any other.
            let text = match (&value, written.get(&name)) {
                (Json::Null, _) => {
                    self.problem(line, shown, "null is no value; leave the variable out to get its default");
                    continue;
                }
                (Json::String(text), _) => text.clone(),
                (Json::Number(_), Some(written)) => written.clone(),
                (other, _) => hcl_text(other),
            };
            variables.insert(name, text);
        }
        variables
    }

    /// The numbers of an object as they stand in the file: `1.10` is a version as often as a number.
    fn written_numbers(&self, attribute: &Attribute) -> BTreeMap<String, String> {
        let Expression::Object(object) = &attribute.value else { return BTreeMap::new() };
        let number = |(key, value): (&ObjectKey, &ObjectValue)| {
            let key = match key {
                ObjectKey::Ident(name) => name.value().to_string(),
                ObjectKey::Expression(expression) => expression.as_str()?.to_owned(),
            };
            let Expression::Number(_) = value.expr() else { return None };
            Some((key, self.text.get(value.expr().span()?)?.trim().to_owned()))
        };
        object.iter().filter_map(number).collect()
    }
}

/// A value as HCL reads it: template markers doubled, or it would evaluate them.
fn hcl_text(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(hcl_text).collect::<Vec<_>>().join(",")),
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| format!("{}:{}", hcl_quoted(key), hcl_text(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
        }
        Json::String(text) => hcl_quoted(text),
        other => other.to_string(),
    }
}

fn hcl_quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if letters.peek() == Some(&'{') => quoted.extend([letter, letter]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether git takes the name for a branch (git-check-ref-format(1)).
fn is_branch_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    name != "@"
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(bad)
        && name.split('/').all(part)
}

/// A path that stays within the folder of assay.hcl, as git writes it: without `.`, doubled slashes and a slash at the end. git takes no other form, and
/// `git update-index` leaves such a file out without a word. The folder itself is `.`. `None`: it leads out of the folder.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(if plain.as_os_str().is_empty() { PathBuf::from(".") } else { plain })
}
