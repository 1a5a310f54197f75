//! The common tree into [`Suite`]s: every name is looked up, every value checked, and every mistake told, not only the
//! first. It owns defaults and what an id may look like.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    path::Path,
    time::Duration,
};

use super::{
    Check, CheckProperty, Matcher, ResourceKind, SudoChoice, Suite,
    demand::{self, AttributeDemand, SuiteDialect},
    diagnostic::nearest,
    duration::parse_duration,
    judge::as_text,
    tree::{FileMistakes, RawCheck, RawSuite, SourceEntry, SourceNode, SourceValue},
    vocabulary::{self, ParameterKind, ValueKind},
};
use assay_model::Digest;

/// The longest that one check may be given.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
/// What an external suite gets where nothing is said.
const EXTERNAL_TIMEOUT: Duration = Duration::from_secs(600);
/// The most often that a check may be asked again.
const MAX_RETRY: u64 = 100;

/// What a check gets where it says nothing itself.
#[derive(Debug, Clone, Copy)]
struct CheckDefaults {
    retry: u32,
    retry_delay: Duration,
    /// `None`: what the kind of resource has.
    timeout: Option<Duration>,
    dialect: SuiteDialect,
}

/// Reads one suite. `None` when there is nothing in it to check; all mistakes are in `findings`. The dialect is not the
/// path's to say: what a goss file includes is goss's, whatever its name ends with.
pub(super) fn read(
    findings: &mut FileMistakes<'_>,
    raw: RawSuite,
    path: &Path,
    digest: &Digest,
    dialect: SuiteDialect,
) -> Option<Suite> {
    let mut defaults = CheckDefaults { retry: 0, retry_delay: Duration::from_secs(1), timeout: None, dialect };
    let mut sudo = SudoChoice::Auto;
    for entry in &raw.attributes {
        match entry.name.as_str() {
            "retry" => set(&mut defaults.retry, retry(findings, entry)),
            "retry_delay" => set(&mut defaults.retry_delay, time(findings, entry)),
            "timeout" => defaults.timeout = timeout(findings, entry),
            "sudo" => set(
                &mut sudo,
                boolean(findings, dialect, entry).map(|yes| if yes { SudoChoice::Always } else { SudoChoice::Never }),
            ),
            other => unknown_name(findings, entry, &format!("attribute {other:?} of a suite"), vocabulary::SUITE),
        }
    }
    let mut checks: Vec<Check> = Vec::new();
    let mut lines: HashMap<(ResourceKind, String), u32> = HashMap::new();
    for raw in &raw.checks {
        let Some(check) = check(findings, raw, defaults) else { continue };
        let name = (check.resource, check.id.clone());
        if let Some(first) = lines.get(&name) {
            let help = format!("it stands already on line {first}: join the two");
            findings.wrong(&raw.id_span, format!("{} {:?} a second time", check.resource, check.id), "", Some(&help));
        }
        lines.entry(name).or_insert(check.line);
        checks.push(check);
    }
    if raw.checks.is_empty() && raw.due {
        let help =
            "a suite that checks nothing can never pass; add a resource, like service \"ssh\" { running = true }";
        findings.wrong(&raw.span, format!("suite {:?} has no checks", raw.name), "", Some(help));
    }
    let suite = Suite { name: raw.name, path: path.to_owned(), digest: digest.clone(), sudo, checks };
    (!suite.checks.is_empty()).then_some(suite)
}

