//! Making text from an untrusted source harmless: it owns which characters may reach a terminal, a log, XML or git as they are. It
//! refuses to shorten (bounds belong to whoever reads) and to know any output format.

use std::fmt::Write as _;

/// Whether `character` is shown as it is: everything but control characters (C0, DEL, C1), the Unicode characters that change the
/// direction of text (UAX #9), those without width that hide or join text, line and paragraph separators, and noncharacters.
pub fn is_harmless(character: char) -> bool {
    !matches!(character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Shows every character that is not harmless: `\n`, `\r`, `\t`, other control characters up to U+009F as `\x1b`, the rest as
/// `\u{202e}`. A backslash stays as it is, so that escaping twice changes nothing more.
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        push(&mut shown, character);
    }
    shown
}

/// [`escape`] for bytes: what is not UTF-8 is shown byte by byte as `\xff`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut shown, c));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

fn push(shown: &mut String, character: char) {
    let _ = match character {
        c if is_harmless(c) => {
            shown.push(c);
            Ok(())
        }
        '\n' => write!(shown, "\\n"),
        '\r' => write!(shown, "\\r"),
        '\t' => write!(shown, "\\t"),
        c if u32::from(c) <= 0xff => write!(shown, "\\x{:02x}", u32::from(c)),
        c => write!(shown, "\\u{{{:x}}}", u32::from(c)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_no_control_character() {
        assert_eq!(escape("a\x1b]52;c;eA==\x07b"), "a\\x1b]52;c;eA==\\x07b");
        assert_eq!(escape("x\u{202e}y\u{200b}z\u{9b}1m"), "x\\u{202e}y\\u{200b}z\\x9b1m");
        assert_eq!(escape("one\ntwo\tü €"), "one\\ntwo\\tü €");
        assert_eq!(escape_bytes(b"ok\xff\xfe\x00"), "ok\\xff\\xfe\\x00");
    }

    #[test]
    fn escaping_twice_changes_nothing_more() {
        let once = escape("\x1b[2J \\x1b \u{feff}");
        assert_eq!(escape(&once), once);
    }
}
