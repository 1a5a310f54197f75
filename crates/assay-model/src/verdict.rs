//! The verdict on a target or a run, and why there is none. It owns how verdicts combine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What testing said. `Undecided` is its own word: it is never printed or counted as one of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every planned check was answered, at least one, and none failed.
    Passed,
    /// A check was answered with something else than expected.
    Failed,
    /// No answer that could be trusted.
    Undecided,
}

impl Verdict {
    /// The verdict over several: failed if any failed, else undecided if any is or if there are none, else passed.
    pub fn over(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let mut all = None;
        for verdict in verdicts {
            all = Some(match (all, verdict) {
                (_, Verdict::Failed) | (Some(Verdict::Failed), _) => Verdict::Failed,
                (_, Verdict::Undecided) | (Some(Verdict::Undecided), _) => Verdict::Undecided,
                _ => Verdict::Passed,
            });
        }
        all.unwrap_or(Verdict::Undecided)
    }

    /// The word as it stands in tags, JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a target could not be judged. Each says what a person would do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndecidedKind {
    /// The instance ran but its SSH port never let us in.
    Unreachable,
    /// EC2 throttled us past the deadline.
    Throttled,
    /// EC2 had no capacity, or a quota was reached.
    NoCapacity,
    /// Ctrl-C, a cancelled CI job, Packer's death.
    Cancelled,
    /// Credentials missing, expired, of another account, or without a permission.
    Credentials,
    /// The instance ended or stopped answering in mid-test.
    Lost,
    /// The host key was not the one it had to be.
    HostKey,
    /// The configuration could not be used (placeholders that never became values, an unreadable suite).
    Configuration,
    /// The prober ended or broke its protocol.
    Prober,
    /// EC2 refused or failed in another way.
    Cloud,
    /// A deadline passed.
    Timeout,
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Failed, Passed, Undecided};

    #[test]
    fn nothing_tested_is_not_passed() {
        assert_eq!(Verdict::over([]), Undecided);
        assert_eq!(Verdict::over([Passed, Passed]), Passed);
        assert_eq!(Verdict::over([Passed, Undecided]), Undecided);
        assert_eq!(Verdict::over([Failed, Undecided, Passed]), Failed);
        assert_eq!(Verdict::over([Undecided, Failed]), Failed);
    }
}
