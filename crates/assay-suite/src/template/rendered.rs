//! A rendered text that knows where each of its bytes came from.

use std::ops::Range;

/// A part of the source that makes output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceMark {
    /// Its bytes in the source.
    pub source: Range<usize>,
    /// Whether it stands in the output as it is; otherwise it was evaluated.
    pub plain: bool,
}

/// A rendered text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenderedText {
    /// The text.
    pub text: String,
    /// Where the output of a mark begins, ascending.
    pub(super) pieces: Vec<(usize, SourceMark)>,
}

impl RenderedText {
    /// A text without any template in it.
    pub(crate) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), pieces: vec![(0, SourceMark { source: 0..text.len(), plain: true })] }
    }

    /// Whether anything was evaluated.
    pub(crate) fn is_evaluated(&self) -> bool {
        self.pieces.iter().any(|(_, mark)| !mark.plain)
    }

    /// Where in the source the rendered bytes `span` came from: exactly where they were copied, otherwise the action
    /// that made them.
    pub(crate) fn source(&self, span: &Range<usize>) -> Range<usize> {
        let at = self.pieces.partition_point(|(start, _)| *start <= span.start);
        let Some((start, mark)) = at.checked_sub(1).and_then(|at| self.pieces.get(at)) else { return 0..0 };
        if !mark.plain {
            return mark.source.clone();
        }
        let from = (mark.source.start + (span.start - start)).min(mark.source.end);
        from..(from + span.len()).min(mark.source.end)
    }

    /// The rendered line that `span` begins in, where an action had a part in it.
    pub(crate) fn evaluated_line(&self, span: &Range<usize>) -> Option<&str> {
        let at = span.start.min(self.text.len());
        let start = self.text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let end = self.text.as_bytes()[at..].iter().position(|b| *b == b'\n').map_or(self.text.len(), |n| at + n);
        let first = self.pieces.partition_point(|(from, _)| *from <= start).saturating_sub(1);
        let mut within = self.pieces[first.min(self.pieces.len())..].iter().take_while(|(from, _)| *from <= end);
        within.any(|(_, mark)| !mark.plain).then(|| self.text.get(start..end)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_knows_its_source() {
        let mark = |source, plain| SourceMark { source, plain };
        let it = RenderedText {
            text: "a: 1\nb: long\nc: 3\n".to_owned(),
            pieces: vec![(0, mark(0..8, true)), (8, mark(8..20, false)), (12, mark(20..26, true))],
        };
        assert_eq!(it.source(&(5..6)), 5..6);
        assert_eq!(it.source(&(9..11)), 8..20);
        assert_eq!(it.source(&(13..14)), 21..22);
        assert_eq!(it.source(&(400..401)), 26..26);
        assert_eq!(it.evaluated_line(&(0..1)), None);
        assert_eq!(it.evaluated_line(&(6..7)), Some("b: long"));
        assert_eq!(it.evaluated_line(&(13..14)), None);
        assert_eq!(RenderedText::plain("").source(&(3..4)), 0..0);
    }
}
