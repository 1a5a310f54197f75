//! goss.yaml and goss.json, rendered, into the common tree. It owns YAML's syntax here, with spans, and what `gossfile`
//! may say; it refuses aliases that multiply, and duplicate keys (goss lets the last one of JSON win, which loses checks
//! silently).

use std::{collections::HashMap, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    Spanned,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};

use super::{
    demand::{self, SuiteDialect},
    diagnostic::nearest,
    tree::{FileMistakes, RawCheck, RawSuite, SourceEntry, SourceNode, SourceValue},
    vocabulary, yaml_stream,
};

/// Nested deeper than this is refused.
const MAX_DEPTH: usize = 64;
/// The most aliases of one file, and the most that all of them may add to it (a value is an event, a map or list two):
/// a few hundred bytes of aliases of aliases would else become gigabytes.
const MAX_ALIASES: usize = 1000;
const MAX_REPLAYED: usize = 50_000;

/// One entry of goss's `gossfile` (goss: resource/gossfile.go).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GossInclude {
    /// Its id.
    pub id: String,
    /// The path or glob, relative to the file that it stands in.
    pub pattern: String,
    /// Whether it is left out.
    pub skip: bool,
    /// Where the path is written.
    pub span: Range<usize>,
}

/// Reads the file as one suite called `name`, and what it includes. Mistakes go to `findings`. `json`: numbers are those
/// of JSON; for goss the format of the outermost file is that of all.
pub(super) fn read(findings: &mut FileMistakes<'_>, name: &str, json: bool) -> Option<(RawSuite, Vec<GossInclude>)> {
    let stream = yaml_stream::look(findings.text());
    if let Some(second) = &stream.second {
        let help = "make it a file of its own, and name it below gossfile";
        findings.wrong(second, "a second document, which goss does not read", "", Some(help));
    }
    for tag in &stream.tags {
        let written = findings.text().get(tag.clone()).unwrap_or_default();
        let help =
            format!("in YAML ! begins a tag, which is taken off; for a pattern write it in quotes, like '{written}'");
        findings.wrong(tag, format!("the tag {written} means nothing in a suite"), "", Some(&help));
    }
    let root = document(findings, stream.end, "this is not YAML that a suite can be read from", json)?;
    // A template whose conditions are all false makes an empty file.
    let resources = if root.value == SourceValue::Null { SourceValue::Map(Vec::new()) } else { root.value.clone() };
    let SourceValue::Map(resources) = resources else {
        let help = "for example\nfile:\n  /etc/passwd:\n    exists: true";
        findings.wrong(&root.span, "a goss file is a map of resources", format!("this is {}", root.kind()), Some(help));
        return None;
    };
    let mut suite = RawSuite {
        name: name.to_owned(),
        span: root.span.clone(),
        attributes: Vec::new(),
        checks: Vec::new(),
        due: false,
    };
    let mut included = Vec::new();
    let ends: Vec<usize> = resources.iter().skip(1).map(|next| next.name_span.start).collect();
    for (at, resource) in resources.into_iter().enumerate() {
        let end = ends.get(at).copied().unwrap_or(findings.text().len());
        if resource.name == "gossfile" {
            includes(findings, resource, &mut included);
        } else if is_definition(findings.text(), &resource, end) {
            // goss ignores names at the top that it does not know, so this is where people keep what they refer to.
        } else {
            checks(findings, resource, &mut suite.checks);
        }
    }
    Some((suite, included))
}

/// Reads YAML or JSON with spans, telling duplicate keys. `None`, and a mistake with the title `what`, where it is
/// neither.
pub(super) fn parse(findings: &mut FileMistakes<'_>, what: &str) -> Option<SourceNode> {
    let json = findings.source.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    document(findings, None, what, json)
}

/// The document that ends at `end`.
fn document(findings: &mut FileMistakes<'_>, end: Option<usize>, what: &str, json: bool) -> Option<SourceNode> {
    let text = end.and_then(|end| findings.text().get(..end)).unwrap_or(findings.text());
    match serde_saphyr::from_str_with_options::<Spanned<YamlValue>>(text, options()) {
        Ok(tree) => Some(into_node(findings, tree, json)),
        Err(error) => {
            let offset = error.location().map_or(0, |location| offset(findings.text(), &location));
            findings.wrong(&(offset..offset + 1), what, message(&error), None);
            None
        }
    }
}

