//! Checking signatures. It owns the order of the questions, so that the first thing that is wrong is the one that is said: is it a signature, for
//! this kind of file, by a key that is trusted at this time, over these bytes.

use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, PublicKey, SshSig};

use super::{AllowedSigners, CANDIDATE_NAMESPACE, NAMESPACE, SIGNATURE_AT_MOST};
use assay_model::escape::{bounded, escape_line};

/// Whose signature it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// The principals of the line that trusts the key, as they stand there.
    pub principal: String,
    /// `SHA256:…`, as ssh-keygen shows it.
    pub fingerprint: String,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// More than a signature can be.
    #[error("the signature is longer than {SIGNATURE_AT_MOST} bytes")]
    TooLong,
    /// The text is none.
    #[error("the signature cannot be read ({0}); expected what ssh-keygen -Y sign writes")]
    Malformed(String),
    /// For something else.
    #[error("the signature was made for {found:?}, not for {wanted:?}")]
    Namespace {
        /// What it was made for.
        found: String,
        /// What it must have been made for.
        wanted: &'static str,
    },
    /// A kind of key that is not accepted.
    #[error("the signature is by a key of type {0}; expected ssh-ed25519 or ecdsa-sha2-nistp256")]
    Algorithm(String),
    /// Nobody says that this key may sign.
    #[error("the key {fingerprint} that signed is not among the allowed signers of {file}")]
    UnknownKey {
        /// The key.
        fingerprint: String,
        /// The file of allowed signers.
        file: String,
    },
    /// The line says that the key is for something else.
    #[error(
        "the key {fingerprint} that signed is allowed for {namespaces:?} only, not for {wanted:?} ({file} line {line})"
    )]
    OtherUse {
        /// The key.
        fingerprint: String,
        /// What it must be for.
        wanted: &'static str,
        /// What it is for.
        namespaces: String,
        /// The file of allowed signers.
        file: String,
        /// Its line.
        line: usize,
    },
    /// Too early.
    #[error("the key {fingerprint} that signed is valid only after {after} ({file} line {line})")]
    NotYetValid {
        /// The key.
        fingerprint: String,
        /// From when.
        after: String,
        /// The file of allowed signers.
        file: String,
        /// Its line.
        line: usize,
    },
    /// Too late.
    #[error("the key {fingerprint} that signed was valid only before {before} ({file} line {line})")]
    Expired {
        /// The key.
        fingerprint: String,
        /// Until when.
        before: String,
        /// The file of allowed signers.
        file: String,
        /// Its line.
        line: usize,
    },
    /// Other bytes were signed.
    #[error("the signature by {fingerprint} is not one over this file: one of the two was changed")]
    Altered {
        /// The key.
        fingerprint: String,
    },
}

/// Checks `signature` (armored text) over all bytes of `evidence` against the keys that may sign, at the time `now`. A signature itself holds no time.
pub fn verify(
    evidence: &[u8],
    signature: &str,
    allowed: &AllowedSigners,
    now: jiff::Timestamp,
) -> Result<SignedBy, SignatureError> {
    verify_for(NAMESPACE, evidence, signature, allowed, now)
}

/// The same for a candidate file.
pub fn verify_candidate(
    text: &[u8],
    signature: &str,
    allowed: &AllowedSigners,
    now: jiff::Timestamp,
) -> Result<SignedBy, SignatureError> {
    verify_for(CANDIDATE_NAMESPACE, text, signature, allowed, now)
}

fn verify_for(
    wanted: &'static str,
    signed: &[u8],
    signature: &str,
    allowed: &AllowedSigners,
    now: jiff::Timestamp,
) -> Result<SignedBy, SignatureError> {
    if signature.len() > SIGNATURE_AT_MOST {
        return Err(SignatureError::TooLong);
    }
    let malformed = |reason: String| SignatureError::Malformed(bounded(&escape_line(&reason), 200));
    let made = SshSig::from_pem(signature.trim()).map_err(|error| malformed(error.to_string()))?;
    // The reader takes some lengths as they come; two texts for one signature would have two digests.
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    if made.to_pem(LineEnding::LF).map_or(true, |text| plain(&text) != plain(signature)) {
        return Err(malformed("it is not written the way its own fields demand".to_owned()));
    }
    if made.version() != SshSig::VERSION {
        return Err(malformed(format!("version {}", made.version())));
    }
    if !made.reserved().is_empty() {
        return Err(malformed("its reserved field is not empty".to_owned()));
    }
    if made.namespace() != wanted {
        return Err(SignatureError::Namespace { found: bounded(&escape_line(made.namespace()), 200), wanted });
    }
    let key = PublicKey::new(made.public_key().clone(), "");
    if !matches!(key.algorithm(), Algorithm::Ed25519 | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }) {
        return Err(SignatureError::Algorithm(escape_line(key.algorithm().as_str())));
    }
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let principal = allowed.trusted(key.key_data(), &fingerprint, wanted, now)?;
    key.verify(wanted, signed, &made).map_err(|_| SignatureError::Altered { fingerprint: fingerprint.clone() })?;
    Ok(SignedBy { principal, fingerprint })
}