fn check(findings: &mut FileMistakes<'_>, raw: &RawCheck, defaults: CheckDefaults) -> Option<Check> {
    let Some(entry) = vocabulary::resource(&raw.resource) else {
        unknown_resource(findings, raw);
        return None;
    };
    let mut check = Check {
        resource: entry.resource,
        id: raw.id.clone(),
        subject: None,
        title: None,
        skip: false,
        retry: defaults.retry,
        retry_delay: defaults.retry_delay,
        timeout: patience(entry.resource, defaults),
        parameters: BTreeMap::new(),
        properties: Vec::new(),
        path: None,
        line: findings.line(&raw.id_span),
    };
    let before = findings.list.len();
    let as_reader = is_reader(raw, defaults.dialect);
    let names = HashMap::new();
    let mut reader = CheckAttributes { findings, entry, dialect: defaults.dialect, as_reader, empty: false, names };
    for attribute in &raw.attributes {
        reader.apply(&mut check, attribute);
    }
    let empty = reader.empty;
    if as_reader {
        let content = check.parameters.remove("content").unwrap_or_default();
        check.parameters.insert("content".to_owned(), as_text(&content).into());
    }
    subject(findings, entry, raw, &check);
    external(findings, raw, &mut check);
    let rank = |name: &str| entry.properties.iter().position(|(known, _)| *known == name);
    if let Some(gate) = entry.resource.gate() {
        check.properties.sort_by_key(|p| p.name != gate);
    } else if entry.resource == ResourceKind::Command {
        check.properties.sort_by_key(|p| rank(&p.name) != Some(0));
    }
    imply(findings, raw, &mut check, before);
    let broken = raw.attributes.iter().any(|a| a.node.to_json().is_none());
    if check.skip && findings.list.len() == before && check.properties.is_empty() {
        check.properties.push(skipped(entry, check.line));
    } else if !check.skip && findings.list.len() == before && !broken {
        complete(findings, entry, defaults.dialect, raw, &check, empty);
    }
    Some(check)
}

/// What a check reports that is skipped and demands nothing: goss too reports one property as skipped.
fn skipped(entry: &vocabulary::VocabularyEntry, line: u32) -> CheckProperty {
    let first = entry.properties.first().map_or("", |(name, _)| *name);
    let name = vocabulary::required(entry.resource).unwrap_or(first).to_owned();
    CheckProperty { name, matcher: Matcher::Equal(true.into()), line }
}

/// Whether the check demands something, and in goss's files what goss itself wants to be there.
fn complete(
    findings: &mut FileMistakes<'_>,
    entry: &vocabulary::VocabularyEntry,
    dialect: SuiteDialect,
    raw: &RawCheck,
    check: &Check,
    empty: bool,
) {
    let required = vocabulary::required(entry.resource).filter(|_| dialect == SuiteDialect::Goss);
    if let Some(name) = required.filter(|name| !check.properties.iter().any(|p| p.name == *name)) {
        let help = format!("goss reports an error for a {} without it", entry.resource);
        let title = format!("{} {:?} does not say {name:?}", raw.resource, raw.id);
        findings.wrong(&raw.id_span, title, "", Some(&help));
    } else if check.properties.is_empty() {
        let names: Vec<&str> = entry.properties.iter().map(|(name, _)| *name).collect();
        let help =
            format!("say at least one of {}{}", names.join(", "), if empty { "; [] asserts nothing" } else { "" });
        findings.wrong(&raw.id_span, format!("{} {:?} asserts nothing", raw.resource, raw.id), "", Some(&help));
    }
}

/// The longest that an attempt may take where its own block says nothing.
fn patience(resource: ResourceKind, defaults: CheckDefaults) -> Duration {
    defaults.timeout.unwrap_or_else(|| vocabulary::timeout(resource)).max(vocabulary::patience(resource))
}

/// A block that names no property of a resource of findings demands that there are none.
fn imply(findings: &FileMistakes<'_>, raw: &RawCheck, check: &mut Check, mistakes_before: usize) {
    if check.properties.is_empty() && findings.list.len() == mistakes_before {
        let line = findings.line(&raw.resource_span);
        let none = || Matcher::Equal(serde_json::Value::Array(Vec::new()));
        check.properties = vocabulary::implied(check.resource)
            .into_iter()
            .map(|name| CheckProperty { name: name.to_owned(), matcher: none(), line })
            .collect();
    }
}

/// goss's `matching` with `as-reader`: its content is read as a stream of lines.
fn is_reader(raw: &RawCheck, dialect: SuiteDialect) -> bool {
    let on = |a: &SourceEntry| a.name == "as-reader" && demand::truth(&a.node.value, dialect) == Some(true);
    raw.resource == ResourceKind::Matching.as_str() && raw.attributes.iter().any(on)
}

