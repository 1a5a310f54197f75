//! What git and the remote said, made fit to print: credentials struck out of URLs, control characters shown, length bounded. It refuses
//! to interpret (see `push`).

use std::sync::LazyLock;

use regex::Regex;

use crate::model::escape::escape_line;

/// The most characters that are passed on of what git said.
const MOST: usize = 4096;

/// `scheme://anything@`: whatever stands before the `@` of a URL's authority may be a password or a token (RFC 3986, section 3.2.1).
static USERINFO: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#'\x22]*@").expect("a fixed pattern"));

/// Header values and query parameters that carry tokens.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(authorization:\s*\w+\s+|(?:access_token|private_token|token|password)=)[^\s&'\x22]+")
        .expect("a fixed pattern")
});

/// `text` without credentials, each line escaped, empty lines dropped, at most 4096 characters.
pub fn clean(text: &str) -> String {
    let safe = redact(text);
    let lines: Vec<String> = safe
        .lines()
        .map(|line| escape_line(line.trim_end().rsplit('\r').next().unwrap_or_default()))
        .filter(|line| !line.is_empty())
        .collect();
    let mut joined = lines.join("\n");
    if let Some((end, _)) = joined.char_indices().nth(MOST) {
        joined.truncate(end);
        joined.push('…');
    }
    joined
}

/// `text` with the credentials of every URL and token struck out.
pub fn redact(text: &str) -> String {
    let without = USERINFO.replace_all(text, "${1}");
    TOKEN.replace_all(&without, "${1}***").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_pass() {
        for text in [
            "fatal: unable to access 'https://user:s3cret@git.example/o/r.git/': 403",
            "https://s3cret@git.example/o/r",
            "https://x:p@s3cret@git.example/o/r",
            "ssh://git:s3cret@git.example:22/o/r",
            "AUTHORIZATION: basic s3cret",
            "https://git.example/o/r?private_token=s3cret&x=1",
        ] {
            assert!(!clean(text).contains("s3cret"), "{}", clean(text));
        }
        assert_eq!(
            redact("git@github.com:o/r.git and https://github.com/o/r"),
            "git@github.com:o/r.git and https://github.com/o/r"
        );
    }

    #[test]
    fn words_are_escaped_and_bounded() {
        assert_eq!(clean("remote: \x1b[31mno\x1b[0m\n\nremote: x"), "remote: \\x1b[31mno\\x1b[0m\nremote: x");
        assert!(clean(&"x".repeat(100_000)).chars().count() <= MOST + 1);
    }
}
