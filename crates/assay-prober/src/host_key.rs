//! Host keys as lines of text, and the block of them that cloud-init prints to the console. It owns comparison of
//! keys: algorithm and key bytes, never names or comments.

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use sha2::{Digest, Sha256};

/// Consoles are looked at from their end, this far.
const CONSOLE_KEPT: usize = 64 << 10;
/// More keys than this are not taken from one block.
const MAX_KEYS: usize = 16;
/// The longest key that is taken, in bytes (RSA with 16384 bits has 2 KiB).
const MAX_BLOB: usize = 8 << 10;

/// A public host key. `Display` is its line: `ssh-ed25519 AAAA…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, ….
    pub algorithm: String,
    blob: Vec<u8>,
}

impl HostKey {
    /// From the wire's form (RFC 4253, 6.6): it begins with the algorithm's name as a counted text.
    pub(crate) fn from_blob(blob: &[u8]) -> Option<Self> {
        let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?) as usize;
        let name = blob.get(4..4usize.checked_add(length)?)?;
        let good = !name.is_empty()
            && name.len() <= 64
            && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(b))
            && blob.len() <= MAX_BLOB;
        let algorithm = std::str::from_utf8(name).ok().filter(|_| good)?.to_owned();
        Some(Self { algorithm, blob: blob.to_vec() })
    }

    /// The algorithm and the key's SHA-256, as `ssh-keygen -l` writes it.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{} SHA256:{}", self.algorithm, STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }

    /// From a line `algorithm base64 [comment]`, optionally with a host's name before it (known_hosts). `None` when it
    /// is none, or when the two parts name different algorithms.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().take(4).collect();
        words.windows(2).take(2).find_map(|pair| {
            let key = Self::from_blob(&STANDARD.decode(pair[1]).ok()?)?;
            (key.algorithm == pair[0]).then_some(key)
        })
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, STANDARD.encode(&self.blob))
    }
}

/// The keys in the last complete block between `-----BEGIN SSH HOST KEY KEYS-----` and `-----END SSH HOST KEY
/// KEYS-----` (cloud-init's write-ssh-key-fingerprints). A console may be cut off at either end, and may have other
/// text before a line.
pub(super) fn in_console(console: &[u8]) -> Vec<HostKey> {
    let console = &console[console.len().saturating_sub(CONSOLE_KEPT)..];
    let text = String::from_utf8_lossy(console);
    let mut open: Option<Vec<HostKey>> = None;
    let mut last = Vec::new();
    for line in text.split(['\n', '\r']) {
        if line.contains("-----BEGIN SSH HOST KEY KEYS-----") {
            open = Some(Vec::new());
        } else if line.contains("-----END SSH HOST KEY KEYS-----") {
            last = open.take().filter(|keys| !keys.is_empty()).unwrap_or(last);
        } else if let Some(keys) = &mut open {
            keys.extend(key_in(line).filter(|_| keys.len() < MAX_KEYS));
        }
    }
    last
}

/// The key in a line that may begin with a time stamp or a unit's name.
fn key_in(line: &str) -> Option<HostKey> {
    let at = ["ssh-", "ecdsa-", "sk-"].iter().filter_map(|start| line.find(start)).min()?;
    HostKey::from_line(&line[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn lines() {
        let key = HostKey::from_line(&format!("{ED} root@x")).expect("a key");
        assert_eq!(key.to_string(), ED);
        assert_eq!(HostKey::from_line(&format!("[10.0.0.1]:22 {ED}")), Some(key));
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
            "ssh-ed25519 !!!!",
            "x y z",
        ] {
            assert_eq!(HostKey::from_line(bad), None, "{bad}");
        }
        assert_eq!(HostKey::from_blob(&[0xff; 40]), None);
        assert_eq!(HostKey::from_blob(&[0, 0, 0]), None);
        assert_eq!(HostKey::from_blob(&[0, 0, 0, 3, b'a', 0x1b, b'c']), None);
    }

    #[test]
    fn the_last_complete_block_of_a_console() {
        let block =
            |key: &str| format!("-----BEGIN SSH HOST KEY KEYS-----\r\n{key}\r\n-----END SSH HOST KEY KEYS-----\r\n");
        let other = ED.replace("OMqqnk", "OMqqnj");
        let lines = |text: String| in_console(text.as_bytes()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(lines(format!("boot\n{}{}", block(&other), block(ED))), [ED]);
        assert_eq!(
            lines(format!("{}-----BEGIN SSH HOST KEY KEYS-----\n{other}\n", block(ED))),
            [ED],
            "the last one is cut off"
        );
        assert_eq!(lines(format!("[  12.3] cloud-init[7]: {}", block(&format!("<14>ci-info: {ED} root@ip")))), [ED]);
        assert!(lines(ED.to_owned()).is_empty(), "outside of a block");
        assert!(lines(block("ssh-ed25519 garbage")).is_empty());
        let mut big = vec![0xff; 3 << 20];
        big.extend(block(ED).bytes());
        assert_eq!(in_console(&big).len(), 1);
    }
}
