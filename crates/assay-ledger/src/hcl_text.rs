//! The HCL that assay writes to git and reads back: a small writer with one fixed layout, and a strict reader with file and line in every
//! error. It owns quoting and the refusal of unknown names; it refuses expressions: a ledger file holds values, never computations.

use std::{fmt::Write as _, ops::Range, str::FromStr};

use hcl_edit::{
    Span as _,
    expr::Expression,
    parser::parse_body,
    structure::{Attribute, Block, Body, Structure},
};

use assay_model::escape::{escape_line, is_harmless};

/// The largest ledger file that is read, in bytes. A lock file grows by about 1 KiB a promotion.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// The format of lock and candidate files that this version reads and writes. A file without the attribute `format` has this one; it is raised, and written, when what
/// is in them changes its meaning.
const FORMAT: u64 = 1;

/// A ledger file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct HclError {
    /// The file, as the caller named it.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Builds HCL text: two spaces a level, `=` aligned within a block, one empty line before each nested block.
#[derive(Debug, Default)]
pub(crate) struct HclWriter {
    text: String,
    depth: usize,
}

impl HclWriter {
    /// An empty text.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a comment line at the present depth.
    pub(crate) fn comment(&mut self, words: &str) {
        self.line(&format!("# {}", escape_line(words)));
    }

    /// Adds a block with `attributes` (name, value already in HCL) and what `inner` adds.
    pub(crate) fn block(&mut self, head: &str, attributes: &[(&str, String)], inner: impl FnOnce(&mut Self)) {
        self.separate();
        self.line(&format!("{head} {{"));
        self.depth += 1;
        let width = attributes.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in attributes {
            self.line(&format!("{name:width$} = {value}"));
        }
        inner(self);
        self.depth -= 1;
        self.line("}");
    }

    /// Adds a block as [`FoundBlock::text`] gave it, at the present depth.
    pub(crate) fn block_text(&mut self, text: &str) {
        self.separate();
        for line in text.trim_end_matches('\n').split('\n') {
            // As in `block`: a line without text has no indentation.
            if line.is_empty() { self.text.push('\n') } else { self.line(line) }
        }
    }

    fn separate(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("#\n") && !self.last_line_is_comment() {
            self.text.push('\n');
        }
    }

    /// The finished text.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn last_line_is_comment(&self) -> bool {
        self.text.lines().next_back().is_some_and(|line| line.trim_start().starts_with('#'))
    }

    fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// `text` as a quoted HCL string (HCL native syntax, "Quoted Strings"): quotes, backslashes, template markers and everything that a
/// terminal would not show as itself are escaped.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if characters.peek() == Some(&'{') => {
                quoted.push(character);
                quoted.push(character);
            }
            c if is_harmless(c) => quoted.push(c),
            c if u32::from(c) <= 0xffff => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// `items` as an HCL list of strings on one line.
pub(crate) fn quote_list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(quote).collect();
    format!("[{}]", items.join(", "))
}

/// The source of a parsed file: gives errors their place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HclSource<'a> {
    /// The file, as errors name it.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl<'a> HclSource<'a> {
    /// Parses the text. Fails on text that is too large, no HCL, or nested deeper than the parser's own bound.
    pub(crate) fn parse(&self) -> Result<Body, HclError> {
        if self.text.len() > MAX_BYTES {
            return Err(self.error_at(1, format!("the file is larger than {MAX_BYTES} bytes")));
        }
        parse_body(self.text).map_err(|error| {
            self.error_at(error.location().line(), format!("not valid HCL: {}", escape_line(error.message())))
        })
    }

    /// An error at a 1-based line.
    pub(crate) fn error_at(&self, line: usize, message: impl Into<String>) -> HclError {
        HclError { file: self.file.to_owned(), line, message: message.into() }
    }

    fn line_of(&self, span: Option<Range<usize>>) -> usize {
        let end = span.map_or(0, |span| span.start).min(self.text.len());
        self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The single top-level block `kind "label" { … }`; anything else at the top is an error.
    pub(crate) fn only_block<'b>(&'b self, body: &'b Body, kind: &str) -> Result<(String, HclSection<'b>), HclError>
    where
        'a: 'b,
    {
        let top = HclSection { source: *self, body, span: None, what: "the file".to_owned() };
        top.allow(&[], &[kind])?;
        let blocks = top.blocks(kind);
        let [block] = blocks.as_slice() else {
            return Err(self.error_at(1, format!("expected exactly one {kind} block, found {}", blocks.len())));
        };
        let labels = block.labels(1)?;
        Ok((labels[0].clone(), block.section()))
    }
}

