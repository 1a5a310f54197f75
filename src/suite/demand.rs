//! One attribute's value into a [`Matcher`]. It owns what a plain value means at each kind of attribute (goss's rules)
//! and the matchers' own arguments; regular expressions are compiled here once, so that a suite that loads can be
//! judged.

use std::ops::Range;

use super::{
    Matcher,
    diagnostic::nearest,
    pattern::Pattern,
    tree::{Entry, Findings, Node, Value},
    vocabulary::{self, Kind},
};

/// Nested deeper than this is refused (HCL's parser has the same limit).
const MAX_DEPTH: usize = 64;

/// Reads the demand at an attribute. `None`: a mistake was told, or the demand is an empty list of patterns or
/// elements, which asserts nothing (goss writes such lists).
pub(super) fn read(findings: &mut Findings<'_>, name: &str, kind: Kind, node: &Node) -> Option<Matcher> {
    Reader { findings, name, kind }.demand(node, 0)
}

struct Reader<'r, 'a> {
    findings: &'r mut Findings<'a>,
    name: &'r str,
    kind: Kind,
}

impl Reader<'_, '_> {
    fn demand(&mut self, node: &Node, depth: usize) -> Option<Matcher> {
        if depth > MAX_DEPTH {
            self.wrong(&node.span, "matchers nested too deep", "the limit is 64", None);
            return None;
        }
        match &node.value {
            Value::Broken => None,
            Value::Null => {
                let help = self.wanted();
                self.wrong(&node.span, &format!("{:?} has no value", self.name), "null", Some(&help));
                None
            }
            Value::Map(entries) => self.matcher(node, entries, depth),
            Value::List(items) => self.list(node, items),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => self.plain(node),
        }
    }

    /// A plain text, number or boolean: equality.
    fn plain(&mut self, node: &Node) -> Option<Matcher> {
        let fits = match (&self.kind, &node.value) {
            (Kind::Bool, Value::Bool(_)) | (Kind::Text | Kind::Lines, Value::Text(_)) => true,
            (Kind::Number, Value::Number(number)) => number.is_i64() || number.is_u64(),
            (Kind::Number, Value::Text(text)) => text.parse::<i64>().is_ok(),
            (Kind::Text, Value::Number(_)) => true,
            (Kind::List, _) => true,
            (Kind::Mode, Value::Text(text)) => return self.mode(node, text),
            (Kind::Mode, Value::Number(number)) => return self.bare_mode(node, &number.to_string()),
            (Kind::Word(words), Value::Text(text)) => return self.word(node, words, text),
            _ => false,
        };
        if !fits {
            let title = format!("{:?} cannot be {}", self.name, node.kind());
            let help = self.wanted();
            self.wrong(&node.span, &title, "", Some(&help));
            return None;
        }
        let value = node.to_json()?;
        Some(if self.kind == Kind::List { Matcher::ContainElements(vec![value]) } else { Matcher::Equal(value) })
    }

    fn mode(&mut self, node: &Node, text: &str) -> Option<Matcher> {
        let octal = (3..=5).contains(&text.len()) && text.bytes().all(|b| (b'0'..b'8').contains(&b));
        if !octal {
            let title = format!("{text:?} are no file permissions");
            self.wrong(&node.span, &title, "needs octal digits", Some("for example \"0644\""));
            return None;
        }
        Some(Matcher::Equal(format!("{:0>4}", text.trim_start_matches('0')).into()))
    }

    fn bare_mode(&mut self, node: &Node, number: &str) -> Option<Matcher> {
        let written = self.findings.source.text.get(node.span.clone()).unwrap_or(number).to_owned();
        let help = format!("permissions stand in quotes, so that they are read as octal: \"{:0>4}\"", written.trim());
        self.wrong(&node.span, "\"mode\" cannot be a number", "", Some(&help));
        None
    }

    fn word(&mut self, node: &Node, words: &[&'static str], text: &str) -> Option<Matcher> {
        if words.contains(&text) {
            return Some(Matcher::Equal(text.into()));
        }
        let help = match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("one of {}", words.join(", ")),
        };
        self.wrong(&node.span, &format!("{:?} cannot be {text:?}", self.name), "", Some(&help));
        None
    }

