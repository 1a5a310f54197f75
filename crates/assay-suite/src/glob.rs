//! Globs as goss has them: Go's filepath.Glob. `*` and `?` stay within one part of a path and match a leading dot too,
//! `[a-z]` and `[^a-z]` are classes, `\` takes the next character as it is. It owns the matching and a bound on how much
//! is looked at; it refuses `**` as anything but `*`.

use std::path::{Component, Path, PathBuf};

/// The most directory entries that are looked at.
const MOST: usize = 100_000;

/// The paths that match, sorted; each as `pattern` has it, relative ones looked for from `base`. Fails with a fragment
/// where the pattern is wrong.
pub(super) fn find(base: &Path, pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    let mut looked = 0;
    for part in pattern.components() {
        let Component::Normal(name) = part else {
            looked += found.len();
            if looked > MOST {
                return Err(format!("more than {MOST} files would be looked at"));
            }
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let name = name.to_str().ok_or("it is not UTF-8")?;
        if !name.contains(['*', '?', '[', '\\']) {
            looked += found.len();
            if looked > MOST {
                return Err(format!("more than {MOST} files would be looked at"));
            }
            found.iter_mut().for_each(|path| path.push(name));
            found.retain(|path| base.join(path).symlink_metadata().is_ok());
            continue;
        }
        let tokens = tokens(name)?;
        let mut next = Vec::new();
        for folder in found {
            let mut names: Vec<String> = Vec::new();
            // What cannot be listed holds no match, as in Go.
            for entry in std::fs::read_dir(base.join(&folder)).into_iter().flatten().flatten() {
                looked += 1;
                if looked > MOST {
                    return Err(format!("more than {MOST} files would be looked at"));
                }
                names.extend(entry.file_name().into_string().ok().filter(|name| matches(&tokens, name)));
            }
            names.sort();
            next.extend(names.into_iter().map(|name| folder.join(name)));
        }
        found = next;
    }
    Ok(found)
}

#[derive(Debug, PartialEq)]
enum GlobToken {
    One(char),
    Any,
    Many,
    Class { not: bool, ranges: Vec<(char, char)> },
}

fn tokens(pattern: &str) -> Result<Vec<GlobToken>, String> {
    let wrong = || format!("{pattern:?} is no glob");
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => GlobToken::Many,
            '?' => GlobToken::Any,
            '\\' => GlobToken::One(rest.next().ok_or_else(wrong)?),
            '[' => {
                let not = rest.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
                    let low = bound(&mut rest).ok_or_else(wrong)?;
                    let high = if rest.next_if_eq(&'-').is_some() { bound(&mut rest).ok_or_else(wrong)? } else { low };
                    ranges.push((low, high));
                }
                GlobToken::Class { not, ranges }
            }
            c => GlobToken::One(c),
        });
    }
    tokens.dedup_by(|a, b| *a == GlobToken::Many && *b == GlobToken::Many);
    Ok(tokens)
}

fn bound(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '\\' => rest.next(),
        '-' | ']' => None,
        c => Some(c),
    }
}

/// Whether `name` matches. A star that has matched enough is never opened again once a later one matches, so the work is
/// at most the product of both lengths.
fn matches(tokens: &[GlobToken], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(token) {
            Some(GlobToken::Many) => {
                star = Some((token, at));
                token += 1;
                continue;
            }
            Some(one) if fits(one, name[at]) => {
                token += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        let Some((from, seen)) = star else { return false };
        star = Some((from, seen + 1));
        (token, at) = (from + 1, seen + 1);
    }
    tokens[token..].iter().all(|rest| *rest == GlobToken::Many)
}

fn fits(token: &GlobToken, c: char) -> bool {
    match token {
        GlobToken::One(one) => *one == c,
        GlobToken::Any => true,
        GlobToken::Many => false,
        GlobToken::Class { not, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*x", "*x", true),
            ("**", "anything", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
        ] {
            assert_eq!(matches(&tokens(pattern).expect("a glob"), name), expected, "{pattern} {name}");
        }
        for pattern in ["[", "[a", "[]a]", "a\\", "[a-]"] {
            assert!(tokens(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn finds_in_order_and_survives_what_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b/2.yaml", "b/1.yaml", "a/3.yaml", "a/x.txt"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let find = |pattern: &str| find(folder.path(), Path::new(pattern)).expect("a glob");
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(find("*/*.yaml"), paths(&["a/3.yaml", "b/1.yaml", "b/2.yaml"]));
        assert_eq!(find("a/../b/1.yaml"), paths(&["a/../b/1.yaml"]));
        assert!(find("c/*").is_empty() && find("a/none").is_empty());
    }
}
