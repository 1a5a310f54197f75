//! One AMI: where it is and what EC2 says of it. It owns the `region:ami` notation of Packer's artifact ids.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, AmiId, IdError, Region};

/// One AMI id in one region, written `us-east-1:ami-0abc…` (the notation of packer-plugin-amazon's artifact id).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AmiRef {
    /// The region that holds the AMI.
    pub region: Region,
    /// The AMI's id in that region.
    pub id: AmiId,
}

impl FromStr for AmiRef {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (region, id) = text.split_once(':').ok_or_else(|| IdError {
            what: "an AMI reference",
            value: text.to_owned(),
            expected: "REGION:AMI, like us-east-1:ami-0abcdef1234567890",
        })?;
        Ok(Self { region: region.trim().parse()?, id: id.trim().parse()? })
    }
}

impl TryFrom<String> for AmiRef {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<AmiRef> for String {
    fn from(ami: AmiRef) -> String {
        ami.to_string()
    }
}

impl fmt::Display for AmiRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.region, self.id)
    }
}

/// The processor architecture of an AMI, in EC2's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// `x86_64` (Packer's amd64).
    #[serde(rename = "x86_64")]
    X86_64,
    /// `arm64`.
    Arm64,
}

impl Architecture {
    /// EC2's word: `x86_64` or `arm64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// The instance type used for a test where the user names none: the smallest current burstable type with 2 GiB.
    pub fn default_instance_type(self) -> &'static str {
        match self {
            Self::X86_64 => "t3.small",
            Self::Arm64 => "t4g.small",
        }
    }
}

impl FromStr for Architecture {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "x86_64" | "x86_64_mac" => Ok(Self::X86_64),
            "arm64" | "arm64_mac" => Ok(Self::Arm64),
            _ => Err(IdError { what: "an architecture", value: text.to_owned(), expected: "x86_64 or arm64" }),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What DescribeImages said of one AMI: the facts that later sanity checks compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmiRecord {
    /// Which AMI.
    pub ami: AmiRef,
    /// `x86_64` or `arm64`.
    pub architecture: Architecture,
    /// The AMI's name.
    pub name: String,
    /// The owning account.
    pub owner: AccountId,
    /// CreationDate, as EC2 gives it (RFC 3339).
    pub created_at: String,
    /// The snapshots behind its block device mappings, in mapping order.
    pub snapshots: Vec<String>,
}
