//! What git and the remote said, made fit to print: credentials struck out of URLs, control characters shown, length bounded. It refuses
//! to interpret (see `push`).

use std::sync::LazyLock;

use regex::Regex;

use assay_model::escape::escape_line;

/// The most characters that are passed on of the beginning of what git said, and of its end: there git says why it failed.
const MOST_OF_HEAD: usize = 1024;
/// See [`MOST_OF_HEAD`].
const MOST_OF_TAIL: usize = 3072;

/// `scheme://anything@`: whatever stands before the `@` of a URL's authority may be a password or a token (RFC 3986, section 3.2.1).
static USERINFO: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#'\x22]*@").expect("a fixed pattern"));

/// Header values and query parameters that carry tokens.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(authorization:\s*\w+\s+|(?:access_token|private_token|token|password)=)[^\s&'\x22]+")
        .expect("a fixed pattern")
});

/// `text` without credentials, each line escaped, empty lines dropped, at most 4096 characters of its beginning and end.
pub(crate) fn clean(text: &str) -> String {
    let safe = redact(text);
    let lines: Vec<String> = safe
        .lines()
        .map(|line| escape_line(line.trim_end().rsplit('\r').next().unwrap_or_default()))
        .filter(|line| !line.is_empty())
        .collect();
    let joined = lines.join("\n");
    let length = joined.chars().count();
    if length <= MOST_OF_HEAD + MOST_OF_TAIL {
        return joined;
    }
    let head: String = joined.chars().take(MOST_OF_HEAD).collect();
    let tail: String = joined.chars().skip(length - MOST_OF_TAIL).collect();
    format!("{head}…{tail}")
}

/// `text` with the credentials of every URL and token struck out.
pub(crate) fn redact(text: &str) -> String {
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
        let long = format!("first{}last", "x".repeat(100_000));
        let short = clean(&long);
        assert!(short.chars().count() <= MOST_OF_HEAD + MOST_OF_TAIL + 1);
        assert!(short.starts_with("first") && short.ends_with("last"), "{short}");
    }
}
