//! IAM policies as data: what each of assay's four roles needs and no more, made from what the configuration names. It owns the statements; it refuses I/O,
//! the network and any decision about who takes a role but for the trust policy that is asked for. Whether the policies are right is shown by evaluating
//! them over every recorded API call (`tests/integration/permissions.rs`).

mod builder;
mod document;
mod grounds;
mod instances;
mod promoter;
mod sweeper;
pub mod terraform;
mod tester;
pub mod trust;

use std::{fmt, str::FromStr};

pub use document::{INLINE_POLICIES, MANAGED_POLICY, Policy, Statement, StatementEffect};
pub use grounds::{NO_GROUP, NO_INSTANCE, NO_KEY_PAIR, PolicyInputs, partition_of};

/// Who does something in the account; each has credentials of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IamRole {
    /// Packer and the post-processor.
    Builder,
    /// `assay validate`.
    Tester,
    /// `assay promote` and its like.
    Promoter,
    /// `assay sweep` and `assay prune`.
    Sweeper,
}

impl IamRole {
    /// Every role.
    pub const ALL: [IamRole; 4] = [Self::Builder, Self::Tester, Self::Promoter, Self::Sweeper];

    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Tester => "tester",
            Self::Promoter => "promoter",
            Self::Sweeper => "sweeper",
        }
    }

    /// Whether it boots instances, and so must be told where.
    pub fn launches(self) -> bool {
        matches!(self, Self::Builder | Self::Tester)
    }
}

impl fmt::Display for IamRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IamRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| "expected builder, tester, promoter or sweeper".to_owned())
    }
}

/// The policy of a role.
pub fn policy(role: IamRole, grounds: &PolicyInputs) -> Policy {
    match role {
        IamRole::Builder => builder::policy(grounds),
        IamRole::Tester => tester::policy(grounds),
        IamRole::Promoter => promoter::policy(grounds),
        IamRole::Sweeper => sweeper::policy(grounds),
    }
}
