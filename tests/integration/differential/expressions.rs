//! Regular expressions, made of pieces, on texts: as `match-regexp` and as patterns.

use serde_json::json;

use super::random::Random;

const PIECES: [&str; 62] = [
    "a",
    "b",
    "c",
    "x",
    "é",
    "1",
    " ",
    ".",
    "^",
    "$",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "\\B",
    "\\A",
    "\\z",
    "\\.",
    "\\n",
    "\\t",
    "\\x41",
    "\\x{e9}",
    "\\x4",
    "\\101",
    "\\0",
    "\\1",
    "\\Q.*\\E",
    "\\pL",
    "\\p{Greek}",
    "\\PN",
    "\\p{^Lu}",
    "[abc]",
    "[^abc]",
    "[a-c]",
    "[]a]",
    "[[:alpha:]]",
    "[^[:digit:]]",
    "[\\d\\-x]",
    "[a&&b]",
    "[[a]",
    "[z-a]",
    "(?i)",
    "(?s)",
    "(?m)",
    "(?i:B)",
    "(?x)",
    "(?=a)",
    "(?P<n>a)",
    "(?<m>b)",
    "(a|b)",
    "(?:ab)",
    "{",
    "}",
    "{2}",
    "{,2}",
    "|",
    "/",
    "\\/",
    "\\<",
];
const REPEATS: [&str; 12] = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{0,2}", "{1001}", "{3,1}", "**"];
const TEXTS: [&str; 14] =
    ["", "a", "abc", "ABC", "aabb", "a\nb", "é", "É1", "a b", "x{2}", "[a&&b]", "A.*b", "αβ", "line one\r\nline two\n"];

/// One check: a text and an expression.
pub(super) fn case(random: &mut Random) -> String {
    let mut expression = String::new();
    for _ in 0..1 + random.below(4) {
        expression.push_str(random.of(&PIECES));
        if random.one_in(4) {
            expression.push_str(random.of(&REPEATS));
        }
        if random.one_in(12) {
            expression = format!("({expression})");
        }
    }
    let matcher = match random.below(3) {
        0 => json!({ "match-regexp": expression }),
        1 => json!({ "have-patterns": [format!("/{expression}/")] }),
        _ => json!({ "have-patterns": [format!("!/{expression}/")] }),
    };
    json!({ "content": random.of(&TEXTS), "matches": matcher }).to_string()
}
