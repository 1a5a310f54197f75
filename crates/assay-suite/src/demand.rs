//! One attribute's value into a [`Matcher`]. It owns what a plain value means at each kind of attribute (goss's rules,
//! `resource/validate.go` and `resource/gomega.go`); the matchers' own arguments are `arguments`'. What goss would only
//! notice on the host, as an error of the check, is a mistake in the file here.

use std::ops::Range;

use super::{
    Matcher,
    diagnostic::nearest,
    matcher::number,
    pattern::SearchPattern,
    tree::{FileMistakes, SourceNode, SourceValue},
    vocabulary::ValueKind,
};

/// Nested deeper than this is refused (HCL's parser has the same limit).
pub(super) const MAX_DEPTH: usize = 64;

/// Which language the suite is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SuiteDialect {
    /// assay's own: what can never be met is refused.
    Hcl,
    /// goss's: what goss runs is run, also where it can never be met.
    Goss,
}

/// true or false; in goss's files also YAML 1.1's words, which Go's yaml.v3 takes where a boolean is wanted (but not where
/// anything may stand, as in demands).
pub(super) fn truth(value: &SourceValue, dialect: SuiteDialect) -> Option<bool> {
    const YES: [&str; 8] = ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON"];
    const NO: [&str; 8] = ["n", "N", "no", "No", "NO", "off", "Off", "OFF"];
    match (value, dialect) {
        (SourceValue::Bool(it), _) => Some(*it),
        (SourceValue::Text(text), SuiteDialect::Goss) if YES.contains(&text.as_str()) => Some(true),
        (SourceValue::Text(text), SuiteDialect::Goss) if NO.contains(&text.as_str()) => Some(false),
        _ => None,
    }
}

/// What an attribute says.
pub(super) enum AttributeDemand {
    /// This.
    Is(Matcher),
    /// An empty list of patterns (or elements, in HCL), or in goss's files `null`: nothing.
    Nothing,
    /// A mistake, which was told.
    Broken,
}

/// Reads the demand at an attribute.
pub(super) fn read(
    findings: &mut FileMistakes<'_>,
    dialect: SuiteDialect,
    name: &str,
    kind: ValueKind,
    node: &SourceNode,
) -> AttributeDemand {
    let nothing = match &node.value {
        SourceValue::List(items) => items.is_empty() && nothing_in_empty(dialect, kind),
        SourceValue::Null => dialect == SuiteDialect::Goss,
        _ => false,
    };
    if nothing {
        return AttributeDemand::Nothing;
    }
    let mut reader = DemandReader { findings, dialect, name, kind, negated: false };
    let matcher = match &node.value {
        SourceValue::List(items) => reader.top_list(node, items),
        _ => reader.demand(node, kind, 0),
    };
    matcher.map_or(AttributeDemand::Broken, AttributeDemand::Is)
}

/// goss does not look at an empty list of patterns; an empty list of elements it finds held by any list.
fn nothing_in_empty(dialect: SuiteDialect, kind: ValueKind) -> bool {
    match kind {
        ValueKind::Lines => true,
        ValueKind::List => dialect == SuiteDialect::Hcl,
        _ => false,
    }
}

pub(super) struct DemandReader<'r, 'a> {
    pub findings: &'r mut FileMistakes<'a>,
    pub dialect: SuiteDialect,
    pub name: &'r str,
    /// What the attribute holds.
    pub kind: ValueKind,
    /// What is read stands below a `not`.
    pub negated: bool,
}

impl DemandReader<'_, '_> {
    /// A demand on a value of this kind; within matchers a list is always one of elements.
    pub(crate) fn demand(&mut self, node: &SourceNode, kind: ValueKind, depth: usize) -> Option<Matcher> {
        if depth > MAX_DEPTH {
            self.wrong(&node.span, "matchers nested too deep", "the limit is 64", None);
            return None;
        }
        match &node.value {
            SourceValue::Broken => None,
            SourceValue::Null => {
                let help = self.wanted();
                self.wrong(&node.span, &format!("{:?} has no value", self.name), "null", Some(&help));
                None
            }
            SourceValue::Map(entries) => self.matcher(node, entries, kind, depth),
            SourceValue::List(items) => self.nested_list(node, items, kind, depth),
            SourceValue::Bool(_) | SourceValue::Number(_) | SourceValue::Text(_) => self.plain(node, kind, depth),
        }
    }

