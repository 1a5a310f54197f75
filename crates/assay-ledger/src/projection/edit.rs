//! Edits by span: what to replace and insert so that a map says what is wanted, in the style of what stands around. It owns indentation,
//! separators and commas; it refuses to reformat.

use std::ops::Range;

use super::{
    format::{ProjectionFormat, WrongContent, nested},
    tree::{ProjectionEntry, ProjectionNode, ProjectionNodeKind, WantedNode},
};

/// Why a map is not written anew.
const COMMENT: &str = "a comment stands in this map, which assay does not take away";

/// Edits of one text, made at the end.
pub(super) struct TextEditor<'t> {
    format: ProjectionFormat,
    text: &'t str,
    newline: &'static str,
    step: String,
    edits: Vec<(Range<usize>, String)>,
}

impl<'t> TextEditor<'t> {
    pub(super) fn new(format: ProjectionFormat, text: &'t str) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let step = match text
            .lines()
            .find_map(|line| line.find(|c| c != ' ' && c != '\t').map(|at| &line[..at]).filter(|s| !s.is_empty()))
        {
            Some(tabs) if tabs.starts_with('\t') && format != ProjectionFormat::Yaml => "\t".to_owned(),
            Some(spaces) if spaces.len() <= 8 && !spaces.contains('\t') => spaces.to_owned(),
            _ => "  ".to_owned(),
        };
        Self { format, text, newline, step, edits: Vec::new() }
    }

    /// The text with all edits made.
    pub(super) fn finish(mut self) -> String {
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut new = String::with_capacity(self.text.len() + 256);
        let mut done = 0;
        for (range, replacement) in &self.edits {
            new.push_str(&self.text[done..range.start]);
            new.push_str(replacement);
            done = range.end;
        }
        new.push_str(&self.text[done..]);
        new
    }

    /// Makes a value say what is wanted.
    pub(super) fn set(&mut self, node: &ProjectionNode, wanted: &WantedNode) -> Result<(), WrongContent> {
        match (node, wanted) {
            (ProjectionNode::Text { text, .. }, WantedNode::Id(id)) if text == id => Ok(()),
            (ProjectionNode::Text { span, .. }, WantedNode::Id(id)) => {
                let literal = self.format.id(id, &self.text[span.clone()]);
                self.replace(span.clone(), literal);
                Ok(())
            }
            (ProjectionNode::Text { span, .. }, WantedNode::Map(_)) => {
                self.replace_whole(span.clone(), ProjectionNodeKind::Braces, wanted);
                Ok(())
            }
            (ProjectionNode::Map { entries, .. }, WantedNode::Map(values)) => self.merge(node, entries, values, wanted),
            (ProjectionNode::Map { span, .. }, WantedNode::Id(_)) if node.is_ours() && self.has_comment(node) => Err((
                span.start,
                format!("{COMMENT}, and one id is to stand here; move the comment above the variable"),
            )),
            (ProjectionNode::Map { span, kind, .. }, WantedNode::Id(_)) if node.is_ours() => {
                self.replace_whole(span.clone(), *kind, wanted);
                Ok(())
            }
            (ProjectionNode::Map { span, .. }, WantedNode::Id(_)) => Err((
                span.start,
                "this map holds more than AMI ids, and one id is to stand here; empty it, or name another variable"
                    .to_owned(),
            )),
            (ProjectionNode::Other { span, what }, _) => Err((
                span.start,
                format!("here stands {what}, which assay does not write over; make it \"\" or name another variable"),
            )),
        }
    }

