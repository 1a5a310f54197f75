//! YAML text as a tree with spans, from the parser's events. It refuses several documents in one file, and to look through aliases: what
//! stands elsewhere is `Other` here.

use std::{collections::HashMap, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::{
    format::WrongContent,
    tree::{ProjectionEntry, ProjectionNode, ProjectionNodeKind},
};

/// How deep maps and lists may be nested.
const DEEPEST: usize = 64;

/// The document, which must be a map or empty.
pub(super) fn parse(text: &str) -> Result<ProjectionNode, WrongContent> {
    let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    places.push(text.len());
    let mut reader = YamlReader { text, places, events: Vec::new(), next: 0 };
    reader.read()?;
    let mut root = None;
    while let Some((event, range)) = reader.take() {
        match event {
            SameDocumentNodes::Document if root.is_some() => {
                return Err((range.start, "the file holds several documents; assay writes into one".to_owned()));
            }
            SameDocumentNodes::Document => root = Some(reader.node(None, 0)?),
            _ => {}
        }
    }
    match root {
        Some(ProjectionNode::Map { span, kind: ProjectionNodeKind::Indented, entries }) => {
            Ok(ProjectionNode::Map { span, kind: ProjectionNodeKind::Indented, entries })
        }
        Some(map @ ProjectionNode::Map { .. }) => Ok(map),
        Some(ProjectionNode::Text { text: empty, .. }) if empty.is_empty() => empty_file(text),
        None => empty_file(text),
        Some(other) => Err((other.span().start, "the document must be a map".to_owned())),
    }
}

/// A file with comments alone takes a variable at its end.
fn empty_file(text: &str) -> Result<ProjectionNode, WrongContent> {
    Ok(ProjectionNode::Map { span: 0..text.len(), kind: ProjectionNodeKind::File, entries: Vec::new() })
}

/// What of an event counts here.
#[derive(Debug, Clone)]
enum SameDocumentNodes {
    Document,
    Text(String),
    /// Whether it is in flow style.
    Map(bool),
    /// Whether it is in flow style.
    List(bool),
    /// A block of text.
    Block,
    End,
    Other(&'static str),
}

struct YamlReader<'t> {
    text: &'t str,
    /// The byte of each character.
    places: Vec<usize>,
    events: Vec<(SameDocumentNodes, Range<usize>)>,
    next: usize,
}

impl YamlReader<'_> {
    fn read(&mut self) -> Result<(), WrongContent> {
        for event in Parser::new_from_str(self.text) {
            let (event, span) = event.map_err(|error| {
                let place = self.place(error.marker().index());
                (place, format!("not valid YAML: {error}"))
            })?;
            let kindred = match event {
                Event::DocumentStart(..) => SameDocumentNodes::Document,
                Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => SameDocumentNodes::Block,
                Event::Scalar(text, ScalarStyle::Plain, ..)
                    if matches!(text.as_ref(), "~" | "null" | "Null" | "NULL") =>
                {
                    SameDocumentNodes::Text(String::new())
                }
                Event::Scalar(text, ..) => SameDocumentNodes::Text(text.into_owned()),
                Event::SequenceStart(style, ..) => SameDocumentNodes::List(style == StructureStyle::Flow),
                Event::MappingStart(style, ..) => SameDocumentNodes::Map(style == StructureStyle::Flow),
                Event::SequenceEnd | Event::MappingEnd => SameDocumentNodes::End,
                Event::Alias(_) => SameDocumentNodes::Other("an alias"),
                _ => continue,
            };
            let range = self.range(&span);
            self.events.push((kindred, range));
        }
        Ok(())
    }

    fn take(&mut self) -> Option<(SameDocumentNodes, Range<usize>)> {
        let event = self.events.get(self.next).cloned();
        self.next += 1;
        event
    }

    /// Reads one value; `behind` is the end of its key.
    fn node(&mut self, behind: Option<usize>, depth: usize) -> Result<ProjectionNode, WrongContent> {
        let Some((event, range)) = self.take() else {
            return Ok(ProjectionNode::Text { span: self.text.len()..self.text.len(), text: String::new() });
        };
        if depth > DEEPEST {
            return Err((range.start, format!("nested deeper than {DEEPEST}")));
        }
        Ok(match event {
            SameDocumentNodes::Text(text) if range.is_empty() => {
                // Nothing stands there: the value would begin right behind the colon.
                let colon = behind.and_then(|end| self.text[end..].find(':').map(|at| end + at + 1));
                let place = colon.unwrap_or(range.start);
                ProjectionNode::Text { span: place..place, text }
            }
            SameDocumentNodes::Text(text) => ProjectionNode::Text { span: range, text },
            SameDocumentNodes::Map(flow) => self.map(range, flow, depth)?,
            SameDocumentNodes::List(flow) => {
                let mut end = range.end;
                while !matches!(self.events.get(self.next), Some((SameDocumentNodes::End, _)) | None) {
                    end = self.node(None, depth + 1)?.span().end.max(end);
                }
                // Without brackets the parser closes it at what comes next: it ends with its last item.
                let closing = self.take().filter(|_| flow).map_or(end, |(_, closing)| closing.end.max(end));
                ProjectionNode::Other { span: range.start..closing, what: "a list" }
            }
            SameDocumentNodes::Block => {
                ProjectionNode::Other { span: range.start..self.end_of_block(&range), what: "a block of text" }
            }
            SameDocumentNodes::Other(what) => ProjectionNode::Other { span: range, what },
            SameDocumentNodes::Document | SameDocumentNodes::End => {
                ProjectionNode::Other { span: range, what: "nothing" }
            }
        })
    }

    /// The end of a block of text: before the line end that the next token follows. Empty lines behind it may belong to it (`|+`), so what is added comes after them.
    fn end_of_block(&self, range: &Range<usize>) -> usize {
        let end = range.start + self.text[range.clone()].trim_end().len();
        let rest = &self.text[end..];
        let empty = &rest[..rest.len() - rest.trim_start().len()];
        empty.rfind('\n').map_or(end, |at| end + at)
    }

    fn map(&mut self, start: Range<usize>, flow: bool, depth: usize) -> Result<ProjectionNode, WrongContent> {
        let mut entries: Vec<ProjectionEntry> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        while !matches!(self.events.get(self.next), Some((SameDocumentNodes::End, _)) | None) {
            let name = self.node(None, depth + 1)?;
            let key_span = name.span();
            let value = self.node(Some(key_span.end), depth + 1)?;
            let key = match name {
                ProjectionNode::Text { text, .. } => text,
                _ => String::new(),
            };
            // Some readers take the first, some the last, some refuse it (YAML 1.2.2, 3.2.1.1): one place must be gold for all of them.
            if let Some(first) = known.insert(key.clone(), key_span.start).filter(|_| !key.is_empty() && key != "<<") {
                let line = self.text[..first].matches('\n').count() + 1;
                return Err((
                    key_span.start,
                    format!("the key {key:?} is here a second time, the first is on line {line}; remove one of them"),
                ));
            }
            entries.push(ProjectionEntry { key, key_span, value });
        }
        let closing = self.take().map_or(self.text.len(), |(_, range)| range.end);
        let span = match (entries.first(), entries.last()) {
            (Some(first), Some(last)) if !flow => first.key_span.start..last.value.span().end.max(last.key_span.end),
            _ => start.start..closing,
        };
        Ok(ProjectionNode::Map {
            span,
            kind: if flow { ProjectionNodeKind::Braces } else { ProjectionNodeKind::Indented },
            entries,
        })
    }

    fn range(&self, span: &Span) -> Range<usize> {
        self.place(span.start.index())..self.place(span.end.index())
    }

    fn place(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or(self.text.len())
    }
}