    /// A plain text, number or boolean: equality.
    fn plain(&mut self, node: &SourceNode, kind: ValueKind, depth: usize) -> Option<Matcher> {
        // goss compares whatever stands within a matcher.
        let free = self.dialect == SuiteDialect::Goss && depth > 0;
        let fits = match (kind, &node.value) {
            _ if free => true,
            (ValueKind::Any | ValueKind::Reader, _) | (ValueKind::Bool, SourceValue::Bool(_)) => true,
            (ValueKind::Text | ValueKind::Lines | ValueKind::List, SourceValue::Text(_) | SourceValue::Number(_)) => {
                true
            }
            (ValueKind::Bool, SourceValue::Text(text)) => {
                self.dialect == SuiteDialect::Goss && (text == "true" || text == "false")
            }
            (ValueKind::Number, SourceValue::Number(_)) => true,
            (ValueKind::Number, SourceValue::Text(text)) => {
                if let Ok(number) = text.parse::<i64>() {
                    return Some(Matcher::Equal(number.into()));
                }
                false
            }
            (ValueKind::Mode, SourceValue::Text(text)) => return self.mode(node, text),
            (ValueKind::Mode, SourceValue::Number(number)) => return self.bare_mode(node, number),
            (ValueKind::Word(words), SourceValue::Text(text)) => return self.word(node, words, text),
            _ => false,
        };
        if !fits {
            let title = format!("{:?} cannot be {}", self.name, node.kind());
            let help = self.wanted();
            self.wrong(&node.span, &title, "", Some(&help));
            return None;
        }
        let plain = match &node.value {
            SourceValue::Number(n) if !n.is_i64() && !n.is_u64() => number(n.as_f64()?),
            _ => node.to_json()?,
        };
        Some(Matcher::Equal(plain))
    }

    fn mode(&mut self, node: &SourceNode, text: &str) -> Option<Matcher> {
        if self.dialect == SuiteDialect::Goss {
            return Some(Matcher::Equal(text.into()));
        }
        let octal = (3..=5).contains(&text.len()) && text.bytes().all(|b| (b'0'..b'8').contains(&b));
        if !octal {
            let title = format!("{text:?} are no file permissions");
            self.wrong(&node.span, &title, "needs octal digits", Some("for example \"0644\""));
            return None;
        }
        Some(Matcher::Equal(format!("{:0>4}", text.trim_start_matches('0')).into()))
    }

    /// A number without quotes: goss's file says 644 and means these digits; with a zero in front YAML reads octal.
    fn bare_mode(&mut self, node: &SourceNode, number: &serde_json::Number) -> Option<Matcher> {
        let written = self.findings.text().get(node.span.clone()).unwrap_or_default().trim().to_owned();
        if self.dialect == SuiteDialect::Goss && !written.starts_with('0') {
            return Some(Matcher::Equal(serde_json::Value::Number(number.clone())));
        }
        let help = format!("permissions stand in quotes, so that they are read as octal: \"{written:0>4}\"");
        self.wrong(&node.span, "\"mode\" cannot be a number", "", Some(&help));
        None
    }

    fn word(&mut self, node: &SourceNode, words: &[&'static str], text: &str) -> Option<Matcher> {
        if self.dialect == SuiteDialect::Goss || words.contains(&text) {
            return Some(Matcher::Equal(text.into()));
        }
        let help = match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("one of {}", words.join(", ")),
        };
        self.wrong(&node.span, &format!("{:?} cannot be {text:?}", self.name), "", Some(&help));
        None
    }

    /// The attribute itself is a list: patterns for lines, elements for lists.
    fn top_list(&mut self, node: &SourceNode, items: &[SourceNode]) -> Option<Matcher> {
        match self.kind {
            ValueKind::Lines | ValueKind::Reader => self.patterns(items).map(Matcher::HavePatterns),
            ValueKind::List | ValueKind::Any => self.elements(items, self.kind, 0).map(Matcher::Elements),
            ValueKind::ExactList => self.values(items).map(|values| Matcher::Equal(values.into())),
            _ => self.no_list(node),
        }
    }

