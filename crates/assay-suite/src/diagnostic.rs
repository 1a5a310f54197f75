//! Mistakes in files, told the way a compiler tells them. It owns the text: what is wrong, file:line:column, the
//! source line with a mark under the place, what would be right. It refuses colour: the text goes into CI logs and
//! through Packer.

use std::{fmt, ops::Range, path::Path};

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

use assay_model::escape::escape;

/// One mistake, ready to show. `Display` is the whole text: several lines, no control characters, no trailing line
/// feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDiagnostic {
    /// The file, as the user named it.
    pub path: String,
    /// 1-based line; 0 when the mistake is the file itself (missing, unreadable).
    pub line: u32,
    /// 1-based column, in characters; 0 like `line`.
    pub column: u32,
    /// What is wrong, in one line.
    pub title: String,
    text: String,
}

impl SourceDiagnostic {
    /// A mistake at the bytes `span` of `source`. `label` stands under the marked text (may be empty), `help` says
    /// what would be right.
    pub fn at(source: &SourceText<'_>, span: Range<usize>, title: &str, label: &str, help: Option<&str>) -> Self {
        let span = source.clamp(span);
        let (line, column) = source.position(span.start);
        let path = source.path.display().to_string();
        let mut mark = AnnotationKind::Primary.span(span);
        if !label.is_empty() {
            mark = mark.label(label);
        }
        let mut group = Level::ERROR
            .primary_title(title)
            .element(Element::Cause(Snippet::source(source.text).path(path.as_str()).annotation(mark)));
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        let text = escape(&Renderer::plain().render(&[group])).trim_end().to_owned();
        Self { path, line, column, title: title.to_owned(), text }
    }

    /// A mistake that is a whole file: missing, unreadable, too large, of no known kind.
    pub fn file(path: &Path, title: &str, help: Option<&str>) -> Self {
        let path = path.display().to_string();
        let mut text = format!("error: {title}\n --> {path}");
        if let Some(help) = help {
            text.push_str(&format!("\n  |\n  = help: {help}"));
        }
        Self { path, line: 0, column: 0, title: title.to_owned(), text: escape(&text) }
    }
}

impl SourceDiagnostic {
    /// Takes away what was quoted, for a file outside of the repository: only the place is left.
    pub fn hide_text(&mut self) {
        self.title = "a mistake in a file outside of the repository, of which nothing is shown".to_owned();
        self.text = escape(&format!("error: {}\n --> {}:{}:{}", self.title, self.path, self.line, self.column));
    }

    /// A mistake on a line of a file whose text is no longer at hand.
    pub fn on_line(path: &Path, line: u32, title: &str, help: &str) -> Self {
        let path = path.display().to_string();
        let text = format!("error: {title}\n --> {path}:{line}\n  |\n  = help: {help}");
        Self { path, line, column: 0, title: title.to_owned(), text: escape(&text) }
    }
}

impl fmt::Display for SourceDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SourceDiagnostic {}

/// A file's text and its name, for pointing into it.
#[derive(Debug, Clone, Copy)]
pub struct SourceText<'a> {
    /// The file, as the user named it.
    pub path: &'a Path,
    /// Its whole text.
    pub text: &'a str,
}

impl SourceText<'_> {
    /// The 1-based line and column (in characters) of a byte offset.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let before = &self.text[..self.clamp(offset..offset).start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// `span` moved to character boundaries inside the text, and cut at the end of its first line: a mark over many
    /// lines hides the place.
    fn clamp(&self, span: Range<usize>) -> Range<usize> {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        let end = floor(span.end).max(start);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        start..end.min(line_end.max(start))
    }
}

/// The one of `known` that `name` was most likely meant to be, or `None` when nothing is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&folded, &k.replace('_', "-")), k))
        .filter(|(distance, k)| *distance <= 1 + k.chars().count().min(name.chars().count()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_the_place_and_hides_control_characters() {
        let text = "suite \"x\" {\n  mod\u{9b}e = 1\n}\n";
        let source = SourceText { path: Path::new("a/b.hcl"), text };
        let start = text.find("mod").expect("it is there");
        let it = SourceDiagnostic::at(&source, start..start + 3, "unknown name \"mod\"", "here", Some("say mode"));
        assert_eq!((it.line, it.column), (2, 3));
        insta::assert_snapshot!(it.to_string(), @r#"
        error: unknown name "mod"
         --> a/b.hcl:2:3
          |
        2 |   mod\x9be = 1
          |   ^^^ here
          |
          = help: say mode
        "#);
    }

    #[test]
    fn any_span_is_survived() {
        let source = SourceText { path: Path::new("x"), text: "aü\nb" };
        for start in 0..9 {
            for end in 0..9 {
                let it = SourceDiagnostic::at(&source, Range { start, end }, "t", "l", None);
                assert!(it.to_string().contains("x:"), "{it}");
            }
        }
        assert!(SourceDiagnostic::at(&SourceText { path: Path::new("x"), text: "" }, 0..0, "t", "", None).line == 1);
    }

    #[test]
    fn nearest_is_near() {
        assert_eq!(nearest("exit_status", ["exit-status", "stdout"]), Some("exit-status"));
        assert_eq!(nearest("sise", ["size", "mode"]), Some("size"));
        assert_eq!(nearest("banana", ["size", "mode"]), None);
    }
}
