//! Single characters as Go's package unicode sees them: upper and lower case map one character to one, where Rust's
//! full mappings may give several.

use std::sync::LazyLock;

use regex::Regex;

/// unicode.ToUpper.
pub(super) fn upper(c: char) -> char {
    let mut full = c.to_uppercase();
    match (full.next(), full.next()) {
        (Some(upper), None) => upper,
        _ => match c {
            // The full mappings of these write the iota beside the letter; the simple ones keep it below.
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(c, 8),
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(c, 9),
            _ => c,
        },
    }
}

/// unicode.ToLower.
pub(super) fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// unicode.ToTitle: upper case, but for digraphs, of which only the first half is large, and Georgian, which has none.
pub(super) fn title(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        c => upper(c),
    }
}

/// strconv.IsPrint: letters, marks, numbers, punctuation, symbols and the blank.
pub(super) fn is_printed(c: char) -> bool {
    static PRINTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\pL\pM\pN\pP\pS ]$").ok());
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    PRINTED.as_ref().is_some_and(|printed| printed.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Go's `%q` of a text (strconv.Quote); `ascii`: everything else escaped too (`%+q`).
pub(super) fn quoted(text: &str, ascii: bool) -> String {
    let mut out = String::from('"');
    text.chars().for_each(|c| push_quoted(&mut out, c, '"', ascii));
    out.push('"');
    out
}

/// Go's `%q` of a number: the character in quotes.
pub(super) fn quoted_char(c: char, ascii: bool) -> String {
    let mut out = String::from('\'');
    push_quoted(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

fn push_quoted(out: &mut String, c: char, quote: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == quote => out.extend(['\\', c]),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if is_printed(c) && (c.is_ascii() || !ascii) => out.push(c),
        c => {
            let code = u32::from(c);
            out.push_str(&match code {
                0..0x80 => format!("\\x{code:02x}"),
                0x80..0x1_0000 => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            });
        }
    }
}

fn shifted(c: char, by: u32) -> char {
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_becomes_one() {
        let all = |text: &str, map: fn(char) -> char| text.chars().map(map).collect::<String>();
        assert_eq!(all("aßŉᾀÿ", upper), "AßŉᾈŸ");
        assert_eq!(all("AİΣ", lower), "aiσ");
        assert_eq!(all("ǆაb", title), "ǅაB");
    }

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(quoted("a\"\\\n\u{1}\u{7f}é\u{200b}\u{a0}😀", false), r#""a\"\\\n\x01\x7fé\u200b\u00a0😀""#);
        assert_eq!(quoted("é😀", true), r#""\u00e9\U0001f600""#);
        assert_eq!(quoted_char('\'', false), r"'\''");
    }
}
