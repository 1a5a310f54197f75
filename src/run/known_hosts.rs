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

/// `*` and `?` as in ssh_config(5), PATTERNS.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => glob(&pattern[1..], text) || (!text.is_empty() && glob(pattern, &text[1..])),
        (Some(b'?'), Some(_)) => glob(&pattern[1..], &text[1..]),
        (Some(p), Some(t)) if p.eq_ignore_ascii_case(t) => glob(&pattern[1..], &text[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

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
