//! Checked names: run, AMI, region, account, image, digest. It owns their grammar; a value of one of these types is well formed
//! wherever it came from. It refuses to look anything up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

/// A text that does not fit the grammar of the id it was read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {what}; expected {expected}")]
pub struct IdError {
    /// What was being read, with its article: "an AMI id".
    pub what: &'static str,
    /// The text as it was given.
    pub value: String,
    /// What would have been right, with an example.
    pub expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text form, as AWS and git see it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { what: $what, value: text.to_owned(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn hex_after(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        (8..=17).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    })
}

text_id!(
    /// An AMI id: `ami-` and 8 or 17 lower-case hexadecimal digits (EC2 resource ids).
    AmiId, "an AMI id", "ami- and 8 to 17 hexadecimal digits, like ami-0abcdef1234567890", |t| hex_after(t, "ami-")
);
text_id!(
    /// An AWS region name such as `us-east-1` or `us-gov-west-1`.
    Region, "an AWS region", "a region name like us-east-1", |t| {
        let parts: Vec<&str> = t.split('-').collect();
        parts.len() >= 3
            && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
            && parts.last().is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()))
    }
);
text_id!(
    /// An AWS account id: twelve digits.
    AccountId, "an AWS account id", "twelve digits", |t| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit())
);
text_id!(
    /// The name of a line of AMIs, as used in tags, file names and git tags.
    ImageName, "an image name",
    "1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, like base (no \"..\", nor '.', .lock or .hcl at the end; evidence and allowed_signers are taken)",
    |t| {
        (1..=63).contains(&t.len())
            && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            && t.as_bytes()[0].is_ascii_alphanumeric()
            // Rules of git-check-ref-format(1): the name is part of tags.
            && !t.contains("..") && !t.ends_with('.') && !t.ends_with(".lock")
            // It is a folder in images/, beside the files and folders that assay keeps there.
            && !t.ends_with(".hcl") && !matches!(t, "evidence" | "allowed_signers")
    }
);
text_id!(
    /// A SHA-256 digest in the form `sha256:` and 64 lower-case hexadecimal digits.
    Digest, "a digest", "sha256: and 64 hexadecimal digits",
    |t| t.strip_prefix("sha256:").is_some_and(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()))
);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in Sha256::digest(bytes) {
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text)
    }
}

/// One build and what follows from it. A ULID; all builds of one Packer run share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Ulid);

impl RunId {
    /// A new id, from the clock and the system's random source.
    pub fn generate() -> Self {
        Self(Ulid::generate())
    }

    /// The id that belongs to Packer's `PackerRunUUID` (a UUID in its usual text form): the same 128 bits in the ULID's alphabet,
    /// so that every build of that run, in whatever process, arrives at the same id. Fails when `uuid` is no UUID.
    pub fn from_packer_run_uuid(uuid: &str) -> Result<Self, IdError> {
        let wrong =
            || IdError { what: "a Packer run UUID", value: uuid.to_owned(), expected: "8-4-4-4-12 hexadecimal digits" };
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        if lengths != [8, 4, 4, 4, 12] || !uuid.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let bits = u128::from_str_radix(&uuid.replace('-', ""), 16).map_err(|_| wrong())?;
        Ok(Self(Ulid(bits)))
    }

    /// The time in the id, milliseconds since the epoch, where it holds one: between 2020 and `now_ms` plus a day. Ids made from Packer's run
    /// UUIDs hold none, since these are random (hashicorp/go-uuid).
    pub fn time_ms(&self, now_ms: u64) -> Option<u64> {
        const YEAR_2020: u64 = 1_577_836_800_000;
        const DAY: u64 = 86_400_000;
        Some(self.0.timestamp_ms()).filter(|ms| (YEAR_2020..=now_ms.saturating_add(DAY)).contains(ms))
    }

    /// The prefix of every name that assay gives to what it creates for this run: `assay-<run>`, lower case.
    pub fn resource_prefix(&self) -> String {
        format!("assay-{}", self.to_string().to_ascii_lowercase())
    }
}

impl FromStr for RunId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Ulid::from_string(&text.to_ascii_uppercase()).map(Self).map_err(|_| IdError {
            what: "a run id",
            value: text.to_owned(),
            expected: "a ULID of 26 characters",
        })
    }
}

impl TryFrom<String> for RunId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.to_string()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_of_each_id() {
        assert!("ami-0abcdef1234567890".parse::<AmiId>().is_ok());
        assert!("ami-xyz".parse::<AmiId>().is_err());
        assert!("us-gov-west-1".parse::<Region>().is_ok());
        assert!("us-east".parse::<Region>().is_err());
        assert!("US-EAST-1".parse::<Region>().is_err());
        assert!("base".parse::<ImageName>().is_ok());
        assert!("evidences".parse::<ImageName>().is_ok() && "base.lock.hcl2".parse::<ImageName>().is_ok());
        for bad in ["", "../x", "Base", "a..b", "x.lock", "-a", "a.", "evidence", "allowed_signers", "base.lock.hcl"] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad:?}");
        }
        assert_eq!(Digest::of(b"").as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn a_packer_run_has_one_id_in_every_process() {
        let a = RunId::from_packer_run_uuid("6740d7f2-3f1c-8f2e-1a55-0c9a4a2f9c11").expect("a UUID");
        let b = RunId::from_packer_run_uuid("6740d7f2-3f1c-8f2e-1a55-0c9a4a2f9c11").expect("a UUID");
        assert_eq!(a, b);
        assert_eq!(a.to_string().parse::<RunId>().expect("round trip"), a);
        assert!(RunId::from_packer_run_uuid("6740d7f23f1c").is_err());
        assert!(RunId::from_packer_run_uuid("+740d7f2-3f1c-8f2e-1a55-0c9a4a2f9c11").is_err());
    }
}
