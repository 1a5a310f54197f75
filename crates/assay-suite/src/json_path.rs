//! What stands at a path of a JSON text, in gjson's language of paths (github.com/tidwall/gjson, which goss uses).

use std::borrow::Cow;

use serde_json::Value;

/// Nested deeper than this is not looked into: the parser recurses, and the text comes from a host.
const MAX_DEPTH: usize = 500;

/// gjson's modifiers that the crate lacks.
const LACKING: [&str; 6] = ["@keys", "@values", "@tostr", "@fromstr", "@group", "@dig"];
/// Those that it has.
const MODIFIERS: [&str; 7] = ["@pretty", "@ugly", "@reverse", "@this", "@flatten", "@join", "@valid"];

/// The value at `path` of `text`; the error says which of the two is wrong, in one line.
pub(super) fn at(text: &str, path: &str) -> Result<Value, String> {
    if depth(text) > MAX_DEPTH {
        return Err(format!("JSON nested deeper than {MAX_DEPTH}"));
    }
    if !gjson::valid(text) {
        return Err("this is no JSON".to_owned());
    }
    let nothing = || format!("nothing at {path:?}");
    // Of what is not there the crate makes an empty list, gjson nothing.
    let lists = [".#.{", ".#.["].into_iter().flat_map(|list| path.match_indices(list));
    if lists.map(|(at, _)| &path[..at]).any(|before| !gjson::get(text, before).exists()) {
        return Err(nothing());
    }
    let found = gjson::get(text, path);
    if !found.exists() {
        return Err(nothing());
    }
    serde_json::from_str(&without_lone_surrogates(found.json()))
        .map_err(|error| format!("what stands at {path:?} is no JSON: {error}"))
}

/// What is wrong with a path, `None` when nothing is. gjson itself has no wrong paths, only ones that find nothing.
pub(super) fn mistake(path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("an empty path finds nothing".to_owned());
    }
    unsupported(path)
}

/// What gjson has and the crate reads as something else: found here, so that it is a mistake and no wrong answer.
fn unsupported(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let mut quoted = false;
    let mut before = '.';
    for (at, c) in path.char_indices() {
        if at > 0 && bytes[at - 1] == b'\\' {
            // Escaped, it is a character as any other.
            before = 'x';
            continue;
        }
        quoted ^= c == '"';
        let rest = &path[at..];
        let begins = ".|[{,:(".contains(before);
        let wrong = match c {
            _ if quoted => None,
            '@' if begins => modifier(rest),
            '!' if begins && !"(".contains(before) => Some("a literal (!…) is not supported".to_owned()),
            '#' if rest.starts_with("#[") => {
                Some("the old form #[…] of a query is not supported; write #(…)".to_owned())
            }
            '~' if "=!<>%".contains(before) && !rest.starts_with("~true") && !rest.starts_with("~false") => {
                Some("of ~ only ~true and ~false are supported".to_owned())
            }
            '+' if begins && rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                Some("the place in a list has no sign".to_owned())
            }
            _ => None,
        };
        if wrong.is_some() {
            return wrong;
        }
        if c != ' ' {
            before = c;
        }
    }
    None
}

/// What is wrong with the modifier that `rest` begins with.
fn modifier(rest: &str) -> Option<String> {
    let end = rest.find(['.', '|', ':', ',', ']', '}', ')']).unwrap_or(rest.len());
    let word = &rest[..end];
    if LACKING.contains(&word) {
        return Some(format!("the modifier {word} is not supported"));
    }
    let known = MODIFIERS.contains(&word);
    (!known).then(|| format!("there is no modifier {word}; a key of this name is written \\{word}"))
}

/// The JSON text with U+FFFD where an escape is half of a pair, as Go reads it (it takes two escapes for a pair, whether
/// they make one or not).
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let code = |text: &str| {
        let digits = text.strip_prefix("\\u").and_then(|rest| rest.get(..4))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let is_surrogate = |code: u32| (0xD800..0xE000).contains(&code);
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (first, second) = (code(rest), rest.get(6..).and_then(code));
        let taken = match (first.filter(|code| is_surrogate(*code)), second) {
            (None, _) => 2,
            (Some(high), Some(low)) if high < 0xDC00 && (0xDC00..0xE000).contains(&low) => 12,
            (Some(_), second) => {
                out.push_str("\\ufffd");
                rest = &rest[if second.is_some() { 12 } else { 6 }..];
                continue;
            }
        };
        // Behind a backslash there is an ASCII character: the text was found to be JSON.
        let (copied, after) = rest.split_at(taken.min(rest.len()));
        out.push_str(copied);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The deepest nesting of brackets outside of texts.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for b in text.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths() {
        let text =
            r#"{"a": {"b.c": [1, 2.5, "x"]}, "list": [{"n": "one", "v": 1}, {"n": "two", "v": 2}], "null": null}"#;
        for (path, wanted) in [
            ("a.b\\.c.1", json!(2.5)),
            ("list.#", json!(2)),
            ("list.#.n", json!(["one", "two"])),
            ("list.#(v>1).n", json!("two")),
            ("list|@reverse|0.n", json!("two")),
            ("null", json!(null)),
            ("@this.list.0.v", json!(1)),
        ] {
            assert_eq!(at(text, path), Ok(wanted), "{path}");
        }
        assert!(at(text, "nothing.here").is_err());
        assert!(at("{", "a").is_err());
        assert!(at("", "a").is_err());
        assert!(at(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "0").is_err());
        assert!(mistake("a.@keys").is_some() && mistake("@values|0").is_some() && mistake("").is_some());
        assert!(mistake("a.@reverse").is_none() && mistake("keys").is_none());
    }

    #[test]
    fn what_the_crate_would_read_otherwise_is_a_mistake() {
        for path in [
            "u.#(pw==~null)#",
            "u.#(pw==~*)#.n",
            "u.#(pw == ~null)#",
            "!\"static\"",
            "{\"s\":!\"v\"}.s",
            "[!5]",
            "friends.#[first=\"Dale\"].age",
            "children.+1",
            "a.@x",
            "a|@values",
            "{@keys,b}",
        ] {
            assert!(mistake(path).is_some(), "{path}");
        }
        for path in [
            "u.#(pw==~true)#",
            "u.#(n!=\"~x @y\")#",
            "a\\.@b.c",
            "\\@x",
            "a~b",
            "u.#(n!%\"a*\").n",
            "{first,\"x\":age}",
            "a|@pretty:{\"sortKeys\":true}",
            "a@b",
            "x!",
        ] {
            assert_eq!(mistake(path), None, "{path}");
        }
    }

    #[test]
    fn a_list_of_nothing_is_nothing() {
        assert!(at(r#"{"x":1}"#, "friends.#.{first,age}").is_err());
        let text = r#"{"friends":[{"first":"a","age":1}]}"#;
        assert_eq!(at(text, "friends.#.{first,age}"), Ok(json!([{"first": "a", "age": 1}])));
    }

    #[test]
    fn half_a_pair_is_no_character() {
        let text = r#"{"a":"x\ud800y","b":["\ude00","\ud83d\ude00","\\ud800"],"c":"\ud800\u0041"}"#;
        assert_eq!(at(text, "a"), Ok(json!("x\u{fffd}y")));
        assert_eq!(at(text, "b"), Ok(json!(["\u{fffd}", "😀", "\\ud800"])));
        assert_eq!(at(text, "c"), Ok(json!("\u{fffd}")));
    }
}