/// The attributes of one check, on their way into it.
struct CheckAttributes<'r, 'a> {
    findings: &'r mut FileMistakes<'a>,
    entry: &'static vocabulary::VocabularyEntry,
    dialect: SuiteDialect,
    as_reader: bool,
    /// A list that asserts nothing was among them.
    empty: bool,
    /// What was given so far, with the name that it was given by.
    names: HashMap<&'static str, String>,
}

impl CheckAttributes<'_, '_> {
    fn apply(&mut self, check: &mut Check, attribute: &SourceEntry) {
        let alias = vocabulary::ALIASES.iter().find(|(old, _)| *old == attribute.name);
        let name = alias.map_or(attribute.name.as_str(), |(_, name)| *name);
        let name = vocabulary::canonical(self.entry.resource, name).unwrap_or(name);
        if let Some((known, kind)) = self.entry.properties.iter().find(|(known, _)| *known == name) {
            self.property(check, attribute, known, *kind);
        } else if self.dialect == SuiteDialect::Goss && attribute.node.value == SourceValue::Null && self.knows(name) {
            // In goss's files null says nothing.
        } else if let Some((known, kind)) = self.entry.parameters.iter().find(|(known, _)| *known == name) {
            if let Some(value) = parameter(self.findings, self.dialect, *kind, attribute) {
                check.parameters.insert((*known).to_owned(), value);
            }
        } else {
            self.common(check, attribute, name);
        }
    }

    /// Two names for one thing, as `contains` and `contents`: in goss's files both are demanded of a file's lines. Elsewhere
    /// one of the two would be lost.
    fn property(&mut self, check: &mut Check, attribute: &SourceEntry, known: &'static str, kind: ValueKind) {
        let line = self.findings.line(&attribute.name_span);
        let joined = self.dialect == SuiteDialect::Goss && kind == ValueKind::Lines;
        if let Some(first) = self.names.insert(known, attribute.name.clone()).filter(|_| !joined) {
            if first == attribute.name {
                // A duplicate key, which was told.
                return;
            }
            let title = format!("{:?} a second time", known);
            let help = format!("{first} and {} are the same; say one of them", attribute.name);
            self.findings.wrong(&attribute.name_span, title, "", Some(&help));
            return;
        }
        let kind = if self.as_reader && kind == ValueKind::Any { ValueKind::Reader } else { kind };
        match demand::read(self.findings, self.dialect, known, kind, &attribute.node) {
            AttributeDemand::Is(matcher) => match check.properties.iter_mut().find(|property| property.name == known) {
                Some(there) => {
                    let first = std::mem::replace(&mut there.matcher, Matcher::And(Vec::new()));
                    there.matcher = Matcher::And(vec![first, matcher]);
                }
                None => check.properties.push(CheckProperty { name: known.to_owned(), matcher, line }),
            },
            AttributeDemand::Nothing => self.empty = true,
            AttributeDemand::Broken => {}
        }
    }

    fn knows(&self, name: &str) -> bool {
        let parameter = self.entry.parameters.iter().any(|(known, _)| *known == name);
        parameter || vocabulary::COMMON.contains(&name) || (!name.is_empty() && name == self.entry.subject)
    }

    /// What every resource has.
    fn common(&mut self, check: &mut Check, attribute: &SourceEntry, name: &str) {
        let (findings, dialect) = (&mut *self.findings, self.dialect);
        let zero = matches!(&attribute.node.value, SourceValue::Number(n) if n.as_f64() == Some(0.0));
        match name {
            "title" => check.title = text(findings, dialect, attribute),
            "meta" => {
                if dialect == SuiteDialect::Goss
                    && !matches!(attribute.node.value, SourceValue::Map(_) | SourceValue::Broken)
                {
                    mistyped::<()>(findings, attribute, "a map");
                }
            }
            "skip" => set(&mut check.skip, boolean(findings, dialect, attribute)),
            "retry" => {
                let before = self.names.insert("retry", attribute.name.clone());
                if let Some(first) = before.filter(|first| *first != attribute.name) {
                    let help = format!("{first} and {} are the same; say one of them", attribute.name);
                    findings.wrong(&attribute.name_span, "\"retry\" a second time", "", Some(&help));
                }
                set(&mut check.retry, retry(findings, attribute));
            }
            "retry_delay" => set(&mut check.retry_delay, time(findings, attribute)),
            // goss writes 0 where nothing was said.
            "timeout" if dialect == SuiteDialect::Goss && zero => {}
            "timeout" => set(&mut check.timeout, timeout(findings, attribute)),
            subject if !subject.is_empty() && subject == self.entry.subject => {
                check.subject =
                    text(findings, dialect, attribute).filter(|s| !s.is_empty() || dialect == SuiteDialect::Hcl);
            }
            other => unknown_attribute(findings, self.entry, attribute, other),
        }
    }
}

