//! Text from outside made safe to show: terminals, XML, JSON, HTML and git see no control character that an image
//! sent. It owns which characters are shown as themselves; it refuses to decide how a report lays text out.
//!
//! A backslash is not doubled: an escaped text escaped again is the same text, so every layer may escape what it was
//! given.

use std::fmt::Write as _;

/// `text` with every control character, bidirectional control, invisible format character and non-character written as
/// `\xNN` or `\u{…}`. Line feeds and tabs stay: the result may have several lines.
pub fn escape(text: &str) -> String {
    escape_keeping(text, |c| c == '\n' || c == '\t')
}

/// Like [`escape`], but for one line: line feed and tab are written `\n` and `\t`.
pub fn escape_line(text: &str) -> String {
    escape_keeping(text, |_| false)
}

/// Like [`escape`], for bytes: what is not UTF-8 is written as `\xNN`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            push_byte(&mut out, *byte);
        }
    }
    out
}

/// At most `limit` bytes of `text`, cut at a character; what was cut off is told in words.
pub fn bounded(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} more bytes)", &text[..end], text.len() - end)
}

/// Whether a character is shown as itself on one line.
pub fn is_harmless(c: char) -> bool {
    !is_hidden(c)
}

fn escape_keeping(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if keep(c) || !is_hidden(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x100 => push_byte(&mut out, u32::from(c) as u8),
            c => {
                write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String cannot fail");
            }
        }
    }
    out
}

fn push_byte(out: &mut String, byte: u8) {
    write!(out, "\\x{byte:02x}").expect("writing to a String cannot fail");
}

/// C0, DEL, C1, the bidirectional controls (Unicode UAX #9), line and paragraph separators, zero-width and tag
/// characters, and the non-characters that XML 1.0 forbids.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_passes() {
        assert_eq!(escape("a\x1b[2Jb\r\n\tc\x07"), "a\\x1b[2Jb\\x0d\n\tc\\x07");
        assert_eq!(escape("\u{9b}31m\u{7f}"), "\\x9b31m\\x7f");
        assert_eq!(escape("user\u{202e}nimda\u{2066}"), "user\\u{202e}nimda\\u{2066}");
        assert_eq!(escape_line("one\ntwo\tthree"), "one\\ntwo\\tthree");
        assert_eq!(escape_bytes(b"ok\xff\xfe\x00"), "ok\\xff\\xfe\\x00");
        assert_eq!(escape("grün 日本 \\d+"), "grün 日本 \\d+");
    }

    #[test]
    fn escaping_twice_changes_nothing() {
        for c in (0..0x11_0000).filter_map(char::from_u32) {
            let once = escape_line(&c.to_string());
            assert_eq!(escape_line(&once), once);
            assert!(!once.chars().any(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn cut_at_a_character() {
        assert_eq!(bounded("ü1234", 10), "ü1234");
        assert_eq!(bounded("1ü234", 2), "1… (5 more bytes)");
    }
}
