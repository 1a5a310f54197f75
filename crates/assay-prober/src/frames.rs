//! What comes back from a script, cut into answers. It owns the framing: a line `NONCE INDEX START END ENCODING`, the
//! fields, a line `NONCE .`. A field is a line `.LETTER WORD` and lines of data: encoded as the head says, in hexadecimal
//! behind a space, or plain behind `=` (a line of its own for each line, so what is plain cannot look like a mark). It refuses everything else as noise: shells greet, hosts print banners, and a command may
//! print what looks like an answer but cannot know the nonce.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};

/// A line longer than this is noise, or a broken answer.
const MAX_LINE: usize = 512 << 10;
/// An answer larger than this is broken (contents in hexadecimal, with spaces, and its head).
const MAX_FRAME: usize = 4 << 20;
/// How much noise is kept, for messages.
const NOISE_KEPT: usize = 2 << 10;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct AnswerFrame {
    /// How long it took on the host, where the host could tell.
    pub elapsed: Option<Duration>,
    fields: BTreeMap<char, FrameField>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct FrameField {
    word: String,
    bytes: Vec<u8>,
}

impl AnswerFrame {
    /// The word beside a field's letter: `.x 1` is `Some("1")`. `None`: no such field.
    pub(crate) fn word(&self, letter: char) -> Option<&str> {
        self.fields.get(&letter).map(|f| f.word.as_str())
    }

    /// The decoded bytes under a field's letter. `None`: no such field.
    pub(crate) fn bytes(&self, letter: char) -> Option<&[u8]> {
        self.fields.get(&letter).map(|f| f.bytes.as_slice())
    }

    /// The output of a command under a field's letter, without the mark behind it (prelude.sh, `told`), and the command's
    /// status, which is missing where the mark is. `None`: no such field.
    pub(crate) fn told(&self, letter: char) -> Option<(&[u8], Option<i32>)> {
        const MARK: &[u8] = b"end ";
        let bytes = self.bytes(letter)?;
        // A status is of three digits at most.
        let from = bytes.len().saturating_sub(MARK.len() + 3);
        let at = (from..bytes.len()).rev().find(|at| bytes[*at..].starts_with(MARK));
        let status = at.and_then(|at| std::str::from_utf8(&bytes[at + MARK.len()..]).ok()?.parse().ok());
        Some(match (at, status) {
            (Some(at), Some(status)) => (&bytes[..at], Some(status)),
            _ => (bytes, None),
        })
    }

    /// The output of a command that ended with one of `statuses`, as text; or, for people, why that is not so.
    pub(crate) fn whole(&self, letter: char, statuses: &[i32]) -> Result<String, String> {
        match self.told(letter) {
            Some((bytes, Some(status))) if statuses.contains(&status) => {
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
            Some((_, Some(124 | 137 | 143))) => Err("the host did not answer in time".to_owned()),
            Some((_, Some(status))) => Err(format!("it ended with status {status}")),
            Some((_, None)) => Err("its answer is not whole".to_owned()),
            None => Err("its answer is missing".to_owned()),
        }
    }

    /// Like `bytes`, as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self, letter: char) -> Option<String> {
        self.bytes(letter).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// What was read of one script's answers so far.
#[derive(Debug)]
pub(super) struct AnswerFrames {
    nonce: String,
    line: Vec<u8>,
    line_too_long: bool,
    open: Option<OpenFrame>,
    /// The answers by number. An answer that came twice is not here any more.
    pub answers: BTreeMap<u32, AnswerFrame>,
    /// Numbers that were answered twice or whose answer was not well formed.
    pub broken: Vec<u32>,
    /// The count in the script's last answer, once it is in.
    pub end: Option<usize>,
    /// Why the script could not ask at all.
    pub refusal: Option<String>,
    /// The beginning of what was no answer.
    pub noise: Vec<u8>,
}

#[derive(Debug)]
struct OpenFrame {
    index: String,
    elapsed: Option<Duration>,
    hex: bool,
    size: usize,
    good: bool,
    fields: Vec<SentField>,
}

/// A field as it came.
#[derive(Debug)]
struct SentField {
    letter: char,
    word: String,
    lines: FieldLines,
}

/// How a field's lines say its bytes. One field keeps to one way.
#[derive(Debug)]
enum FieldLines {
    None,
    /// As the frame's head says.
    Encoded(Vec<u8>),
    /// In hexadecimal, each line behind a space, as od writes it.
    Hex(Vec<u8>),
    /// As they are, each line behind `=`.
    Plain(Vec<u8>),
}

impl AnswerFrames {
    /// A reader for the answers of the script that was given `nonce`.
    pub(crate) fn new(nonce: &str) -> Self {
        Self {
            nonce: nonce.to_owned(),
            line: Vec::new(),
            line_too_long: false,
            open: None,
            answers: BTreeMap::new(),
            broken: Vec::new(),
            end: None,
            refusal: None,
            noise: Vec::new(),
        }
    }

    /// Takes the next bytes of the script's standard output, cut anywhere.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            if self.line.len() + text.len() > MAX_LINE {
                self.line_too_long = true;
            } else {
                self.line.extend_from_slice(text);
            }
            if ended {
                let line = std::mem::take(&mut self.line);
                let too_long = std::mem::take(&mut self.line_too_long);
                self.line(&line, too_long);
            }
        }
    }

    fn line(&mut self, line: &[u8], too_long: bool) {
        let ours = line.strip_prefix(self.nonce.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
        match (ours, &mut self.open) {
            (Some(b"."), Some(_)) => self.close(),
            (Some(head), _) if !too_long => {
                self.close_broken();
                self.open = OpenFrame::read(head);
            }
            (_, Some(open)) => open.take(line, too_long),
            (_, None) => {
                let room = NOISE_KEPT.saturating_sub(self.noise.len());
                if room > 0 && !line.is_empty() {
                    self.noise.extend_from_slice(&line[..line.len().min(room)]);
                    self.noise.push(b'\n');
                }
            }
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let index = open.index.clone();
        let frame = open.finish();
        if index == "end" {
            let frame = frame.unwrap_or_default();
            self.end = frame.word('n').and_then(|n| n.parse().ok());
            self.refusal = frame.word('z').map(str::to_owned);
            return;
        }
        let Ok(index) = index.parse::<u32>() else { return };
        match frame {
            Some(frame) if !self.broken.contains(&index) => {
                if self.answers.insert(index, frame).is_some() {
                    self.break_off(index);
                }
            }
            _ => self.break_off(index),
        }
    }

    /// An answer that was not closed before the next began.
    fn close_broken(&mut self) {
        if let Some(index) = self.open.take().and_then(|open| open.index.parse().ok()) {
            self.break_off(index);
        }
    }

    fn break_off(&mut self, index: u32) {
        self.answers.remove(&index);
        if !self.broken.contains(&index) {
            self.broken.push(index);
        }
    }
}

impl OpenFrame {
    fn read(head: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let words: Vec<&str> = head.split(' ').collect();
        let [index, start, end, encoding] = words.as_slice() else { return None };
        let seconds = |word: &str| word.parse::<f64>().ok().filter(|s| s.is_finite() && (0.0..1e10).contains(s));
        let elapsed = match (seconds(start), seconds(end)) {
            (Some(start), Some(end)) if end >= start => {
                Some(Duration::from_millis(((end - start) * 1000.0).round() as u64))
            }
            _ => None,
        };
        Some(Self {
            index: (*index).to_owned(),
            elapsed,
            hex: *encoding == "x",
            size: 0,
            good: true,
            fields: Vec::new(),
        })
    }

    fn take(&mut self, line: &[u8], too_long: bool) {
        self.size += line.len();
        if too_long || self.size > MAX_FRAME {
            self.good = false;
        }
        if !self.good || line.is_empty() {
            return;
        }
        if let [b'.', letter, rest @ ..] = line {
            let word = String::from_utf8_lossy(rest.strip_prefix(b" ").unwrap_or(rest)).into_owned();
            let letter = char::from(*letter);
            self.good &= letter.is_ascii_alphabetic() && !self.fields.iter().any(|sent| sent.letter == letter);
            self.fields.push(SentField { letter, word, lines: FieldLines::None });
        } else {
            self.good &= self.fields.last_mut().is_some_and(|sent| sent.lines.take(line));
        }
    }

    fn finish(self) -> Option<AnswerFrame> {
        let mut frame = AnswerFrame { elapsed: self.elapsed, fields: BTreeMap::new() };
        for SentField { letter, word, lines } in self.fields {
            let bytes = match lines {
                FieldLines::None => Vec::new(),
                FieldLines::Plain(bytes) => bytes,
                FieldLines::Hex(digits) => unhex(&digits)?,
                FieldLines::Encoded(digits) if self.hex => unhex(&digits)?,
                FieldLines::Encoded(text) => STANDARD.decode(&text).ok()?,
            };
            frame.fields.insert(letter, FrameField { word, bytes });
        }
        self.good.then_some(frame)
    }
}

impl FieldLines {
    /// Adds a line; whether it is of the same way as those before it.
    fn take(&mut self, line: &[u8]) -> bool {
        let tight = |bytes: &mut Vec<u8>| bytes.extend(line.iter().filter(|b| !b.is_ascii_whitespace()));
        if matches!(self, Self::None) {
            *self = match line {
                [b'=', rest @ ..] => Self::Plain(rest.to_vec()),
                [b' ', ..] => Self::Hex(Vec::new()),
                _ => Self::Encoded(Vec::new()),
            };
            if matches!(self, Self::Plain(_)) {
                return true;
            }
        }
        match (self, line) {
            (Self::Plain(bytes), [b'=', rest @ ..]) => {
                bytes.push(b'\n');
                bytes.extend_from_slice(rest);
            }
            (Self::Hex(bytes), [b' ', ..]) => tight(bytes),
            (Self::Encoded(bytes), [first, ..]) if !b" =".contains(first) => tight(bytes),
            _ => return false,
        }
        true
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(text: &str) -> AnswerFrames {
        let mut frames = AnswerFrames::new("abc");
        // One byte at a time: any cut must do.
        for byte in text.as_bytes() {
            frames.feed(&[*byte]);
        }
        frames
    }

    #[test]
    fn an_answer_in_each_encoding() {
        let text = "Welcome!\n\nabc 0 1.00 1.25 b\n.s 0\n.e\n\n.o\naGVs\nbG8=\nabc .\n\nabc 1 - - x\n.x 1\n.o\n 68 69\n 0a\nabc .\n\nabc end - 2 b\n.n 2\nabc .\n";
        let frames = fed(text);
        let first = &frames.answers[&0];
        assert_eq!(
            (first.word('s'), first.text('o').as_deref(), first.bytes('e')),
            (Some("0"), Some("hello"), Some(&b""[..]))
        );
        assert_eq!(first.elapsed, Some(Duration::from_millis(250)));
        assert_eq!(frames.answers[&1].bytes('o'), Some(&b"hi\n"[..]));
        assert_eq!((frames.answers[&1].elapsed, frames.end), (None, Some(2)));
        assert_eq!(frames.noise, b"Welcome!\n");
        assert_eq!(first.word('q'), None);
    }

    #[test]
    fn each_field_in_its_own_way() {
        let frames = fed("abc 0 - - b\n.o\n 68 69\n 0a\n.p\n=root:x\n=abc .\n=\n.q\n=\n.r\naGVs\nabc .\n");
        let frame = &frames.answers[&0];
        assert_eq!((frame.bytes('o'), frame.bytes('p')), (Some(&b"hi\n"[..]), Some(&b"root:x\nabc .\n"[..])));
        assert_eq!((frame.bytes('q'), frame.bytes('r')), (Some(&b""[..]), Some(&b"hel"[..])));
        for mixed in ["=a\n 68", " 68\n=a", "aGVs\n=a", "aGVs\n 68", "=a\naGVs", " 6"] {
            assert_eq!(fed(&format!("abc 3 - - b\n.o\n{mixed}\nabc .\n")).broken, [3], "{mixed:?}");
        }
    }

    #[test]
    fn what_is_not_ours_is_noise() {
        let frames = fed("abd 0 - - b\n.s 0\nabd .\nab\nabc\nxabc 0 - - b\nabc .\n");
        assert!(frames.answers.is_empty() && frames.broken.is_empty() && frames.end.is_none());
    }

    #[test]
    fn an_answer_given_twice_is_none() {
        let one = "abc 7 - - b\n.x 1\nabc .\n";
        let frames = fed(&format!("{one}{one}{one}"));
        assert!(frames.answers.is_empty());
        assert_eq!(frames.broken, [7]);
    }

    #[test]
    fn a_broken_answer_is_none() {
        for body in [".s 0\n!!!!", "aGVsbG8=", ".o\naGVsbG8", ".s 0\n.s 1", ".o\naGVs\nnoise", ".1 x"] {
            let frames = fed(&format!("abc 3 - - b\n{body}\nabc .\n"));
            assert!(frames.answers.is_empty(), "{body:?}");
            assert_eq!(frames.broken, [3], "{body:?}");
        }
        let cut = fed("abc 3 - - b\n.s 0\nabc 4 - - b\n.s 0\nabc .\nabc 5 - - b\n.s 0\n");
        assert_eq!((cut.broken.as_slice(), cut.answers.len()), (&[3][..], 1), "5 was never closed");
    }

    #[test]
    fn endless_lines_cost_nothing() {
        let mut frames = AnswerFrames::new("abc");
        frames.feed(b"abc 1 - - b\n.o\n");
        for _ in 0..2000 {
            frames.feed(&[b'A'; 8192]);
        }
        assert!(frames.line.len() <= MAX_LINE);
        frames.feed(b"\nabc .\n");
        assert_eq!(frames.broken, [1]);
    }

    mod any_bytes {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

            /// Without the nonce nothing becomes an answer; with it, nothing breaks.
            #[test]
            fn are_survived(lines in proptest::collection::vec("abc [0-9]{1,2} - - [bx]|abc \\.|\\.[a-z]( \\PC{0,5})?|[A-Za-z0-9+/=]{0,8}|[\\x00-\\xff]{0,9}", 0..30)) {
                let text = lines.join("\n");
                let mut frames = AnswerFrames::new("abc");
                frames.feed(text.as_bytes());
                let mut others = AnswerFrames::new("another");
                others.feed(text.as_bytes());
                prop_assert!(others.answers.is_empty() && others.end.is_none());
            }
        }
    }
}
