//! What serde's view of YAML hides: local tags, and documents behind the first. In YAML a `!` in front of a word begins
//! a tag, so `- !PermitRootLogin yes` is the pattern `yes`: goss looks for the contrary of what is meant.

use std::ops::Range;

use granit_parser::{Event, Parser};

/// What stands in the text beside its first document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct YamlStream {
    /// Where the first document ends: `None` where it is the only one.
    pub end: Option<usize>,
    /// Where the second document begins that has something in it.
    pub second: Option<Range<usize>>,
    /// The local tags, as `!foo`.
    pub tags: Vec<Range<usize>>,
}

/// Looks at `text` as far as it is YAML: what is wrong with it, its parser says.
pub(super) fn look(text: &str) -> YamlStream {
    let mut stream = YamlStream::default();
    // The parser counts characters.
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let place = |index: usize| places.get(index).copied().unwrap_or(text.len());
    let (mut documents, mut begins) = (0, 0..0);
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        let start = place(span.start.index());
        match &event {
            Event::DocumentStart(..) => {
                documents += 1;
                begins = start..place(span.end.index());
            }
            Event::DocumentEnd if stream.end.is_none() => stream.end = Some(start),
            Event::Scalar(..) if documents > 1 && span.is_empty() => {}
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_)
                if documents > 1 && stream.second.is_none() =>
            {
                stream.second = Some(begins.clone());
            }
            _ => {}
        }
        let local = event.tag().is_some_and(|tag| tag.handle() == "!" || tag.suffix() == "!");
        if let Some(tag) = span.tag_span().filter(|_| local && documents == 1) {
            stream.tags.push(place(tag.start.index())..place(tag.end.index()));
        }
    }
    if documents < 2 {
        stream.end = None;
    }
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<&str> {
        look(text).tags.into_iter().map(|span| &text[span]).collect()
    }

    #[test]
    fn local_tags_are_found_where_they_stand() {
        assert_eq!(tags("é: [!foo, !bar yes, \"!x\", '!y', !!str 5, a!b]\nb: !/re/\n"), ["!foo", "!bar", "!/re/"]);
        assert_eq!(tags("a:\n- !\n- ! x\n"), ["!", "!"]);
        assert_eq!(tags("{\"a\": \"!b\"}"), [""; 0]);
        assert_eq!(look(": : ["), YamlStream::default());
    }

    #[test]
    fn documents_behind_the_first_are_seen() {
        assert_eq!(look("a: 1\n").end, None);
        assert_eq!(look("---\na: 1\n").end, None);
        for text in ["a: 1\n---\n", "a: 1\n---\n# nothing\n", "a: 1\n...\n"] {
            assert_eq!(look(text).second, None, "{text:?}");
        }
        let text = "a: 1\n---\nb: 2\n";
        let stream = look(text);
        assert_eq!(&text[..stream.end.expect("it ends")], "a: 1\n");
        assert!(text[stream.second.expect("there is one")].starts_with("---"));
    }
}
