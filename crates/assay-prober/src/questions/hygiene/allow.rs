//! What a suite allows: `allow = ["pattern", "property:pattern"]`, where `*` stands for any text and `?` for one
//! character.

use serde_json::Value;

use super::HygieneFinding;
use assay_suite::Check;

/// Whether the check's `allow` covers this finding of `property`.
pub(super) fn allowed(check: &Check, property: &str, finding: &HygieneFinding) -> bool {
    let patterns = check.parameters.get("allow").and_then(Value::as_array).into_iter().flatten();
    patterns.filter_map(Value::as_str).any(|pattern| {
        let own = pattern.strip_prefix(property).and_then(|rest| rest.strip_prefix(':')).unwrap_or(pattern);
        std::iter::once(&finding.text).chain(&finding.names).any(|name| matches(own, name))
    })
}

/// The patterns as the host's shell understands them, for what it finds by path and counts: `property:pattern` stays so.
pub(super) fn for_the_host(check: &Check) -> Vec<String> {
    let patterns = check.parameters.get("allow").and_then(Value::as_array).into_iter().flatten();
    let patterns = patterns.filter_map(Value::as_str).filter(|pattern| !pattern.contains(['\n', '\0']));
    patterns.map(|pattern| pattern.replace('\\', r"\\").replace('[', r"\[")).collect()
}

/// Whether `text` is what `pattern` describes, from its first to its last character.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last `*` stood, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    seen = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs() {
        for (pattern, text, wanted) in [
            ("/usr/bin/su", "/usr/bin/su", true),
            ("/usr/bin/su", "/usr/bin/sudo", false),
            ("/usr/*/su", "/usr/local/bin/su", true),
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("/bin/p?ng", "/bin/ping", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(50), &"b".repeat(5000)));
    }
}