/// What an external suite takes for granted: that it passes, in ten minutes where nothing is said.
fn external(findings: &mut FileMistakes<'_>, raw: &RawCheck, check: &mut Check) {
    if check.resource != ResourceKind::External {
        return;
    }
    if !raw.attributes.iter().any(|a| a.name == "timeout") {
        check.timeout = check.timeout.max(EXTERNAL_TIMEOUT);
    }
    if check.properties.is_empty() {
        let matcher = Matcher::Equal(true.into());
        check.properties.push(CheckProperty { name: "passed".to_owned(), matcher, line: check.line });
    }
    let has = |name: &str| check.parameters.contains_key(name);
    let preset = check.parameters.get("preset").and_then(|p| p.as_str()).unwrap_or("command");
    if has("arguments") && matches!(preset, "goss" | "command") {
        let title = format!("external {:?}: arguments are not taken by preset {preset:?}", check.id);
        let help = "a command's arguments stand in command; for goss's flags write command = [\"…\"]";
        findings.wrong(&raw.id_span, title, "", Some(help));
    }
    if has("command") && preset != "command" {
        let title = format!("external {:?}: command and preset exclude each other", check.id);
        findings.wrong(&raw.id_span, title, "", Some("leave one of the two out"));
    }
    let (missing, example) = match preset {
        "command" if !has("command") => ("command", "command = [\"./test.sh\"]; or name a preset and its path"),
        "command" => return,
        _ if !has("path") => ("path", "path = \"tests\": the file or folder with its tests, from this file's folder"),
        _ => return,
    };
    let named = raw.attributes.iter().any(|a| a.name == missing);
    if !named {
        let title = format!("external {:?} has no {missing}", check.id);
        findings.wrong(&raw.id_span, title, "", Some(example));
    }
}

/// Whether the id (or what stands in its place) is one that can be asked about.
fn subject(findings: &mut FileMistakes<'_>, entry: &vocabulary::VocabularyEntry, raw: &RawCheck, check: &Check) {
    let given = raw.attributes.iter().find(|a| !entry.subject.is_empty() && a.name == entry.subject);
    let span: &Range<usize> = given.map_or(&raw.id_span, |a| &a.node.span);
    let text = check.subject();
    let example = format!("for example {} {:?}", entry.resource, entry.example);
    let mut wrong = |title: String, help: &str| findings.wrong(span, title, "", Some(help));
    if text.trim().is_empty() {
        wrong(format!("{} without an id", entry.resource), &example);
    } else if text.contains('\0') || (entry.resource != ResourceKind::Command && text.chars().any(char::is_control)) {
        wrong(format!("{} {text:?} holds a control character", entry.resource), &example);
    } else if check.skip {
        // Nothing is asked, so nothing is wrong with what would be asked about.
    } else if entry.resource == ResourceKind::File && !text.starts_with('/') && !is_below_a_home(text) {
        wrong(
            format!("path {text:?} is not absolute"),
            "paths on the host begin with /, or with ~ and a user: ~root/x",
        );
    } else if entry.resource == ResourceKind::Port && !is_port(text) {
        wrong(format!("{text:?} is no port"), "tcp:22, tcp6:22, udp:53, udp6:53, or 22 for tcp:22");
    } else if entry.resource == ResourceKind::Reboot && !vocabulary::REBOOTS.contains(&text) {
        let near = nearest(text, vocabulary::REBOOTS.iter().copied()).map(|near| format!("did you mean {near:?}? "));
        let help = "reboot \"soft\" restarts the instance, reboot \"stop-start\" stops it and starts it again";
        wrong(format!("there is no reboot {text:?}"), &format!("{}{help}", near.unwrap_or_default()));
    } else if matches!(entry.resource, ResourceKind::Package | ResourceKind::Service) && text.starts_with('-') {
        wrong(format!("{} {text:?} begins with -", entry.resource), &example);
    }
}