/// A block as it was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundBlock<'a> {
    source: HclSource<'a>,
    block: &'a Block,
}

impl<'a> FoundBlock<'a> {
    /// 1-based line of the block.
    pub(crate) fn line(&self) -> usize {
        self.source.line_of(self.block.span())
    }

    /// The block as it stands in the file, at the left margin: two spaces less before each line.
    pub(crate) fn text(&self) -> String {
        let span = self.block.span().unwrap_or_default();
        let text = self.source.text.get(span).unwrap_or_default();
        let lines: Vec<&str> = text.split('\n').map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        lines.join("\n") + "\n"
    }

    /// The block's labels; an error unless there are `count`.
    pub(crate) fn labels(&self, count: usize) -> Result<Vec<String>, HclError> {
        if self.block.labels.len() == count {
            return Ok(self.block.labels.iter().map(|label| label.as_str().to_owned()).collect());
        }
        let message =
            format!("{} takes {count} label(s), found {}", self.block.ident.as_str(), self.block.labels.len());
        Err(self.source.error_at(self.line(), message))
    }

    /// What is inside.
    pub(crate) fn section(&self) -> HclSection<'a> {
        let mut what = self.block.ident.as_str().to_owned();
        for label in &self.block.labels {
            let _ = write!(what, " {:?}", escape_line(label.as_str()));
        }
        HclSection { source: self.source, body: &self.block.body, span: self.block.span(), what }
    }
}

/// The inside of a block (or of the file).
#[derive(Debug, Clone)]
pub(crate) struct HclSection<'a> {
    source: HclSource<'a>,
    body: &'a Body,
    /// Where its block begins. Lines are only counted for an error: a long file has thousands of blocks.
    span: Option<Range<usize>>,
    what: String,
}

impl<'a> HclSection<'a> {
    /// Fails on the first attribute or block that is not named here, with the nearest name that is.
    pub(crate) fn allow(&self, attributes: &[&str], blocks: &[&str]) -> Result<(), HclError> {
        for structure in self.body {
            let (name, span, known, kind) = match structure {
                Structure::Attribute(a) => (a.key.as_str(), a.span(), attributes, "attribute"),
                Structure::Block(b) => (b.ident.as_str(), b.span(), blocks, "block"),
            };
            if !known.contains(&name) {
                let near =
                    known.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                let message = format!("{} has no {kind} {:?}{hint}", self.what, escape_line(name));
                return Err(self.source.error_at(self.source.line_of(span), message));
            }
        }
        Ok(())
    }

