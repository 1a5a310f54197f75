//! Making signatures: with a private key file, or with a key that never leaves KMS. It owns what a key file must be like to be used unattended, and
//! that no key shows in a log; it refuses passphrases, and keys that others may read.

use std::{
    fmt,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use secrecy::{ExposeSecret, SecretString};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PrivateKey, SshSig, public::KeyData};

use super::{NAMESPACE, kms};

/// The longest key file that is read, in bytes.
const KEY_FILE_AT_MOST: u64 = 64 << 10;

/// With what to sign, as it is written on a command line: `FILE` or `kms:KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignWith {
    /// A private key file.
    File(PathBuf),
    /// A KMS key: id, ARN, `alias/NAME` or an alias' ARN.
    Kms(String),
}

impl FromStr for SignWith {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("kms:") {
            Some("") => Err("names no key after \"kms:\"; expected a key id, an ARN or alias/NAME".to_owned()),
            Some(key) => Ok(Self::Kms(key.to_owned())),
            None if text.is_empty() => Err("is empty; expected a key file or kms:KEY".to_owned()),
            None => Ok(Self::File(text.into())),
        }
    }
}

/// Why a signature could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key file cannot be used.
    #[error("the signing key {path} {reason}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// A sentence about it.
        reason: String,
    },
    /// The key in KMS is of no use.
    #[error("the KMS key {key} {reason}")]
    KmsKey {
        /// The key as it was named.
        key: String,
        /// A sentence about it.
        reason: String,
    },
    /// KMS did not sign.
    #[error("KMS did not sign with {key}: {reason}")]
    Kms {
        /// The key as it was named.
        key: String,
        /// KMS's words.
        reason: String,
    },
    /// The library failed.
    #[error("the signature could not be made: {0}")]
    Making(#[from] ssh_key::Error),
}

/// A private key that can sign unattended. Shows nothing but its fingerprint.
#[derive(Clone)]
pub struct SigningKey(Box<PrivateKey>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.0.fingerprint(HashAlg::Sha256))
    }
}

impl SigningKey {
    /// Reads a private key in OpenSSH's format, ed25519 or ecdsa-sha2-nistp256, without a passphrase, in a file that only its owner may read.
    pub fn read(path: &Path) -> Result<Self, SignError> {
        let wrong = |reason: String| SignError::KeyFile { path: path.to_owned(), reason };
        let io = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
        let file = File::open(path).map_err(io)?;
        let facts = file.metadata().map_err(io)?;
        if !facts.is_file() {
            return Err(wrong("is no file".to_owned()));
        }
        if facts.mode() & 0o077 != 0 {
            return Err(wrong(format!(
                "may be used by others (mode {:04o}); expected 0600, and another key if anybody could have read this one",
                facts.mode() & 0o7777
            )));
        }
        let mut text = String::new();
        let read = file.take(KEY_FILE_AT_MOST + 1).read_to_string(&mut text);
        let text = SecretString::from(text);
        let length = read.map_err(io)?;
        if u64::try_from(length).map_or(true, |length| length > KEY_FILE_AT_MOST) {
            return Err(wrong(format!("is longer than {KEY_FILE_AT_MOST} bytes")));
        }
        Self::parse(&text).map_err(wrong)
    }

    /// A key from its text. The error is a sentence about the key.
    fn parse(text: &SecretString) -> Result<Self, String> {
        let expected = "expected one made by ssh-keygen -t ed25519 -N ''";
        let text = text.expose_secret();
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
            return Err(format!("is a public key; {expected}, the file without .pub"));
        }
        // A CI variable ends in a line end of its own, and `echo` adds another; ssh-keygen takes the empty line.
        let key = PrivateKey::from_openssh(text.trim_end())
            .map_err(|_| format!("is no private key in OpenSSH's format; {expected}"))?;
        if key.is_encrypted() {
            return Err(format!("has a passphrase, and nobody is asked for one; {expected}"));
        }
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => Ok(Self(Box::new(key))),
            other => Err(format!("is of type {other}; {expected}")),
        }
    }
}

/// What signs.
#[derive(Debug, Clone)]
pub enum SigningMethod {
    /// A private key of ours.
    Key(SigningKey),
    /// A key in KMS, whose public half is known.
    Kms {
        /// The key as KMS is to be asked for it.
        key: String,
        /// Its public half.
        public: KeyData,
    },
}

impl SigningMethod {
    /// A KMS key, from what `kms:GetPublicKey` said of it: `info` is the DER of a SubjectPublicKeyInfo. Fails where it is not an ECC_NIST_P256 key.
    pub fn kms(key: &str, info: &[u8]) -> Result<Self, SignError> {
        let public = kms::public_key(info).map_err(|reason| SignError::KmsKey { key: key.to_owned(), reason })?;
        Ok(Self::Kms { key: key.to_owned(), public })
    }

    /// The public half, as a line for a file of allowed signers: `ssh-ed25519 AAAA…`.
    pub fn public_line(&self) -> Result<String, SignError> {
        let public = match self {
            Self::Key(key) => key.0.public_key().key_data().clone(),
            Self::Kms { public, .. } => public.clone(),
        };
        Ok(ssh_key::PublicKey::new(public, "").to_openssh()?)
    }
}

/// Signs evidence, all bytes of the file. Returns the armored text (`-----BEGIN SSH SIGNATURE-----`), as `ssh-keygen -Y sign` writes it. `ask_kms` is
/// given the key and the message and returns the DER of `kms:Sign` with `ECDSA_SHA_256` and message type `RAW`; it is called only for [`SigningMethod::Kms`].
pub async fn sign<F>(evidence: &[u8], signer: &SigningMethod, ask_kms: F) -> Result<String, SignError>
where
    F: AsyncFnOnce(&str, &[u8]) -> Result<Vec<u8>, String>,
{
    // What ssh-keygen uses where it is not told otherwise.
    let hash = HashAlg::Sha512;
    let made = match signer {
        SigningMethod::Key(key) => key.0.sign(NAMESPACE, hash, evidence)?,
        SigningMethod::Kms { key, public } => {
            let message = SshSig::signed_data(NAMESPACE, hash, evidence)?;
            let failed = |reason| SignError::Kms { key: key.clone(), reason };
            let der = ask_kms(key, &message).await.map_err(failed)?;
            let signature = kms::signature(&der).map_err(|reason| failed(format!("its answer {reason}")))?;
            let made = SshSig::new(public.clone(), NAMESPACE, hash, signature)?;
            // An alias may have been pointed at another key between the two calls.
            ssh_key::PublicKey::new(public.clone(), "")
                .verify(NAMESPACE, evidence, &made)
                .map_err(|_| failed("its signature is not that of the public key it showed before".to_owned()))?;
            made
        }
    };
    Ok(made.to_pem(LineEnding::LF)?)
}