    fn merge(
        &mut self,
        node: &ProjectionNode,
        entries: &[ProjectionEntry],
        values: &[(String, WantedNode)],
        wanted: &WantedNode,
    ) -> Result<(), WrongContent> {
        let is_wanted = |entry: &&ProjectionEntry| values.iter().any(|(key, _)| *key == entry.key);
        let ProjectionNode::Map { kind, span, .. } = node else { return Ok(()) };
        let (stale, kept): (Vec<&ProjectionEntry>, Vec<&ProjectionEntry>) =
            entries.iter().partition(|entry| !is_wanted(entry) && entry.is_ours());
        if let Some(first) = stale.first() {
            // A place that gold no longer has must not keep an older AMI.
            if let Some(foreign) = entries.iter().find(|entry| !entry.is_ours()) {
                let (place, other) = (&first.key, &foreign.key);
                return Err((
                    first.key_span.start,
                    format!(
                        "gold has no AMI for {place} any more; remove this entry by hand, since {other:?} beside it is not assay's"
                    ),
                ));
            }
            if !self.has_comment(node) {
                self.replace_whole(span.clone(), *kind, wanted);
                return Ok(());
            }
            self.remove(*kind, &stale, kept.is_empty())?;
        }
        for entry in kept.iter().copied().filter(is_wanted) {
            for (_, value) in values.iter().filter(|(key, _)| *key == entry.key) {
                self.set(&entry.value, value)?;
            }
        }
        let missing: Vec<&(String, WantedNode)> =
            values.iter().filter(|(key, _)| !entries.iter().any(|entry| entry.key == *key)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let kept = kept.into_iter().cloned().collect();
        self.insert(&ProjectionNode::Map { span: span.clone(), kind: *kind, entries: kept }, &missing)
    }

    /// Takes entries away by their lines, so that the comments of the others stay. Refused where a line holds more, or nothing would be left to go by.
    fn remove(&mut self, kind: ProjectionNodeKind, stale: &[&ProjectionEntry], all: bool) -> Result<(), WrongContent> {
        for entry in stale {
            let lines = self
                .own_lines(entry)
                .filter(|_| !all && (self.format, kind) != (ProjectionFormat::Yaml, ProjectionNodeKind::Braces));
            let Some(lines) = lines else {
                let place = &entry.key;
                return Err((
                    entry.key_span.start,
                    format!(
                        "{COMMENT}, and gold has no AMI for {place} any more; remove this entry by hand, or move the comment above the variable"
                    ),
                ));
            };
            self.replace(lines, String::new());
        }
        Ok(())
    }

    /// The lines of an entry, with the last line's end, where nothing else stands on them but a comment of its own.
    fn own_lines(&self, entry: &ProjectionEntry) -> Option<Range<usize>> {
        let begin = self.text[..entry.key_span.start].rfind('\n').map_or(0, |at| at + 1);
        let value_end = entry.value.span().end.max(entry.key_span.end);
        let end = self.text[value_end..].find('\n').map_or(self.text.len(), |at| value_end + at + 1);
        let tail = self.text[value_end..end].trim();
        let tail = tail.strip_prefix([',', ':']).map_or(tail, str::trim_start);
        let alone = self.text[begin..entry.key_span.start].trim().is_empty() && !self.has_comment(&entry.value);
        (alone && (tail.is_empty() || tail.starts_with('#') || tail.starts_with("//"))).then_some(begin..end)
    }

    /// Whether a comment stands in a value: outside of its keys and ids, which may hold the signs themselves.
    fn has_comment(&self, node: &ProjectionNode) -> bool {
        let (span, mut done) = (node.span(), node.span().start);
        let mut words = Vec::new();
        node.words(&mut words);
        words.push(span.end..span.end);
        words.iter().any(|word| {
            let between = self.text.get(done..word.start).unwrap_or_default();
            done = word.end.max(done);
            self.format != ProjectionFormat::Json && ["#", "//", "/*"].iter().any(|sign| between.contains(sign))
        })
    }

    /// Adds a path to the map that lacks it.
    pub(super) fn add(&mut self, map: &ProjectionNode, rest: &[&str], wanted: &WantedNode) -> Result<(), WrongContent> {
        let Some((first, inner)) = rest.split_first() else { return Ok(()) };
        self.insert(map, &[&((*first).to_owned(), nested(inner, wanted))])
    }

    /// Adds entries at the end of a map.
    fn insert(&mut self, map: &ProjectionNode, missing: &[&(String, WantedNode)]) -> Result<(), WrongContent> {
        let ProjectionNode::Map { span, kind, entries } = map else { return Ok(()) };
        match (kind, entries.last()) {
            (ProjectionNodeKind::File, _) => {
                self.append_to_file(missing);
                Ok(())
            }
            (ProjectionNodeKind::Labels, _) => {
                Err((span.start, format!("there is no block for {:?}; write it once", missing[0].0)))
            }
            (ProjectionNodeKind::Block, _) => self.insert_in_block(span.clone(), missing),
            (ProjectionNodeKind::Indented, Some(last)) => {
                let indent = " ".repeat(self.column(last.key_span.start));
                let end = self.line_end(last.value.span().end.max(last.key_span.end));
                let lines = self.lines(ProjectionNodeKind::Indented, &indent, missing);
                self.replace(end..end, lines);
                Ok(())
            }
            (ProjectionNodeKind::Braces, Some(last)) if self.text[last.value.span().end..span.end].contains('\n') => {
                self.insert_lines(span.clone(), last, missing);
                Ok(())
            }
            (ProjectionNodeKind::Braces, Some(last)) => {
                self.insert_inline(span.clone(), last, missing);
                Ok(())
            }
            (ProjectionNodeKind::Braces | ProjectionNodeKind::Indented, None) if self.has_comment(map) => {
                Err((span.start, format!("{COMMENT}, and no entry to go by; move the comment above the variable")))
            }
            (ProjectionNodeKind::Braces | ProjectionNodeKind::Indented, None) => {
                let all = WantedNode::Map(missing.iter().map(|entry| (*entry).clone()).collect());
                self.replace_whole(span.clone(), ProjectionNodeKind::Braces, &all);
                Ok(())
            }
        }
    }

    /// Each entry on a line of its own, a line end before each.
    fn lines(&self, kind: ProjectionNodeKind, indent: &str, missing: &[&(String, WantedNode)]) -> String {
        let one = |(key, value): &&(String, WantedNode)| {
            let entry = self.format.entry(kind, key, value, indent, &self.step, Some(self.newline));
            format!("{}{indent}{entry}", self.newline)
        };
        missing.iter().map(one).collect()
    }

    fn append_to_file(&mut self, missing: &[&(String, WantedNode)]) {
        let end = self.text.len();
        let mut lines = self.lines(ProjectionNodeKind::File, "", missing);
        if self.text.is_empty() || self.text.ends_with('\n') {
            lines.drain(..self.newline.len());
        }
        self.replace(end..end, lines + self.newline);
    }

    fn insert_in_block(&mut self, span: Range<usize>, missing: &[&(String, WantedNode)]) -> Result<(), WrongContent> {
        let close = span.end.saturating_sub(1);
        let begin = self.text[..close].rfind('\n').map_or(0, |at| at + 1);
        let indent = &self.text[begin..close];
        if begin <= span.start || !indent.trim().is_empty() {
            return Err((close, "the block is on one line; put its closing brace on a line of its own".to_owned()));
        }
        let mut lines = self.lines(ProjectionNodeKind::Block, &format!("{indent}{}", self.step), missing);
        lines.drain(..self.newline.len());
        self.replace(begin..begin, lines + self.newline);
        Ok(())
    }

    /// Behind the last line of a map that has one entry a line.
    fn insert_lines(&mut self, span: Range<usize>, last: &ProjectionEntry, missing: &[&(String, WantedNode)]) {
        let value_end = last.value.span().end;
        let end = self.line_end(value_end).min(span.end);
        let indent = self.indent_at(last.key_span.start);
        let behind = &self.text[value_end..end];
        let comma = behind.trim_start().starts_with(',');
        let commas = self.format != ProjectionFormat::Hcl;
        if commas && !comma {
            self.replace(value_end..value_end, ",".to_owned());
        }
        let mut lines = String::new();
        for (number, (key, value)) in missing.iter().enumerate() {
            let entry = self.alike(last, key, value, &indent, Some(self.newline));
            // JSON takes no comma behind the last one; where the others had one, the new one has one.
            let more = number + 1 < missing.len();
            let tail = if (commas && more) || (comma && self.format != ProjectionFormat::Json) { "," } else { "" };
            lines.push_str(&format!("{}{indent}{entry}{tail}", self.newline));
        }
        self.replace(end..end, lines);
    }

    fn insert_inline(&mut self, span: Range<usize>, last: &ProjectionEntry, missing: &[&(String, WantedNode)]) {
        let value_end = last.value.span().end;
        let close = span.end.saturating_sub(1);
        let comma = self.text[value_end..close].find(',').map(|at| value_end + at + 1);
        let entries: Vec<String> = missing.iter().map(|(key, value)| self.alike(last, key, value, "", None)).collect();
        let space = if self.format == ProjectionFormat::Json && !self.text.contains(": ") { "" } else { " " };
        let joined = entries.join(&format!(",{space}"));
        match comma {
            Some(behind) => self.replace(behind..behind, format!("{space}{joined}")),
            None => self.replace(value_end..value_end, format!(",{space}{joined}")),
        }
    }

    /// An entry written like its neighbour: quoted or bare, the same sign and the same column behind the key.
    fn alike(
        &self,
        like: &ProjectionEntry,
        key: &str,
        value: &WantedNode,
        indent: &str,
        newline: Option<&str>,
    ) -> String {
        let source = &self.text[like.key_span.clone()];
        let bare = ProjectionFormat::Hcl == self.format && !source.starts_with('"');
        let key = self.format.key(if bare { ProjectionNodeKind::File } else { ProjectionNodeKind::Braces }, key);
        let between = &self.text[like.key_span.end..like.value.span().start];
        let plain = between.trim() == "=" || between.trim() == ":";
        if self.format == ProjectionFormat::Yaml || !plain || between.contains('\n') {
            return self.format.entry(
                ProjectionNodeKind::Braces,
                key.trim_matches('"'),
                value,
                indent,
                &self.step,
                newline,
            );
        }
        let gap = between.len() - between.trim_start().len();
        let pad = match gap {
            0 => 0,
            _ => (source.len() + gap).saturating_sub(key.len()).max(1),
        };
        let value = rendered(self.format, value, indent, &self.step, newline);
        format!("{key}{}{}{value}", " ".repeat(pad), between.trim_start())
    }

    /// A value in place of another one that is written as `kind`.
    fn replace_whole(&mut self, span: Range<usize>, kind: ProjectionNodeKind, wanted: &WantedNode) {
        let written = match (self.format, kind) {
            (ProjectionFormat::Yaml, ProjectionNodeKind::Indented) => {
                let indent = " ".repeat(self.column(span.start));
                rendered(self.format, wanted, &indent, &self.step, Some(self.newline))
            }
            // One line, and right wherever the value stood.
            (ProjectionFormat::Yaml, _) => {
                let space = if span.is_empty() { " " } else { "" };
                format!("{space}{}", rendered(self.format, wanted, "", "", None))
            }
            _ => {
                let newline = Some(self.newline)
                    .filter(|_| self.text.trim_end().contains('\n') || self.format == ProjectionFormat::Hcl);
                rendered(self.format, wanted, &self.indent_at(span.start), &self.step, newline)
            }
        };
        self.replace(span, written);
    }

    fn replace(&mut self, range: Range<usize>, with: String) {
        self.edits.push((range, with));
    }

    /// The white space at the beginning of the line of `place`.
    fn indent_at(&self, place: usize) -> String {
        let begin = self.text[..place].rfind('\n').map_or(0, |at| at + 1);
        let line = &self.text[begin..place];
        line[..line.len() - line.trim_start_matches([' ', '\t']).len()].to_owned()
    }

    fn column(&self, place: usize) -> usize {
        let begin = self.text[..place].rfind('\n').map_or(0, |at| at + 1);
        self.text[begin..place].chars().count()
    }

    /// The end of the line of `place`, before its line end.
    fn line_end(&self, place: usize) -> usize {
        let end = self.text[place..].find('\n').map_or(self.text.len(), |at| place + at);
        if self.text[..end].ends_with('\r') { end - 1 } else { end }
    }
}

/// A value as `format` writes it, its lines behind the first at `indent`; on one line where `newline` is none.
pub(super) fn rendered(
    format: ProjectionFormat,
    wanted: &WantedNode,
    indent: &str,
    step: &str,
    newline: Option<&str>,
) -> String {
    let entries = match wanted {
        WantedNode::Id(id) => return format.id(id, if format == ProjectionFormat::Yaml { "a" } else { "\"" }),
        WantedNode::Map(entries) => entries,
    };
    match (format, newline) {
        (ProjectionFormat::Yaml, Some(newline)) => {
            let one = |(key, value): &(String, WantedNode)| {
                format.entry(ProjectionNodeKind::Indented, key, value, indent, step, Some(newline))
            };
            entries.iter().map(one).collect::<Vec<_>>().join(&format!("{newline}{indent}"))
        }
        (_, None) => {
            let one = |(key, value): &(String, WantedNode)| {
                format.entry(ProjectionNodeKind::Braces, key, value, "", "", None)
            };
            let joined = entries.iter().map(one).collect::<Vec<_>>().join(", ");
            if format == ProjectionFormat::Hcl { format!("{{ {joined} }}") } else { format!("{{{joined}}}") }
        }
        (_, Some(newline)) => {
            let inner = format!("{indent}{step}");
            let width =
                entries.iter().map(|(key, _)| format.key(ProjectionNodeKind::Braces, key).len()).max().unwrap_or(0);
            let comma = if format == ProjectionFormat::Json { "," } else { "" };
            let mut text = "{".to_owned();
            for (number, (key, value)) in entries.iter().enumerate() {
                let key = format.key(ProjectionNodeKind::Braces, key);
                let value = rendered(format, value, &inner, step, Some(newline));
                let sign =
                    if format == ProjectionFormat::Hcl { format!("{key:width$} = ") } else { format!("{key}: ") };
                let tail = if number + 1 < entries.len() { comma } else { "" };
                text.push_str(&format!("{newline}{inner}{sign}{value}{tail}"));
            }
            text + newline + indent + "}"
        }
    }
}