/// `~root` or `~root/x`. Whose home `~` alone is would depend on who looks.
fn is_below_a_home(text: &str) -> bool {
    let user = text.strip_prefix('~').map(|rest| rest.split('/').next().unwrap_or(rest));
    user.is_some_and(|user| !user.is_empty() && !user.contains(':'))
}

fn is_port(text: &str) -> bool {
    let (family, number) = text.split_once(':').unwrap_or(("tcp", text));
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    ["tcp", "tcp6", "udp", "udp6"].contains(&family) && digits && number.parse::<u16>().is_ok_and(|n| n > 0)
}

fn unknown_resource(findings: &mut FileMistakes<'_>, raw: &RawCheck) {
    let known = vocabulary::resources().map(|e| e.resource.as_str());
    let name = raw.resource.as_str();
    let all: Vec<&str> = known.clone().collect();
    let supported = format!("supported today: {}", all.join(", "));
    if vocabulary::LATER_RESOURCES.contains(&name) {
        let title = format!("goss's resource {name:?} is not supported yet");
        findings.wrong(&raw.resource_span, title, "comes in a later release", Some(&supported));
    } else if vocabulary::WINDOWS_RESOURCES.contains(&name) {
        findings.wrong(
            &raw.resource_span,
            format!("resource {name:?} is for Windows"),
            "not supported",
            Some(&supported),
        );
    } else {
        let help = nearest(name, known).map_or(supported, |near| format!("did you mean {near:?}?"));
        findings.wrong(&raw.resource_span, format!("unknown resource {name:?}"), "", Some(&help));
    }
}

fn unknown_attribute(
    findings: &mut FileMistakes<'_>,
    entry: &vocabulary::VocabularyEntry,
    attribute: &SourceEntry,
    name: &str,
) {
    if entry.later.contains(&name) {
        let title = format!("attribute {name:?} of {} is not supported yet", entry.resource);
        findings.wrong(&attribute.name_span, title, "comes in a later release", None);
        return;
    }
    let subject = Some(entry.subject).filter(|s| !s.is_empty());
    let known: Vec<&str> = entry
        .properties
        .iter()
        .map(|(n, _)| *n)
        .chain(entry.parameters.iter().map(|(n, _)| *n))
        .chain(subject)
        .chain(vocabulary::COMMON.iter().copied())
        .collect();
    unknown_name(findings, attribute, &format!("attribute {name:?} of {}", entry.resource), &known);
}