fn includes(findings: &mut FileMistakes<'_>, resource: SourceEntry, found: &mut Vec<GossInclude>) {
    let SourceValue::Map(ids) = resource.node.value else {
        if !matches!(resource.node.value, SourceValue::Broken | SourceValue::Null) {
            let title = format!("{:?} holds {}", resource.name, resource.node.kind());
            findings.wrong(&resource.name_span, title, "needs a map of files", Some("gossfile:\n  other.yaml: {}"));
        }
        return;
    };
    for entry in ids {
        let mut include =
            GossInclude { pattern: entry.name.clone(), id: entry.name, skip: false, span: entry.name_span.clone() };
        let attributes = match entry.node.value {
            SourceValue::Map(attributes) => attributes,
            SourceValue::Null => Vec::new(),
            SourceValue::Broken => continue,
            _ => {
                let title = format!("gossfile {:?} holds {}", include.id, entry.node.kind());
                findings.wrong(&entry.name_span, title, "needs a map of attributes", None);
                continue;
            }
        };
        for attribute in attributes {
            include_attribute(findings, &mut include, attribute);
        }
        found.push(include);
    }
}

fn include_attribute(findings: &mut FileMistakes<'_>, include: &mut GossInclude, attribute: SourceEntry) {
    const KNOWN: [&str; 4] = ["file", "skip", "title", "meta"];
    match (attribute.name.as_str(), &attribute.node.value) {
        ("title" | "meta", _) | (_, SourceValue::Broken) => {}
        ("skip", value) if demand::truth(value, SuiteDialect::Goss).is_some() => {
            include.skip = demand::truth(value, SuiteDialect::Goss).unwrap_or_default();
        }
        ("file", SourceValue::Text(text)) if text.is_empty() => {}
        ("file", SourceValue::Text(text)) => {
            include.pattern.clone_from(text);
            include.span = attribute.node.span.clone();
        }
        ("skip" | "file", _) => {
            let wanted = if attribute.name == "skip" { "true or false" } else { "a path or glob" };
            let title = format!("{:?} cannot be {}", attribute.name, attribute.node.kind());
            findings.wrong(&attribute.node.span, title, "", Some(&format!("{}: {wanted}", attribute.name)));
        }
        (name, _) => {
            let help = match nearest(name, KNOWN) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known: {}", KNOWN.join(", ")),
            };
            findings.wrong(&attribute.name_span, format!("unknown attribute {name:?} of gossfile"), "", Some(&help));
        }
    }
}

fn checks(findings: &mut FileMistakes<'_>, resource: SourceEntry, checks: &mut Vec<RawCheck>) {
    let SourceValue::Map(ids) = resource.node.value else {
        // A template that loops over nothing leaves the resource's name alone.
        let empty = resource.node.value == SourceValue::Null && vocabulary::resource(&resource.name).is_some();
        if resource.node.value != SourceValue::Broken && !empty {
            findings.wrong(
                &resource.name_span,
                format!("{:?} holds {}", resource.name, resource.node.kind()),
                "needs a map of ids",
                None,
            );
        }
        return;
    };
    for id in ids {
        let attributes = match id.node.value {
            SourceValue::Map(attributes) => attributes,
            SourceValue::Null => Vec::new(),
            SourceValue::Broken => continue,
            _ => {
                let title = format!("{} {:?} holds {}", resource.name, id.name, id.node.kind());
                findings.wrong(&id.name_span, title, "needs a map of attributes", None);
                continue;
            }
        };
        checks.push(RawCheck {
            resource: resource.name.clone(),
            resource_span: resource.name_span.clone(),
            id: id.name,
            id_span: id.name_span,
            attributes,
        });
    }
}

/// Whether `entry`, which ends before `end`, only defines anchors (`versions: &versions`) for other parts of the file.
/// A name that is nearly a resource's is a misspelled resource, unless an alias does refer to it.
fn is_definition(text: &str, entry: &SourceEntry, end: usize) -> bool {
    if vocabulary::is_goss_name(&entry.name) {
        return false;
    }
    let anchors = anchors(text.get(entry.name_span.end..end).unwrap_or_default());
    let misspelled = nearest(&entry.name, vocabulary::resources().map(|known| known.resource.as_str())).is_some();
    let referred = |name: &&str| {
        let mut words = text.split(|c: char| c.is_whitespace() || ",[]{}".contains(c));
        words.any(|word| word.strip_prefix('*') == Some(*name))
    };
    if misspelled { anchors.iter().any(referred) } else { !anchors.is_empty() }
}

