//! Signatures over evidence: who says that this file is what a validation found. It owns the form (SSHSIG, OpenSSH's PROTOCOL.sshsig, so that
//! `ssh-keygen -Y verify` can check it anywhere), the namespace, and the reading of ssh-keygen(1)'s ALLOWED SIGNERS; it refuses to know a cloud
//! (a signature by KMS is asked of the caller), to read git, and to decide what a good signature is worth.

mod allowed;
mod kms;
mod signer;
mod verify;

#[cfg(test)]
mod tests;

pub use allowed::{AllowedSigners, AllowedSignersError};
pub use signer::{SignError, SignWith, SigningKey, SigningMethod, sign};
pub use verify::{SignatureError, SignedBy, verify};

/// What a signature must have been made for: one over something else is never taken for one over evidence.
pub const NAMESPACE: &str = "assay-evidence";

/// The longest signature text that is read, in bytes; one of ours has about 300.
pub const SIGNATURE_AT_MOST: usize = 16 << 10;

/// The longest file of allowed signers that is read, in bytes.
pub const ALLOWED_SIGNERS_AT_MOST: usize = 1 << 20;