fn unknown_name(findings: &mut FileMistakes<'_>, entry: &SourceEntry, what: &str, known: &[&str]) {
    let help = match nearest(&entry.name, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("known: {}", known.join(", ")),
    };
    findings.wrong(&entry.name_span, format!("unknown {what}"), "", Some(&help));
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn text(findings: &mut FileMistakes<'_>, dialect: SuiteDialect, entry: &SourceEntry) -> Option<String> {
    match word(findings, dialect, &entry.node) {
        Some(text) => Some(text),
        None => mistyped(findings, entry, "a text in quotes"),
    }
}

/// A text, or what stands for one: in goss's files `true` and `1.10` without quotes are the texts that they look like
/// (Go's yaml.v3, where a string is wanted).
fn word(findings: &FileMistakes<'_>, dialect: SuiteDialect, node: &SourceNode) -> Option<String> {
    let written = findings.text().get(node.span.clone()).unwrap_or_default();
    match &node.value {
        SourceValue::Text(text) => Some(text.clone()),
        SourceValue::Number(number) if dialect == SuiteDialect::Goss && written.parse().ok() == number.as_f64() => {
            Some(written.to_owned())
        }
        SourceValue::Number(number) => Some(number.to_string()),
        SourceValue::Bool(_) if dialect == SuiteDialect::Hcl => None,
        SourceValue::Bool(yes) if written.eq_ignore_ascii_case(&yes.to_string()) => Some(written.to_owned()),
        SourceValue::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// A value of how to ask.
fn parameter(
    findings: &mut FileMistakes<'_>,
    dialect: SuiteDialect,
    kind: ParameterKind,
    entry: &SourceEntry,
) -> Option<serde_json::Value> {
    match (kind, &entry.node.value) {
        (ParameterKind::Bool, _) => boolean(findings, dialect, entry).map(Into::into),
        (ParameterKind::Text, _) => text(findings, dialect, entry).map(Into::into),
        (ParameterKind::Any, _) => entry.node.to_json(),
        (ParameterKind::Word(words), SourceValue::Text(text)) if words.contains(&text.as_str()) => {
            Some(text.as_str().into())
        }
        (ParameterKind::Word(words), SourceValue::Text(text)) => {
            let help = match nearest(text, words.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("one of {}", words.join(", ")),
            };
            findings.wrong(&entry.node.span, format!("{:?} cannot be {text:?}", entry.name), "", Some(&help));
            None
        }
        (ParameterKind::Word(words), _) => mistyped(findings, entry, &format!("one of {}", words.join(", "))),
        (ParameterKind::Texts, SourceValue::List(items)) => {
            match items.iter().map(|item| word(findings, dialect, item)).collect::<Option<Vec<_>>>() {
                Some(texts) => Some(texts.into()),
                None => mistyped(findings, entry, "a list of texts"),
            }
        }
        (ParameterKind::Texts, _) => match word(findings, dialect, &entry.node) {
            Some(text) => Some(vec![text].into()),
            None => mistyped(findings, entry, "a list of texts"),
        },
    }
}

/// true or false.
fn boolean(findings: &mut FileMistakes<'_>, dialect: SuiteDialect, entry: &SourceEntry) -> Option<bool> {
    match demand::truth(&entry.node.value, dialect) {
        Some(it) => Some(it),
        None => mistyped(findings, entry, "true or false"),
    }
}

/// A whole number from 0, also where it is written (or read from JSON) with a decimal point.
fn whole(number: &serde_json::Number) -> Option<u64> {
    number
        .as_u64()
        .or_else(|| number.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9e15).contains(f)).map(|f| f as u64))
}

fn retry(findings: &mut FileMistakes<'_>, entry: &SourceEntry) -> Option<u32> {
    match &entry.node.value {
        SourceValue::Number(number) => match whole(number).filter(|n| *n <= MAX_RETRY) {
            Some(count) => u32::try_from(count).ok(),
            None => mistyped(findings, entry, "a whole number from 0 to 100"),
        },
        _ => mistyped(findings, entry, "a whole number from 0 to 100"),
    }
}

/// `"20s"`, or a number of milliseconds as goss writes it.
fn time(findings: &mut FileMistakes<'_>, entry: &SourceEntry) -> Option<Duration> {
    let time = match &entry.node.value {
        SourceValue::Text(text) => parse_duration(text),
        SourceValue::Number(number) => whole(number).map(Duration::from_millis),
        _ => None,
    };
    match time.filter(|t| *t <= MAX_TIMEOUT) {
        Some(time) => Some(time),
        None => mistyped(findings, entry, "a time up to 1h: \"20s\", \"1m30s\", or a number of milliseconds"),
    }
}

fn timeout(findings: &mut FileMistakes<'_>, entry: &SourceEntry) -> Option<Duration> {
    match time(findings, entry) {
        Some(Duration::ZERO) => mistyped(findings, entry, "a time above 0, like \"20s\""),
        time => time,
    }
}

fn mistyped<T>(findings: &mut FileMistakes<'_>, entry: &SourceEntry, wanted: &str) -> Option<T> {
    let SourceNode { value, span } = &entry.node;
    if *value != SourceValue::Broken {
        let help = format!("{} = {wanted}", entry.name);
        findings.wrong(span, format!("{:?} cannot be this", entry.name), "", Some(&help));
    }
    None
}