    /// The blocks named `kind`, in file order.
    pub(crate) fn blocks(&self, kind: &str) -> Vec<FoundBlock<'a>> {
        self.body
            .blocks()
            .filter(|block| block.has_ident(kind))
            .map(|block| FoundBlock { source: self.source, block })
            .collect()
    }

    /// The string attribute `name`, or `None` where it is absent.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<String>, HclError> {
        let Some(attribute) = self.body.get_attribute(name) else { return Ok(None) };
        self.string(attribute, &attribute.value).map(Some)
    }

    /// The string attribute `name`.
    pub(crate) fn text(&self, name: &str) -> Result<String, HclError> {
        self.optional(name)?.ok_or_else(|| self.error(format!("{} needs {name}", self.what)))
    }

    /// The string attribute `name`, read as a `T`.
    pub(crate) fn value<T: FromStr>(&self, name: &str) -> Result<T, HclError>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(name)?;
        self.read(name, &text)
    }

    /// As [`Self::value`], `None` where it is absent.
    pub(crate) fn optional_value<T: FromStr>(&self, name: &str) -> Result<Option<T>, HclError>
    where
        T::Err: std::fmt::Display,
    {
        self.optional(name)?.map(|text| self.read(name, &text)).transpose()
    }

    /// Fails where the file's `format` is one that this version does not know; without one it is the first.
    pub(crate) fn check_format(&self) -> Result<(), HclError> {
        let Some(attribute) = self.body.get_attribute("format") else { return Ok(()) };
        let number = attribute.value.as_number().and_then(|number| number.as_u64());
        if number == Some(FORMAT) {
            return Ok(());
        }
        let message = format!("format must be {FORMAT}; a file of a higher format needs a newer assay");
        Err(self.source.error_at(self.source.line_of(attribute.span()), message))
    }

    /// The attribute `name` as a list of strings.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, HclError> {
        let attribute =
            self.body.get_attribute(name).ok_or_else(|| self.error(format!("{} needs {name}", self.what)))?;
        let Expression::Array(array) = &attribute.value else {
            return Err(self.wrong_kind(attribute, "a list of strings"));
        };
        array.iter().map(|item| self.string(attribute, item)).collect()
    }

    /// An error at this block's line.
    pub(crate) fn error(&self, message: impl Into<String>) -> HclError {
        self.source.error_at(self.source.line_of(self.span.clone()), message)
    }

    fn read<T: FromStr>(&self, name: &str, text: &str) -> Result<T, HclError>
    where
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error: T::Err| {
            let span = self.body.get_attribute(name).and_then(|attribute| attribute.span());
            self.source.error_at(self.source.line_of(span), format!("{name}: {}", escape_line(&error.to_string())))
        })
    }

    fn string(&self, attribute: &Attribute, value: &Expression) -> Result<String, HclError> {
        value.as_str().map(str::to_owned).ok_or_else(|| self.wrong_kind(attribute, "a plain string"))
    }

    fn wrong_kind(&self, attribute: &Attribute, wanted: &str) -> HclError {
        let line = self.source.line_of(attribute.span());
        self.source.error_at(line, format!("{} must be {wanted}", attribute.key.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(text in any::<String>()) {
            let file = format!("a \"b\" {{\n  c = {}\n}}\n", quote(&text));
            let source = HclSource { file: "t", text: &file };
            let body = source.parse().map_err(|e| TestCaseError::fail(e.to_string()))?;
            let (_, section) = source.only_block(&body, "a").map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(section.text("c").map_err(|e| TestCaseError::fail(e.to_string()))?, text);
            prop_assert!(file.chars().all(|c| c == '\n' || is_harmless(c)));
        }
    }

    #[test]
    fn template_markers_stay_text() {
        for text in ["${x}", "$${x}", "%{if}", "$$$${", "a$", "\u{1b}[0m", "\u{e0041}"] {
            let file = format!("a \"b\" {{\n  c = {}\n}}\n", quote(text));
            let source = HclSource { file: "t", text: &file };
            let body = source.parse().expect(text);
            assert_eq!(source.only_block(&body, "a").expect(text).1.text("c").expect(text), text);
        }
    }

    #[test]
    fn a_deep_or_huge_file_is_an_error_not_a_crash() {
        let deep = format!("a = {}", "(".repeat(100_000));
        assert!(HclSource { file: "t", text: &deep }.parse().is_err());
        let unary = format!("a = {}1", "!".repeat(100_000));
        assert!(HclSource { file: "t", text: &unary }.parse().is_err());
        let huge = "#\n".repeat(MAX_BYTES);
        assert!(HclSource { file: "t", text: &huge }.parse().is_err());
    }
}
