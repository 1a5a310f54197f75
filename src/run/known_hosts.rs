//! OpenSSH's known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): the keys that it holds for one host. It owns plain and wildcard names and ports;
//! hashed names are passed over, like revoked keys and authorities.

use ssh_key::known_hosts::{HostPatterns, KnownHosts, Marker};

/// The keys for `host` at `port` as `algorithm base64`, in file order. Lines that cannot be read are passed over.
pub fn keys(text: &str, host: &str, port: u16) -> Vec<String> {
    let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    KnownHosts::new(text)
        .filter_map(Result::ok)
        .filter(|entry| !matches!(entry.marker(), Some(Marker::Revoked | Marker::CertAuthority)))
        .filter(|entry| names(entry.host_patterns(), &name))
        .filter_map(|entry| entry.public_key().to_openssh().ok())
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect()
}

fn names(patterns: &HostPatterns, name: &str) -> bool {
    let HostPatterns::Patterns(patterns) = patterns else {
        // A hashed name: HMAC-SHA1 is not worth a dependency; `ssh-keygen -H` users give --host-key instead.
        return false;
    };
    let (mut matched, mut negated) = (false, false);
    for pattern in patterns {
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
        assert_eq!(keys(&text, "host.example.com", 22), [KEY]);
        assert_eq!(keys(&text, "192.0.2.1", 22), [KEY]);
        assert_eq!(keys(&text, "host.example.com", 2222), [KEY]);
        assert_eq!(keys(&text, "a.lab", 22).len(), 2);
        assert_eq!(keys(&text, "bad.lab", 22).len(), 1);
        assert!(keys(&text, "old.example.com", 22).is_empty());
        assert!(keys(&text, "other", 22).is_empty());
    }
}
