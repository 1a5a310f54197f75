//! What the law says against a build, in words: the rest of a sentence that begins with the run.

use std::fmt;

use super::GoldObjection;

impl fmt::Display for GoldObjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("is neither in the lock nor a candidate"),
            Self::State(state) => write!(f, "is {state}"),
            Self::FromTheFuture { at } => write!(f, "says that it was made or tested at {at}, which is yet to come"),
            Self::NotNewer { than } => {
                write!(f, "is not newer than {than}, which is gold or was; gold moves to an older build only by name")
            }
            Self::WentBack { from, at } => write!(
                f,
                "was begun before a rollback took gold back from {from} at {at}, and was made from the same inputs"
            ),
            Self::SetAside { with, state } => {
                write!(f, "was made from the same inputs as the newer {with}, which was taken out of use ({state})")
            }
        }
    }
}

impl GoldObjection {
    /// Whether a person may name the run all the same.
    pub fn may_be_overruled(&self) -> bool {
        matches!(self, Self::NotNewer { .. } | Self::WentBack { .. } | Self::SetAside { .. })
    }
}
