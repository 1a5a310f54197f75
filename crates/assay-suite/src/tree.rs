//! A file's values with their places, the same for HCL, YAML and JSON. It owns the shape that the vocabulary is read
//! from, and the list of mistakes found on the way; it refuses to know what any name means.

use std::ops::Range;

use super::{
    diagnostic::{SourceDiagnostic, SourceText},
    template::RenderedText,
};

/// A value and the bytes that it was written in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SourceNode {
    pub value: SourceValue,
    pub span: Range<usize>,
}

/// What a file can say.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SourceValue {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<SourceNode>),
    Map(Vec<SourceEntry>),
    /// Something whose mistake has been told already.
    Broken,
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SourceEntry {
    pub name: String,
    pub name_span: Range<usize>,
    pub node: SourceNode,
}

/// A resource as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawCheck {
    pub resource: String,
    pub resource_span: Range<usize>,
    pub id: String,
    pub id_span: Range<usize>,
    pub attributes: Vec<SourceEntry>,
}

/// A suite as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawSuite {
    pub name: String,
    pub span: Range<usize>,
    pub attributes: Vec<SourceEntry>,
    pub checks: Vec<RawCheck>,
    /// Whether it must hold a check; a goss file with others in it, or in another, need not.
    pub due: bool,
}

impl SourceNode {
    /// The kind of value, with its article, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            SourceValue::Null => "null",
            SourceValue::Bool(_) => "a boolean",
            SourceValue::Number(_) => "a number",
            SourceValue::Text(_) => "a text",
            SourceValue::List(_) => "a list",
            SourceValue::Map(_) => "a map",
            SourceValue::Broken => "a broken value",
        }
    }

    /// The value as JSON, `None` where a part of it is broken.
    pub(crate) fn to_json(&self) -> Option<serde_json::Value> {
        Some(match &self.value {
            SourceValue::Null => serde_json::Value::Null,
            SourceValue::Bool(b) => (*b).into(),
            SourceValue::Number(n) => serde_json::Value::Number(n.clone()),
            SourceValue::Text(t) => t.as_str().into(),
            SourceValue::List(items) => items.iter().map(SourceNode::to_json).collect::<Option<Vec<_>>>()?.into(),
            SourceValue::Map(entries) => entries
                .iter()
                .map(|e| Some((e.name.clone(), e.node.to_json()?)))
                .collect::<Option<serde_json::Map<_, _>>>()?
                .into(),
            SourceValue::Broken => return None,
        })
    }

    /// Whether it is a text, number or boolean.
    pub(crate) fn is_scalar(&self) -> bool {
        matches!(self.value, SourceValue::Bool(_) | SourceValue::Number(_) | SourceValue::Text(_))
    }
}

/// The mistakes of one file, in the order they were found.
#[derive(Debug)]
pub(super) struct FileMistakes<'a> {
    pub source: SourceText<'a>,
    pub list: Vec<SourceDiagnostic>,
    /// What `var.…` means in HCL.
    pub vars: &'a [SourceEntry],
    /// Where each line of the source begins: a suite of ten thousand checks asks for as many lines.
    line_starts: Vec<usize>,
    /// What was rendered from the source. Then spans are those of the rendered text; mistakes are told of the source.
    rendered: Option<&'a RenderedText>,
}

impl<'a> FileMistakes<'a> {
    pub(crate) fn new(source: SourceText<'a>) -> Self {
        Self { source, list: Vec::new(), vars: &[], line_starts: line_starts(source.text), rendered: None }
    }

    /// For a file that is a template.
    pub(crate) fn of_template(source: SourceText<'a>, rendered: &'a RenderedText) -> Self {
        Self { rendered: Some(rendered), ..Self::new(source) }
    }

    /// The text to read; spans are places in it.
    pub(crate) fn text(&self) -> &'a str {
        self.rendered.map_or(self.source.text, |rendered| &rendered.text)
    }

    /// Notes a mistake; see [`SourceDiagnostic::at`]. Where a template made the line, the help also says what it became.
    pub(crate) fn wrong(
        &mut self,
        span: &Range<usize>,
        title: impl AsRef<str>,
        label: impl AsRef<str>,
        help: Option<&str>,
    ) {
        if self.list.len() >= MOST_MISTAKES {
            return;
        }
        let came_out = self.rendered.and_then(|rendered| rendered.evaluated_line(span));
        let help = match (help, came_out) {
            (help, None) => help.map(str::to_owned),
            (None, Some(line)) => Some(rendered_as(line)),
            (Some(help), Some(line)) => Some(format!("{help}\n{}", rendered_as(line))),
        };
        let span = self.in_source(span);
        self.list.push(SourceDiagnostic::at(&self.source, span, title.as_ref(), label.as_ref(), help.as_deref()));
    }

    /// The 1-based line of a place, in the source.
    pub(crate) fn line(&self, span: &Range<usize>) -> u32 {
        let before = self.line_starts.partition_point(|start| *start <= self.in_source(span).start);
        u32::try_from(before).unwrap_or(u32::MAX)
    }

    fn in_source(&self, span: &Range<usize>) -> Range<usize> {
        self.rendered.map_or_else(|| span.clone(), |rendered| rendered.source(span))
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The most mistakes that are told of one file: who has mended these sees the rest.
const MOST_MISTAKES: usize = 200;
/// The longest part of a rendered line that is shown, in characters.
const SHOWN: usize = 200;

fn rendered_as(line: &str) -> String {
    let cut: String = line.chars().take(SHOWN).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    format!("the template made this line of it: {cut}{more}")
}