    /// A plain list: patterns for lines, elements for lists.
    fn list(&mut self, node: &Node, items: &[Node]) -> Option<Matcher> {
        match self.kind {
            Kind::Lines if items.is_empty() => None,
            Kind::Lines => self.patterns(items),
            Kind::List if items.is_empty() => None,
            Kind::List => self.elements(items).map(Matcher::ContainElements),
            Kind::ExactList => self.elements(items).map(|values| Matcher::Equal(values.into())),
            _ => {
                let help = self.wanted();
                self.wrong(&node.span, &format!("{:?} cannot be a list", self.name), "", Some(&help));
                None
            }
        }
    }

    fn patterns(&mut self, items: &[Node]) -> Option<Matcher> {
        let mut patterns = Vec::with_capacity(items.len());
        let mut whole = true;
        for item in items {
            let text = match &item.value {
                Value::Text(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => {
                    let help = "foo, !foo, /regexp/ or !/regexp/ in quotes";
                    self.wrong(&item.span, &format!("a pattern cannot be {}", item.kind()), "", Some(help));
                    whole = false;
                    continue;
                }
            };
            if let Err(error) = Pattern::parse(&text) {
                self.bad_regex(&item.span, &text, &error);
                whole = false;
            }
            patterns.push(text);
        }
        whole.then_some(Matcher::HavePatterns(patterns))
    }

    fn elements(&mut self, items: &[Node]) -> Option<Vec<serde_json::Value>> {
        let mut values = Vec::with_capacity(items.len());
        let mut whole = true;
        for item in items {
            if item.is_scalar() {
                values.extend(item.to_json());
            } else {
                whole = false;
                if item.value != Value::Broken {
                    let help = "matchers inside lists come in a later release";
                    self.wrong(&item.span, "an element is a text, a number or a boolean", item.kind(), Some(help));
                }
            }
        }
        whole.then_some(values)
    }

    /// `{ gt = 0 }`: exactly one matcher per map.
    fn matcher(&mut self, node: &Node, entries: &[Entry], depth: usize) -> Option<Matcher> {
        let [entry] = entries else {
            let (title, help) = match entries.len() {
                0 => ("an empty map", "write one matcher, like { gt = 0 }"),
                _ => ("more than one matcher in one map", "join them: { and = [{ … }, { … }] }"),
            };
            let span = entries.get(1).map_or(&node.span, |e| &e.name_span);
            self.wrong(span, title, "one matcher per map", Some(help));
            return None;
        };
        let argument = &entry.node;
        match entry.name.as_str() {
            "not" => self.demand(argument, depth + 1).map(|inner| Matcher::Not(Box::new(inner))),
            "and" => self.all_of(argument, depth).map(Matcher::And),
            "or" => self.all_of(argument, depth).map(Matcher::Or),
            "gt" => self.number(entry).map(Matcher::Gt),
            "ge" => self.number(entry).map(Matcher::Ge),
            "lt" => self.number(entry).map(Matcher::Lt),
            "le" => self.number(entry).map(Matcher::Le),
            "have-prefix" => self.text(entry).map(Matcher::HavePrefix),
            "have-suffix" => self.text(entry).map(Matcher::HaveSuffix),
            "contain-substring" => self.text(entry).map(Matcher::ContainSubstring),
            "match-regexp" => self.regexp(entry),
            "have-len" => self.length(entry),
            "equal" => argument.to_json().map(Matcher::Equal),
            "contain-element" => self.elements(std::slice::from_ref(argument)).map(Matcher::ContainElements),
            "contain-elements" => self.argument_list(entry, Self::elements).map(Matcher::ContainElements),
            "have-patterns" => self.argument_list(entry, Self::patterns),
            other => self.unknown(entry, other),
        }
    }

    fn all_of(&mut self, argument: &Node, depth: usize) -> Option<Vec<Matcher>> {
        let Value::List(items) = &argument.value else {
            self.wrong(&argument.span, "and/or take a list of matchers", argument.kind(), None);
            return None;
        };
        if items.is_empty() {
            self.wrong(&argument.span, "and/or of nothing", "needs at least one matcher", None);
            return None;
        }
        let inner: Vec<Option<Matcher>> = items.iter().map(|item| self.demand(item, depth + 1)).collect();
        inner.into_iter().collect()
    }

    fn argument_list<T>(&mut self, entry: &Entry, read: impl FnOnce(&mut Self, &[Node]) -> Option<T>) -> Option<T> {
        match &entry.node.value {
            Value::List(items) if !items.is_empty() => read(self, items),
            Value::Broken => None,
            _ => {
                let title = format!("{:?} takes a list with at least one element", entry.name);
                self.wrong(&entry.node.span, &title, entry.node.kind(), None);
                None
            }
        }
    }

    fn number(&mut self, entry: &Entry) -> Option<f64> {
        let number = match &entry.node.value {
            Value::Number(number) => number.as_f64(),
            Value::Text(text) => text.trim().parse::<f64>().ok().filter(|n| n.is_finite()),
            _ => None,
        };
        if number.is_none() && entry.node.value != Value::Broken {
            self.wrong(&entry.node.span, &format!("{:?} takes a number", entry.name), entry.node.kind(), None);
        }
        number
    }

    fn text(&mut self, entry: &Entry) -> Option<String> {
        match &entry.node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Broken => None,
            _ => {
                self.wrong(&entry.node.span, &format!("{:?} takes a text", entry.name), entry.node.kind(), None);
                None
            }
        }
    }

