//! What stands at a path of a JSON text, in gjson's language of paths (github.com/tidwall/gjson, which goss uses).

use serde_json::Value;

/// Nested deeper than this is not looked into: the parser recurses, and the text comes from a host.
const MAX_DEPTH: usize = 500;

/// gjson's modifiers that the crate lacks.
const LACKING: [&str; 6] = ["@keys", "@values", "@tostr", "@fromstr", "@group", "@dig"];

/// The value at `path` of `text`; the error says which of the two is wrong, in one line.
pub(super) fn at(text: &str, path: &str) -> Result<Value, String> {
    if depth(text) > MAX_DEPTH {
        return Err(format!("JSON nested deeper than {MAX_DEPTH}"));
    }
    if !gjson::valid(text) {
        return Err("this is no JSON".to_owned());
    }
    let found = gjson::get(text, path);
    if !found.exists() {
        return Err(format!("nothing at {path:?}"));
    }
    serde_json::from_str(found.json()).map_err(|error| format!("what stands at {path:?} is no JSON: {error}"))
}

/// What is wrong with a path, `None` when nothing is. gjson itself has no wrong paths, only ones that find nothing.
pub(super) fn mistake(path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("an empty path finds nothing".to_owned());
    }
    let word =
        path.split(['.', '|', '[', '{', ',']).find(|part| LACKING.iter().any(|l| part.split(':').next() == Some(l)));
    word.map(|word| format!("the modifier {word} is not supported"))
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
}
