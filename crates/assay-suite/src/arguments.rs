//! The matchers by name and what each takes (goss's `resource/gomega.go`). Regular expressions, ranges of versions and
//! paths are read here once, so that a suite that loads can be judged.

use super::{
    Matcher,
    demand::{DemandReader, SuiteDialect},
    diagnostic::nearest,
    json_path, re2,
    semver_range::SemverRange,
    tree::{SourceEntry, SourceNode, SourceValue},
    vocabulary::{self, ValueKind},
};

impl DemandReader<'_, '_> {
    /// `{ gt = 0 }`: exactly one matcher per map.
    pub(crate) fn matcher(
        &mut self,
        node: &SourceNode,
        entries: &[SourceEntry],
        kind: ValueKind,
        depth: usize,
    ) -> Option<Matcher> {
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
            "not" => self.contrary(argument, kind, depth),
            "and" => self.all_of(argument, kind, depth).map(Matcher::And),
            "or" => self.all_of(argument, kind, depth).map(Matcher::Or),
            "gt" => self.number(entry).map(Matcher::Gt),
            "ge" => self.number(entry).map(Matcher::Ge),
            "lt" => self.number(entry).map(Matcher::Lt),
            "le" => self.number(entry).map(Matcher::Le),
            "have-prefix" => self.text(entry).map(Matcher::HavePrefix),
            "have-suffix" => self.text(entry).map(Matcher::HaveSuffix),
            "contain-substring" => self.text(entry).map(Matcher::ContainSubstring),
            "match-regexp" => self.regexp(entry),
            "have-len" => self.length(entry),
            "equal" => self.same_as(entry, kind),
            "contain-element" => self.element(entry, kind, depth),
            "contain-elements" => self.list(entry, kind, depth).map(Matcher::ContainElements),
            "consist-of" => self.list(entry, kind, depth).map(Matcher::ConsistOf),
            "have-patterns" => match &argument.value {
                SourceValue::List(items) => self.patterns(items).map(Matcher::HavePatterns),
                _ => self.takes(entry, "a list of patterns"),
            },
            "have-key" => self.demand(argument, ValueKind::Any, depth + 1).map(|key| Matcher::HaveKey(Box::new(key))),
            "semver-constraint" => self.range(entry),
            "gjson" => self.gjson(entry, depth),
            other => self.unknown(entry, other),
        }
    }

    fn contrary(&mut self, argument: &SourceNode, kind: ValueKind, depth: usize) -> Option<Matcher> {
        let outside = std::mem::replace(&mut self.negated, true);
        let inner = self.demand(argument, kind, depth + 1);
        self.negated = outside;
        inner.map(|inner| Matcher::Not(Box::new(inner)))
    }

    fn all_of(&mut self, argument: &SourceNode, kind: ValueKind, depth: usize) -> Option<Vec<Matcher>> {
        let SourceValue::List(items) = &argument.value else {
            self.wrong(&argument.span, "and/or take a list of matchers", argument.kind(), None);
            return None;
        };
        if items.is_empty() {
            self.wrong(&argument.span, "and/or of nothing", "needs at least one matcher", None);
            return None;
        }
        let inner: Vec<Option<Matcher>> = items.iter().map(|item| self.demand(item, kind, depth + 1)).collect();
        inner.into_iter().collect()
    }

    /// `equal` wants this very value, so one of another type is never met: told where the language is assay's own. Null
    /// is equal to nothing, not to null either; `not: {equal: null}` says that there is a value.
    fn same_as(&mut self, entry: &SourceEntry, kind: ValueKind) -> Option<Matcher> {
        let argument = &entry.node;
        if argument.value == SourceValue::Null && !self.negated {
            return self.takes(entry, "a value");
        }
        if self.dialect == SuiteDialect::Hcl {
            let never = match kind {
                ValueKind::Any | ValueKind::Reader => None,
                ValueKind::List | ValueKind::ExactList => Some("the elements of a list are compared by consist-of"),
                ValueKind::Bool if !matches!(argument.value, SourceValue::Bool(_)) => Some("needs true or false"),
                ValueKind::Number if !matches!(argument.value, SourceValue::Number(_)) => Some("needs a number"),
                ValueKind::Bool | ValueKind::Number => None,
                _ if !matches!(argument.value, SourceValue::Text(_)) => Some("needs a text"),
                _ => None,
            };
            if let Some(help) = never.filter(|_| argument.value != SourceValue::Broken) {
                let title = format!("{:?} is never equal to {}", self.name, argument.kind());
                self.wrong(&argument.span, &title, "", Some(help));
                return None;
            }
        }
        argument.to_json().map(Matcher::SameAs)
    }

    fn element(&mut self, entry: &SourceEntry, kind: ValueKind, depth: usize) -> Option<Matcher> {
        match &entry.node.value {
            SourceValue::Map(_) | SourceValue::Text(_) | SourceValue::Number(_) => self
                .demand(&entry.node, kind.of_elements(), depth + 1)
                .map(|one| Matcher::ContainElement(Box::new(one))),
            _ => self.takes(entry, "a text, a number or a matcher"),
        }
    }

    fn list(&mut self, entry: &SourceEntry, kind: ValueKind, depth: usize) -> Option<Vec<Matcher>> {
        match &entry.node.value {
            SourceValue::List(items) => self.elements(items, kind, depth),
            _ => self.takes(entry, "a list"),
        }
    }

    fn number(&mut self, entry: &SourceEntry) -> Option<f64> {
        match &entry.node.value {
            SourceValue::Number(number) => number.as_f64(),
            _ => self.takes(entry, "a number"),
        }
    }

    fn text(&mut self, entry: &SourceEntry) -> Option<String> {
        match &entry.node.value {
            SourceValue::Text(text) => Some(text.clone()),
            _ => self.takes(entry, "a text"),
        }
    }

    fn regexp(&mut self, entry: &SourceEntry) -> Option<Matcher> {
        let text = self.text(entry)?;
        if let Err(error) = re2::compile(&text) {
            self.bad_regex(&entry.node.span, &text, &error);
            return None;
        }
        Some(Matcher::MatchRegexp(text))
    }

    fn range(&mut self, entry: &SourceEntry) -> Option<Matcher> {
        let text = self.text(entry)?;
        if let Err(error) = SemverRange::parse(&text) {
            let help = "for example \">=1.2.0 <2.0.0\", \"1.2.x\", \"<1.0.0 || >=2.0.0\"; ^ and ~ are not known";
            self.wrong(&entry.node.span, &format!("{text:?} is no range of versions"), &error, Some(help));
            return None;
        }
        Some(Matcher::SemverConstraint(text))
    }

    fn gjson(&mut self, entry: &SourceEntry, depth: usize) -> Option<Matcher> {
        let SourceValue::Map(paths) = &entry.node.value else {
            return self.takes(entry, "a map of paths, like { \"a.b.0\" = \"x\" }");
        };
        if paths.is_empty() {
            return self.takes(entry, "a map of at least one path");
        }
        let mut all = Vec::with_capacity(paths.len());
        for path in paths {
            if let Some(wrong) = json_path::mistake(&path.name) {
                let help = "paths are gjson's: a.b, a.0, a.#, a.#(n==\"x\").v, a|@reverse";
                self.wrong(&path.name_span, &format!("{:?} is no path", path.name), &wrong, Some(help));
                continue;
            }
            all.extend(self.demand(&path.node, ValueKind::Any, depth + 1).map(|inner| (path.name.clone(), inner)));
        }
        (all.len() == paths.len()).then_some(Matcher::Gjson(all))
    }

    fn length(&mut self, entry: &SourceEntry) -> Option<Matcher> {
        let whole = match &entry.node.value {
            SourceValue::Number(number) => number
                .as_u64()
                .or_else(|| number.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9e15).contains(f)).map(|f| f as u64)),
            _ => None,
        };
        match whole {
            Some(length) => Some(Matcher::HaveLen(length)),
            None => self.takes(entry, "a length: 0 or a whole number above"),
        }
    }

    /// Tells what a matcher takes.
    fn takes<T>(&mut self, entry: &SourceEntry, wanted: &str) -> Option<T> {
        if entry.node.value != SourceValue::Broken {
            self.wrong(&entry.node.span, &format!("{:?} takes {wanted}", entry.name), entry.node.kind(), None);
        }
        None
    }

    fn unknown(&mut self, entry: &SourceEntry, name: &str) -> Option<Matcher> {
        let known = || format!("one of {}", vocabulary::MATCHERS.join(", "));
        if vocabulary::LATER_MATCHERS.contains(&name) {
            let title = format!("matcher {name:?} is not supported");
            self.wrong(&entry.name_span, &title, "newer than goss 0.4.9", Some(&known()));
            return None;
        }
        let help = match nearest(name, vocabulary::MATCHERS.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => known(),
        };
        self.wrong(&entry.name_span, &format!("unknown matcher {name:?}"), "", Some(&help));
        None
    }
}
