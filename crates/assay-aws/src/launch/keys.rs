//! Throw-away ed25519 keys: one per run to log in with, one per instance as its host key. It owns their making and their text forms;
//! private halves exist in memory only, and are wiped.

use secrecy::SecretString;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

/// A key pair in OpenSSH's text forms.
#[derive(Debug, Clone)]
pub struct KeyPairText {
    /// The private key file's text.
    pub private_key: SecretString,
    /// `ssh-ed25519 AAAA… comment`.
    pub public_key: String,
}

impl KeyPairText {
    /// A new key with `comment`, from the system's random source.
    pub fn generate(comment: &str) -> Result<Self, ssh_key::Error> {
        let mut key = PrivateKey::random(&mut rand_core::OsRng, Algorithm::Ed25519)?;
        key.set_comment(comment);
        let text = key.to_openssh(LineEnding::LF)?;
        Ok(Self { private_key: SecretString::from(text.as_str()), public_key: key.public_key().to_openssh()? })
    }

    /// The public key without its comment: what known_hosts lines and pins hold.
    pub fn public_line(&self) -> String {
        self.public_key.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_is_new_each_time_and_reads_back() {
        let (a, b) = (KeyPairText::generate("x").expect("key"), KeyPairText::generate("x").expect("key"));
        assert_ne!(a.public_key, b.public_key);
        assert!(a.public_key.starts_with("ssh-ed25519 ") && a.public_key.ends_with(" x"));
        let read = PrivateKey::from_openssh(a.private_key.expose_secret()).expect("reads back");
        assert_eq!(read.public_key().to_openssh().expect("text"), a.public_key);
        assert!(!format!("{a:?}").contains("PRIVATE KEY"));
    }
}
