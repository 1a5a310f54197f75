//! Which files go to the host under test with a goss file: itself and what it names. It owns that choice, since what stands beside a goss file may be a repository with
//! its secrets, and the host is not trusted; it refuses to understand goss.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// A goss file is not larger.
const LARGEST: u64 = 4 << 20;

/// The files below the folder of `file` that it names, itself first, as paths from there: words of its text that lead to a file (`gossfile`, `readFile`, with `*` in the
/// last part), and what the YAML and JSON files among these name in turn. What begins with a dot is never meant.
pub(super) fn named_by(file: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let first = PathBuf::from(file.file_name().unwrap_or_default());
    let mut named = vec![first.clone()];
    let mut seen = BTreeSet::from([first]);
    let mut next = 0;
    while let Some(path) = named.get(next).cloned() {
        next += 1;
        let whole = folder.join(&path);
        let is_goss = whole.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if (next > 1 && !is_goss) || fs::metadata(&whole)?.len() > LARGEST {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&whole)?).into_owned();
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        for found in words(&text).flat_map(|word| files(folder, &base.join(word))) {
            if seen.insert(found.clone()) {
                named.push(found);
            }
        }
    }
    Ok(named)
}

/// What may be a path from where the file stands.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "\"'`,{}[]()#".contains(c);
    let words = text.split(ends).map(|word| word.trim_end_matches(':').trim_start_matches("./"));
    words.filter(|word| !word.is_empty() && !word.starts_with(['/', '.']) && word.len() < 256)
}

/// The files that a path, or a pattern with `*` in its last part, leads to below `folder`.
fn files(folder: &Path, path: &Path) -> Vec<PathBuf> {
    let hidden = |part: Component<'_>| match part {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
        Component::CurDir => false,
        _ => true,
    };
    let is_file = |path: &Path| {
        !path.components().any(hidden) && fs::symlink_metadata(folder.join(path)).is_ok_and(|found| found.is_file())
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    if !name.contains('*') {
        return if is_file(path) { vec![path.to_owned()] } else { Vec::new() };
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    let Ok(entries) = fs::read_dir(folder.join(parent)) else { return Vec::new() };
    let fits = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(|found| fits(name, found)));
    let mut found: Vec<PathBuf> =
        fits.map(|entry| parent.join(entry.file_name())).filter(|path| is_file(path)).collect();
    found.sort();
    found
}

/// Whether `name` is what `pattern` says, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_goes_to_the_host() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        write(
            "goss.yaml",
            "gossfile:\n  parts/base.yaml: {}\n  ./more/*.yml: {}\nfile:\n  /etc/passwd:\n    exists: true\n\
             command:\n  x: {exec: \"{{ readFile `banner.txt` }} .env\"}\n  ../secret.yaml: {}\n",
        );
        write("parts/base.yaml", "gossfile: {\"deep.yaml\": {}, \"../banner.txt\": {}}\n");
        write("parts/deep.yaml", "");
        write("more/one.yml", "gossfile:\n  goss.yaml: {}\n");
        write("more/two.yaml", "");
        for secret in ["banner.txt", ".env", "terraform.tfstate", "gha-creds-1.json", "values.yaml", "more/.hidden.yml"]
        {
            write(secret, "secret");
        }
        let mut named = named_by(&folder.path().join("goss.yaml")).expect("read");
        assert_eq!(named.remove(0), Path::new("goss.yaml"));
        named.sort();
        let wanted = ["banner.txt", "more/one.yml", "parts/base.yaml", "parts/deep.yaml"];
        assert_eq!(named, wanted.map(PathBuf::from));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, is) in [
            ("*.yml", "a.yml", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("*", "x", true),
            ("a*", "b", false),
        ] {
            assert_eq!(fits(pattern, name), is, "{pattern} {name}");
        }
    }
}
