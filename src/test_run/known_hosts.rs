//! OpenSSH's known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): the keys that it holds for one host. It owns plain and wildcard names, ports and revoked
//! keys; hashed names and authorities are passed over.

use std::fmt::Write as _;

use ssh_key::PublicKey;

/// What a file says of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct KnownKeys {
    /// The keys as `algorithm base64`, in file order; none that is revoked for this host.
    pub keys: Vec<String>,
    /// Lines, counted from 1, that cannot be read.
    pub unreadable: Vec<usize>,
    /// How many lines have a hashed name, which may be this host's.
    pub hashed: usize,
    /// Whether a key of this host's is revoked.
    pub revoked: bool,
}

/// One line's fields.
struct KnownHostLine<'a> {
    marker: Option<&'a str>,
    hosts: &'a str,
    /// As `algorithm base64`.
    key: String,
}

/// What the file says of `host` at `port`.
pub(super) fn keys(text: &str, host: &str, port: u16) -> KnownKeys {
    let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    let mut known = KnownKeys::default();
    let mut revoked = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let Some(line) = read(line) else {
            known.unreadable.push(number);
            continue;
        };
        if line.hosts.starts_with('|') {
            known.hashed += 1;
        } else if names(line.hosts, &name) {
            match line.marker {
                None => known.keys.push(line.key),
                Some("@revoked") => revoked.push(line.key),
                Some(_) => {}
            }
        }
    }
    known.revoked = !revoked.is_empty();
    known.keys.retain(|key| !revoked.contains(key));
    known
}

impl KnownKeys {
    /// Why there is no key, as the end of a sentence; empty where nothing more is known than that.
    pub(super) fn hint(&self) -> String {
        let mut hint = String::new();
        if self.revoked {
            hint.push_str("; what it has is revoked");
        }
        if self.hashed > 0 {
            let _ = write!(hint, "; {} of its lines have hashed names, which are not read", self.hashed);
        }
        if let Some(first) = self.unreadable.first() {
            let _ = write!(hint, "; {} of its lines cannot be read (line {first})", self.unreadable.len());
        }
        hint
    }
}

/// Marker, names, type and key stand with blanks or tabs between them; what follows is a comment.
fn read(line: &str) -> Option<KnownHostLine<'_>> {
    let mut fields = line.split_ascii_whitespace();
    let first = fields.next()?;
    let (marker, hosts) = if first.starts_with('@') { (Some(first), fields.next()?) } else { (None, first) };
    let key = format!("{} {}", fields.next()?, fields.next()?);
    PublicKey::from_openssh(&key).ok()?;
    Some(KnownHostLine { marker, hosts, key })
}

fn names(patterns: &str, name: &str) -> bool {
    let (mut matched, mut negated) = (false, false);
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) => negated |= glob(pattern.as_bytes(), name.as_bytes()),
            None => matched |= glob(pattern.as_bytes(), name.as_bytes()),
        }
    }
    matched && !negated
}

/// `*` and `?` as in ssh_config(5), PATTERNS. A star that has matched enough is never opened again once a later one matches, so the work is at most the
/// product of both lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(&text[seen]) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((from, taken)) = star else { return false };
                star = Some((from, taken + 1));
                (at, seen) = (from + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn stars_are_matched_as_sshd_does_and_in_no_time() {
        for (pattern, text, due) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("?*", "", false),
            ("**a", "bA", true),
            ("*.lab", "a.lab.x", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), due, "{pattern} {text}");
        }
        let begun = std::time::Instant::now();
        assert!(!glob("*a".repeat(200).as_bytes(), "a".repeat(150).as_bytes()));
        assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[test]
    fn names_ports_and_wildcards() {
        let text = format!(
            "# ours\nhost.example.com,192.0.2.1 {KEY} me\n[host.example.com]:2222 {KEY}\n*.lab {KEY}\n!bad.lab,*.lab {KEY}\n@revoked old.example.com {KEY}\n"
        );
        let of = |host: &str, port: u16| keys(&text, host, port).keys;
        assert_eq!(of("host.example.com", 22), [KEY]);
        assert_eq!(of("192.0.2.1", 22), [KEY]);
        assert_eq!(of("host.example.com", 2222), [KEY]);
        assert_eq!(of("a.lab", 22).len(), 2);
        assert_eq!(of("bad.lab", 22).len(), 1);
        assert!(of("old.example.com", 22).is_empty());
        assert!(of("other", 22).is_empty());
    }

    #[test]
    fn lines_are_read_as_sshd_reads_them() {
        let tabs = KEY.replace(' ', "\t");
        let text = format!("a\t{tabs}\n  b {KEY}\nc  {KEY} a comment\n\n# d {KEY}\r\n@cert-authority e {KEY}\n");
        for host in ["a", "b", "c"] {
            assert_eq!(
                keys(&text, host, 22),
                KnownKeys { keys: vec![KEY.to_owned()], ..KnownKeys::default() },
                "{host}"
            );
        }
        for host in ["d", "e"] {
            assert_eq!(keys(&text, host, 22), KnownKeys::default(), "{host}");
        }
    }

    #[test]
    fn what_is_not_read_is_said() {
        let text = format!("a ssh-ed25519 AAAA\n|1|x|y {KEY}\n@revoked b {KEY}\nb {KEY}\n");
        let found = keys(&text, "b", 22);
        assert!(
            found.keys.is_empty() && found.revoked,
            "a key that is revoked is none, wherever its other line stands"
        );
        assert_eq!((found.unreadable.as_slice(), found.hashed), (&[1][..], 1));
        assert_eq!(
            found.hint(),
            "; what it has is revoked; 1 of its lines have hashed names, which are not read; 1 of its lines cannot be read (line 1)"
        );
    }
}
