//! Numbers and quoted texts of templates, as Go reads them (strconv.Unquote; text/template/parse, node.go).

use super::syntax::WrittenNumber;
use crate::datum::parse_float;

/// A number or a character in quotes, as it is written.
pub(super) fn number(written: &str) -> Result<WrittenNumber, String> {
    if written.starts_with('\'') {
        return character(written).map(|c| WrittenNumber { whole: Some(i64::from(u32::from(c))), float: None });
    }
    if let Some(whole) = whole(written) {
        return match i64::try_from(whole) {
            Ok(whole) => Ok(WrittenNumber { whole: Some(whole), float: None }),
            Err(_) => Err(format!("{written} is larger than an int")),
        };
    }
    let float = parse_float(written).filter(|float| float.is_finite());
    let float = float.ok_or_else(|| format!("{written:?} is no number"))?;
    if !written.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("{written} is larger than an int"));
    }
    let is_whole = float.fract() == 0.0 && (-9.2e18..9.2e18).contains(&float);
    // Whole and within the range, so nothing is lost.
    Ok(WrittenNumber { whole: is_whole.then_some(float as i64), float: Some(float) })
}

/// Go's strconv.ParseInt with base 0: decimal, `0x`, `0b`, `0o` or `0` for octal, underscores between digits.
pub(in crate::template) fn whole(written: &str) -> Option<i128> {
    let (sign, digits) = match written.as_bytes().first()? {
        b'-' => (-1, &written[1..]),
        b'+' => (1, &written[1..]),
        _ => (1, written),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, rest) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // An underscore stands between two digits, or behind what names the base.
    let first = if base == 10 { !rest.starts_with('_') } else { true };
    if !first || rest.ends_with('_') || rest.contains("__") {
        return None;
    }
    let plain = rest.replace('_', "");
    if plain.is_empty() || !plain.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    i128::from_str_radix(&plain, base).ok().map(|number| sign * number)
}

/// A text in quotes, without them.
pub(super) fn text(written: &str) -> Result<String, String> {
    if let Some(raw) = written.strip_prefix('`') {
        return Ok(raw.trim_end_matches('`').replace('\r', ""));
    }
    let inner = &written[1..written.len() - 1];
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match escape(&mut rest, '"')? {
                EscapeMeaning::Byte(byte) => bytes.push(byte),
                EscapeMeaning::Char(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            },
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("{written} is not UTF-8"))
}

fn character(written: &str) -> Result<char, String> {
    let wrong = || format!("{written} is no single character");
    let inner = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).ok_or_else(wrong)?;
    let mut rest = inner.chars();
    let c = match rest.next().ok_or_else(wrong)? {
        '\\' => match escape(&mut rest, '\'')? {
            EscapeMeaning::Byte(byte) => char::from(byte),
            EscapeMeaning::Char(c) => c,
        },
        '\'' => return Err(wrong()),
        c => c,
    };
    if rest.next().is_some() { Err(wrong()) } else { Ok(c) }
}

/// What an escape stands for: `\xff` and `\377` are bytes, all else characters.
enum EscapeMeaning {
    Byte(u8),
    Char(char),
}

fn escape(rest: &mut std::str::Chars<'_>, quote: char) -> Result<EscapeMeaning, String> {
    let c = rest.next().ok_or("a backslash at the end")?;
    let wrong = || format!("\\{c} is no escape");
    let simple = |c| Ok(EscapeMeaning::Char(c));
    match c {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '\\' => simple('\\'),
        c if c == quote => simple(c),
        'x' => digits(rest, 2, 16).and_then(|n| u8::try_from(n).ok()).map(EscapeMeaning::Byte).ok_or_else(wrong),
        'u' | 'U' => {
            let code = digits(rest, if c == 'u' { 4 } else { 8 }, 16);
            code.and_then(char::from_u32).map(EscapeMeaning::Char).ok_or_else(wrong)
        }
        '0'..='7' => {
            let rest = digits(rest, 2, 8).ok_or_else(wrong)?;
            let first = c.to_digit(8).unwrap_or(0);
            u8::try_from(first * 64 + rest).map(EscapeMeaning::Byte).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize, base: u32) -> Option<u32> {
    (0..count).try_fold(0u32, |sum, _| Some(sum.checked_mul(base)? + rest.next()?.to_digit(base)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (written, whole, float) in [
            ("1", Some(1), None),
            ("-0x1F", Some(-31), None),
            ("017", Some(15), None),
            ("0b11", Some(3), None),
            ("1_000", Some(1000), None),
            ("'a'", Some(97), None),
            (r"'\n'", Some(10), None),
            ("3.0", Some(3), Some(3.0)),
            ("1e1", Some(10), Some(10.0)),
            ("1.5", None, Some(1.5)),
        ] {
            let it = number(written).unwrap_or_else(|why| panic!("{written}: {why}"));
            assert_eq!((it.whole, it.float), (whole, float), "{written}");
        }
        for wrong in ["089", "1__0", "_1", "9223372036854775808", "-", "0x", "1.2.3", "''", "'ab'", "1e999"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts() {
        for (written, wanted) in
            [(r#""a\t\"\\""#, "a\t\"\\"), (r#""\x41\101\u00e9\U0001F600""#, "AAé😀"), ("`a\\n`", "a\\n"), ("\"\"", "")]
        {
            assert_eq!(text(written).as_deref(), Ok(wanted), "{written}");
        }
        for wrong in [r#""\'""#, r#""\xff""#, r#""\q""#, r#""\x4""#] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
    }
}
