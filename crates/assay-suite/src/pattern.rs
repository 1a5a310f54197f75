//! goss's line patterns, as they stand in lists at `contents`, `stdout`, `stderr`, `headers` and `body`: `foo` is held
//! by some line, `!foo` by none, `/re/` and `!/re/` likewise with a regular expression (goss's
//! `matchers/have_patterns.go`).

use regex::bytes::Regex;

use super::re2;

/// One pattern, ready to be searched for.
#[derive(Debug, Clone)]
pub(super) struct SearchPattern {
    inverse: bool,
    needle: PatternNeedle,
}

#[derive(Debug, Clone)]
enum PatternNeedle {
    /// The pattern `""`: held even where there is no line at all.
    Nothing,
    Text(String),
    Regex(Regex),
}

impl SearchPattern {
    /// Reads one pattern; fails with the regular expression's own complaint, in one line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (inverse, body) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let needle = if body == "/" {
            return Err("a slash alone is no pattern".to_owned());
        } else if body.starts_with('/') && body.ends_with('/') {
            PatternNeedle::Regex(re2::compile(&body[1..body.len() - 1])?)
        } else if text.is_empty() {
            PatternNeedle::Nothing
        } else {
            // Whatever stands in front of these, goss searches without them: `\!x`, `/x` and `!x` are all `x`.
            PatternNeedle::Text(text.trim_start_matches(['\\', '/', '!']).to_owned())
        };
        Ok(Self { inverse, needle })
    }

    /// Whether `text` is as the pattern wants it.
    pub(crate) fn is_met_by(&self, text: &str) -> bool {
        let held = match &self.needle {
            PatternNeedle::Nothing => true,
            PatternNeedle::Text(needle) => lines(text).any(|line| line.contains(needle.as_str())),
            PatternNeedle::Regex(regex) => lines(text).any(|line| regex.is_match(line.as_bytes())),
        };
        held != self.inverse
    }
}

/// Whether the pattern says what no line may hold.
pub(super) fn is_inverse(text: &str) -> bool {
    text.starts_with('!')
}

/// The lines as Go's scanner gives them: without their ends, and without one carriage return before that.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form() {
        let text = "root:x:0:0\n!important /x/\r\nv1.2";
        for (pattern, met) in [
            ("root:x", true),
            ("nobody", false),
            ("!root:x", false),
            ("!nobody", true),
            ("\\!important", true),
            ("!!important", false),
            ("/^root:/", true),
            ("!/^x/", true),
            ("/v\\d\\.\\d$/", true),
            ("/x/$/", true),
            ("\\/x/", true),
            ("/x", true),
            ("//", true),
            ("", true),
        ] {
            let it = SearchPattern::parse(pattern).expect(pattern);
            assert_eq!(it.is_met_by(text), met, "{pattern}");
        }
        for (pattern, met) in [("", true), ("//", false), ("x", false), ("!x", true), ("!", true)] {
            assert_eq!(SearchPattern::parse(pattern).expect(pattern).is_met_by(""), met, "{pattern}");
        }
        for bad in ["/(/", "/", "!/"] {
            assert!(SearchPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
