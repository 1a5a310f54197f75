//! SSH keys: who may log in, and host keys that are not this instance's own. Of a key only its type, comment and
//! fingerprint are told.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use sha2::{Digest, Sha256};

use super::{HygieneFacts, HygieneFinding};

/// A public key as it stands in a line of authorized_keys (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
struct AuthorizedKey {
    kind: String,
    base64: String,
    blob: Vec<u8>,
    comment: String,
    /// Whether the line says `cert-authority`.
    authority: bool,
}

impl AuthorizedKey {
    fn read(line: &str) -> Option<Self> {
        let words = words(line);
        let at = words.windows(2).position(|pair| is_kind(&pair[0]) && STANDARD.decode(&pair[1]).is_ok())?;
        let blob = STANDARD.decode(&words[at + 1]).ok()?;
        let authority = words[..at].iter().any(|options| options.split(',').any(|o| o == "cert-authority"));
        let comment = words[at + 2..].join(" ");
        Some(Self { kind: words[at].clone(), base64: words[at + 1].clone(), blob, comment, authority })
    }

    /// As `ssh-keygen -l` writes it.
    fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }

    fn is(&self, public: &str) -> bool {
        public.split_once(' ') == Some((self.kind.as_str(), self.base64.as_str()))
    }
}

fn is_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|prefix| word.starts_with(prefix))
}

/// Words between blanks; blanks in double quotes do not count.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for c in line.chars() {
        match c {
            ' ' | '\t' if !quoted => words.push(String::new()),
            _ => {
                quoted ^= c == '"' && !escaped;
                words.last_mut().expect("there is always one word").push(c);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `type base64` of a private key in OpenSSH's form; encrypted ones hold it in the clear.
pub(crate) fn public_half(private_key: &str) -> Option<String> {
    let key = ssh_key::PrivateKey::from_openssh(private_key.trim()).ok()?;
    let line = key.public_key().to_openssh().ok()?;
    let (kind, rest) = line.split_once(' ')?;
    Some(format!("{kind} {}", rest.split(' ').next().unwrap_or(rest)))
}

/// `keys`: user, line, path, text.
pub(super) fn authorized(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let mut found = Vec::new();
    for [user, number, path, text] in facts.answer.section("keys").facts() {
        let place = format!("{user}: {path} line {number}");
        let Some(key) = AuthorizedKey::read(text) else {
            found.extend(is_entry(text).then(|| HygieneFinding::new(&[user, path], format!("{place} is no key"))));
            continue;
        };
        if facts.launch_key.is_some_and(|launch| key.is(launch)) {
            continue;
        }
        let fingerprint = key.fingerprint();
        let note = match key.comment.as_str() {
            _ if key.authority => ", a certificate authority: whoever it signs for may log in",
            comment if is_packers(comment) => ", left behind by Packer (ssh_clear_authorized_keys)",
            _ => "",
        };
        let named = if key.comment.is_empty() { "no comment".to_owned() } else { format!("{:?}", key.comment) };
        let text = format!("{place}: {} {fingerprint} ({named}){note}", key.kind);
        found.push(HygieneFinding::new(&[user, path, &fingerprint, &key.comment], text));
    }
    found
}

/// Whether a line says anything: blank ones and comments do not.
fn is_entry(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

/// Packer's temporary keys are named `packer_` and a UUID.
fn is_packers(comment: &str) -> bool {
    comment
        .strip_prefix("packer_")
        .is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
}

/// `hostkeys file`: time, path, public line; `hostkeys log`: when cloud-init removed which.
pub(super) fn host(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let section = facts.answer.section("hostkeys");
    let mut found = Vec::new();
    for [time, path, public] in section.of_kind("file") {
        if facts.answer.is_older(time) {
            let key = AuthorizedKey::read(public);
            let named = key.map(|k| format!(" ({} {})", k.kind, k.fingerprint())).unwrap_or_default();
            let text = format!("{path}{named} is older than the first boot: every instance has it");
            found.push(HygieneFinding::new(&[path], text));
        }
    }
    for [time, path] in section.of_kind("log") {
        if !removed_earlier(time, facts.answer.first_boot) {
            let text = format!("{path} was in the image; cloud-init removed it at the first boot");
            found.push(HygieneFinding::new(&[path], text));
        }
    }
    found
}

/// Whether a time of cloud-init's log (`2026-11-23 01:10:24,123`, UTC) is of an earlier machine's boot.
fn removed_earlier(time: &str, first_boot: i64) -> bool {
    let time = time.split(',').next().unwrap_or(time);
    jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", time)
        .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC))
        .is_ok_and(|at| at.timestamp().as_second() < first_boot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_authorized_keys() {
        let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIOgUU+3ZS6lkaZeLuuEw0gdhQnjh5ztmvXBj3xbior/D";
        let line = format!("no-pty,command=\"echo \\\"ssh-rsa AAAA\\\" x\" ssh-ed25519 {blob} a comment");
        let key = AuthorizedKey::read(&line).expect("a key");
        assert_eq!((key.kind.as_str(), key.comment.as_str(), key.authority), ("ssh-ed25519", "a comment", false));
        assert!(key.is(&format!("ssh-ed25519 {blob}")) && !key.is("ssh-ed25519 AAAA"));
        assert_eq!(key.fingerprint().len(), "SHA256:".len() + 43);
        assert!(AuthorizedKey::read(&format!("cert-authority ssh-ed25519 {blob}")).expect("a key").authority);
        for bad in ["", "ssh-rsa", "ssh-rsa !!!", "hello world", "\"ssh-rsa AAAA"] {
            assert!(AuthorizedKey::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn packers_names() {
        assert!(is_packers("packer_65a1b2c3-d4e5-f607-1829-3a4b5c6d7e8f"));
        assert!(!is_packers("packer_") && !is_packers("packer_of_parcels") && !is_packers("me@packer_65a1b2c3"));
    }

    #[test]
    fn the_log_of_an_earlier_machine() {
        assert!(removed_earlier("2026-11-23 01:10:24,123", 1_795_396_225));
        assert!(!removed_earlier("2026-11-23 01:10:24,123", 1_795_396_224));
        assert!(!removed_earlier("nonsense", 1_795_396_224));
    }
}