/// The names of the anchors in a piece of YAML that follows a key. The parser does not hand them over.
fn anchors(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let opens = |word: &str| word.ends_with([':', '[', ',']) || word == "-" || word == "{";
    let pairs = words.windows(2).filter(|pair| opens(pair[0]));
    pairs.filter_map(|pair| pair[1].strip_prefix('&')).filter(|name| !name.is_empty()).collect()
}

fn options() -> serde_saphyr::Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.max_aliases = MAX_ALIASES;
    budget.max_anchors = MAX_ALIASES;
    budget.max_documents = 1;
    let alias_limits = serde_saphyr::alias_limits! {
        max_total_replayed_events: MAX_REPLAYED,
        max_replay_stack_depth: 16,
    };
    serde_saphyr::options! {
        budget: Some(budget),
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        alias_limits: alias_limits,
        strict_booleans: true,
        // As Go's yaml.v3: a whole number that begins with 0 is octal.
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

/// The parser's complaint without its place, which the mark shows.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    if text.contains("Anchors") || text.contains("Aliases") || text.contains("alias replay") {
        return format!("too many aliases: at most {MAX_ALIASES}, which add at most {MAX_REPLAYED} values");
    }
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Where an error is. Some errors come without byte offsets, but with line and column.
fn offset(text: &str, location: &serde_saphyr::Location) -> usize {
    if let Some(range) = byte_range(location) {
        return range.start;
    }
    let line = usize::try_from(location.line()).unwrap_or(0).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    before + usize::try_from(location.column()).unwrap_or(0).saturating_sub(1)
}

fn byte_range(location: &serde_saphyr::Location) -> Option<Range<usize>> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    Some(start..start + length)
}

/// Turns what the parser gave into the tree, telling duplicate keys.
fn into_node(findings: &mut FileMistakes<'_>, yaml: Spanned<YamlValue>, json: bool) -> SourceNode {
    let span = byte_range(&yaml.referenced).unwrap_or(0..0);
    let value = match yaml.value {
        // Go reads every number of a JSON text as a float64, which `equal` and `as-reader` can tell.
        YamlValue::Scalar(SourceValue::Number(number)) if json => {
            SourceValue::Number(number.as_f64().and_then(serde_json::Number::from_f64).unwrap_or(number))
        }
        YamlValue::Scalar(value) => value,
        YamlValue::List(items) => {
            SourceValue::List(items.into_iter().map(|item| into_node(findings, item, json)).collect())
        }
        YamlValue::Map(pairs) => {
            let mut entries: Vec<SourceEntry> = Vec::new();
            let mut places: HashMap<String, Range<usize>> = HashMap::new();
            for (key, value) in pairs {
                let name_span = byte_range(&key.referenced).unwrap_or(0..0);
                let node = into_node(findings, value, json);
                if let Some(first) = places.get(&key.value.0) {
                    let help = format!("it stands already on line {}", findings.line(first));
                    let title = format!("duplicate key {:?}", key.value.0);
                    findings.wrong(&name_span, title, "only one of the two would be heard", Some(&help));
                }
                places.entry(key.value.0.clone()).or_insert_with(|| name_span.clone());
                entries.push(SourceEntry { name: key.value.0, name_span, node });
            }
            SourceValue::Map(entries)
        }
    };
    SourceNode { value, span }
}

/// What the parser hands over, before duplicate keys are looked for.
#[derive(Debug)]
enum YamlValue {
    Scalar(SourceValue),
    List(Vec<Spanned<YamlValue>>),
    Map(Vec<(Spanned<KeyText>, Spanned<YamlValue>)>),
}

/// A key; numbers and booleans as they would be written (`22` names a port).
#[derive(Debug)]
struct KeyText(String);

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Scalar(SourceValue::Bool(v)))
    }

    fn visit_i64<E>(self, v: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Scalar(SourceValue::Number(v.into())))
    }

    fn visit_u64<E>(self, v: u64) -> Result<YamlValue, E> {
        Ok(YamlValue::Scalar(SourceValue::Number(v.into())))
    }

    fn visit_f64<E>(self, v: f64) -> Result<YamlValue, E> {
        let value = serde_json::Number::from_f64(v).map_or(SourceValue::Broken, SourceValue::Number);
        Ok(YamlValue::Scalar(value))
    }

    fn visit_str<E>(self, v: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::Scalar(SourceValue::Text(v.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Scalar(SourceValue::Null))
    }

    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Scalar(SourceValue::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlValue, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<YamlValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(YamlValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlValue, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(YamlValue::Map(pairs))
    }
}

#[cfg(test)]
#[path = "goss_tests.rs"]
mod tests;