    /// A list within a matcher holds elements, and only a list can hold them: goss reports an error on the host.
    fn nested_list(
        &mut self,
        node: &SourceNode,
        items: &[SourceNode],
        kind: ValueKind,
        depth: usize,
    ) -> Option<Matcher> {
        let list = matches!(kind, ValueKind::List | ValueKind::ExactList | ValueKind::Any | ValueKind::Reader);
        if list || self.dialect == SuiteDialect::Goss {
            return self.elements(items, kind, depth).map(Matcher::Elements);
        }
        if kind == ValueKind::Lines {
            let help = "for patterns write { have-patterns = [ … ] }, for whole lines { contain-elements = [ … ] }";
            self.wrong(&node.span, "a plain list within a matcher", "a text has no elements", Some(help));
            return None;
        }
        self.wrong(&node.span, "a list within a list or matcher", "needs a text, a number or a matcher", None);
        None
    }

    fn no_list(&mut self, node: &SourceNode) -> Option<Matcher> {
        let help = self.wanted();
        self.wrong(&node.span, &format!("{:?} cannot be a list", self.name), "", Some(&help));
        None
    }

    pub(crate) fn patterns(&mut self, items: &[SourceNode]) -> Option<Vec<String>> {
        let mut patterns = Vec::with_capacity(items.len());
        for item in items {
            let SourceValue::Text(text) = &item.value else {
                if item.value != SourceValue::Broken {
                    let written = self.findings.text().get(item.span.clone()).unwrap_or_default().trim();
                    let help = match item.is_scalar() {
                        true => format!("in quotes: {written:?}"),
                        false => "foo, !foo, /regexp/ or !/regexp/ in quotes".to_owned(),
                    };
                    self.wrong(&item.span, &format!("a pattern cannot be {}", item.kind()), "", Some(&help));
                }
                continue;
            };
            match SearchPattern::parse(text) {
                Ok(_) => patterns.push(text.clone()),
                Err(error) => self.bad_regex(&item.span, text, &error),
            }
        }
        (patterns.len() == items.len()).then_some(patterns)
    }

    /// The elements of a list, each a plain value or a matcher.
    pub(crate) fn elements(&mut self, items: &[SourceNode], kind: ValueKind, depth: usize) -> Option<Vec<Matcher>> {
        let kind = kind.of_elements();
        let inner: Vec<Option<Matcher>> = items.iter().map(|item| self.demand(item, kind, depth + 1)).collect();
        inner.into_iter().collect()
    }

    fn values(&mut self, items: &[SourceNode]) -> Option<Vec<serde_json::Value>> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            if item.is_scalar() {
                values.extend(item.to_json());
            } else if item.value != SourceValue::Broken {
                self.wrong(&item.span, "an element is a text, a number or a boolean", item.kind(), None);
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    pub(crate) fn bad_regex(&mut self, span: &Range<usize>, text: &str, error: &str) {
        self.wrong(span, &format!("{text:?} is no regular expression"), error, Some("the syntax is RE2's, as in goss"));
    }

    /// What a value of this kind looks like.
    fn wanted(&self) -> String {
        let example = match self.kind {
            ValueKind::Bool => "true or false",
            ValueKind::Number => "a whole number, or a matcher like { gt = 0 }",
            ValueKind::Mode => "octal digits in quotes, like \"0644\"",
            ValueKind::Text => "a text in quotes, or a matcher like { match-regexp = \"…\" }",
            ValueKind::Word(_) => "a word in quotes",
            ValueKind::List => "a list, like [\"a\", \"b\"]",
            ValueKind::ExactList => "a list; [] means: none",
            ValueKind::Lines => "a list of patterns, like [\"foo\", \"!bar\", \"/re/\"], or the whole text in quotes",
            ValueKind::Any | ValueKind::Reader => "a value, a list or a matcher",
        };
        format!("{} = {example}", self.name)
    }

    pub(crate) fn wrong(&mut self, span: &Range<usize>, title: &str, label: &str, help: Option<&str>) {
        self.findings.wrong(span, title, label, help);
    }
}