    fn regexp(&mut self, entry: &Entry) -> Option<Matcher> {
        let text = self.text(entry)?;
        if let Err(error) = regex::Regex::new(&text) {
            self.bad_regex(&entry.node.span, &text, &error);
            return None;
        }
        Some(Matcher::MatchRegexp(text))
    }

    fn length(&mut self, entry: &Entry) -> Option<Matcher> {
        match &entry.node.value {
            Value::Number(number) if number.is_u64() => number.as_u64().map(Matcher::HaveLen),
            Value::Broken => None,
            _ => {
                self.wrong(&entry.node.span, "\"have-len\" takes a length", "0 or a whole number above", None);
                None
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, name: &str) -> Option<Matcher> {
        if vocabulary::LATER_MATCHERS.contains(&name) {
            let title = format!("matcher {name:?} is not supported yet");
            let help = format!("supported today: {}", vocabulary::MATCHERS.join(", "));
            self.wrong(&entry.name_span, &title, "comes in a later release", Some(&help));
            return None;
        }
        let help = match nearest(name, vocabulary::MATCHERS.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("one of {}", vocabulary::MATCHERS.join(", ")),
        };
        self.wrong(&entry.name_span, &format!("unknown matcher {name:?}"), "", Some(&help));
        None
    }

    fn bad_regex(&mut self, span: &Range<usize>, text: &str, error: &regex::Error) {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        self.wrong(
            span,
            &format!("{text:?} is no regular expression"),
            &reason,
            Some("the syntax is RE2's, as in goss"),
        );
    }

    /// What a value of this kind looks like.
    fn wanted(&self) -> String {
        let example = match self.kind {
            Kind::Bool => "true or false",
            Kind::Number => "a whole number, or a matcher like { gt = 0 }",
            Kind::Mode => "octal digits in quotes, like \"0644\"",
            Kind::Text => "a text in quotes, or a matcher like { match-regexp = \"…\" }",
            Kind::Word(_) => "a word in quotes",
            Kind::List => "a list, like [\"a\", \"b\"]",
            Kind::ExactList => "a list; [] means: none",
            Kind::Lines => "a list of patterns, like [\"foo\", \"!bar\", \"/re/\"], or the whole text in quotes",
        };
        format!("{} = {example}", self.name)
    }

    fn wrong(&mut self, span: &Range<usize>, title: &str, label: &str, help: Option<&str>) {
        self.findings.wrong(span, title, label, help);
    }
}
