//! goss's line patterns, as they stand in lists at `contents`, `stdout` and `stderr`: `foo` is held by some line,
//! `!foo` by none, `/re/` and `!/re/` likewise with a regular expression, `\!foo` is the text `!foo` itself.

use regex::Regex;

/// One pattern, ready to be searched for.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// `!`: no line may hold it.
    pub inverse: bool,
    needle: Needle,
}

#[derive(Debug, Clone)]
enum Needle {
    Text(String),
    Regex(Regex),
}

impl Pattern {
    /// Reads one pattern; fails with the regular expression's own complaint.
    pub fn parse(text: &str) -> Result<Self, regex::Error> {
        let (inverse, body) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let needle = if body.len() >= 2 && body.starts_with('/') && body.ends_with('/') {
            Needle::Regex(Regex::new(&body[1..body.len() - 1])?)
        } else if let Some(literal) = body.strip_prefix('\\').filter(|b| b.starts_with('!') || b.starts_with('/')) {
            Needle::Text(literal.to_owned())
        } else {
            Needle::Text(body.to_owned())
        };
        Ok(Self { inverse, needle })
    }

    /// Whether some line of `text` holds it, `inverse` left aside.
    pub fn is_held_by(&self, text: &str) -> bool {
        text.lines().any(|line| match &self.needle {
            Needle::Text(needle) => line.contains(needle.as_str()),
            Needle::Regex(regex) => regex.is_match(line),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form() {
        let text = "root:x:0:0\n!important /x/\nv1.2";
        for (pattern, inverse, held) in [
            ("root:x", false, true),
            ("nobody", false, false),
            ("!root:x", true, true),
            ("\\!important", false, true),
            ("/^root:/", false, true),
            ("!/^x/", true, false),
            ("/v\\d\\.\\d$/", false, true),
            ("\\/x/", false, true),
            ("/", false, true),
        ] {
            let it = Pattern::parse(pattern).expect(pattern);
            assert_eq!((it.inverse, it.is_held_by(text)), (inverse, held), "{pattern}");
        }
        assert!(Pattern::parse("/(/").is_err());
    }
}
