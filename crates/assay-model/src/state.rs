//! The states of an AMI and the moves between them. It owns which move is legal; it refuses to make one (see `registry`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ids::IdError, verdict::Verdict};

/// The value of the tag `assay:state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageState {
    /// Packer has not finished: set by the template's own tags.
    Building,
    /// No verdict yet.
    Untested,
    /// Smoke suite passed.
    Candidate,
    /// Full suite passed, with evidence.
    Vetted,
    /// The one to use: mirrors the lock file on the protected branch.
    Gold,
    /// Was gold, or was set aside.
    Retired,
    /// Must not be used.
    Revoked,
    /// A check failed.
    Rejected,
}

/// A move that the table does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state {} cannot become {to}; legal from here: {}", .from.map_or("(none)", ImageState::as_str), legal_list(*.from))]
pub struct IllegalMove {
    /// The state before; `None` where the AMI carries no state tag.
    pub from: Option<ImageState>,
    /// The state asked for.
    pub to: ImageState,
}

fn legal_list(from: Option<ImageState>) -> String {
    let legal: Vec<&str> =
        ImageState::ALL.iter().filter(|to| ImageState::may_move(from, **to).is_ok()).map(|s| s.as_str()).collect();
    if legal.is_empty() { "nothing".to_owned() } else { legal.join(", ") }
}

impl ImageState {
    /// Every state, in the order of a life.
    pub const ALL: [ImageState; 8] = [
        Self::Building,
        Self::Untested,
        Self::Candidate,
        Self::Vetted,
        Self::Gold,
        Self::Retired,
        Self::Revoked,
        Self::Rejected,
    ];

    /// The word in the tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Untested => "untested",
            Self::Candidate => "candidate",
            Self::Vetted => "vetted",
            Self::Gold => "gold",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
            Self::Rejected => "rejected",
        }
    }

    /// The state that a build job gives for a verdict.
    pub fn after_smoke(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Candidate,
            Verdict::Failed => Self::Rejected,
            Verdict::Undecided => Self::Untested,
        }
    }

    /// The state that a validation gives to an AMI that is in state `from`; `None`: it stays as it is. A verdict never moves what the protected branch
    /// decided (vetted, gold, retired, revoked), and an undecided one takes nothing away.
    pub fn after_validation(from: Option<ImageState>, verdict: Verdict) -> Option<Self> {
        match (from, verdict) {
            (None | Some(Self::Building), verdict) => Some(Self::after_smoke(verdict)),
            (Some(Self::Untested), Verdict::Passed) => Some(Self::Candidate),
            (Some(Self::Untested | Self::Candidate), Verdict::Failed) => Some(Self::Rejected),
            _ => None,
        }
    }

    /// Whether an AMI in state `from` (`None`: no state tag) may be given state `to`. Staying is always legal.
    pub fn may_move(from: Option<ImageState>, to: ImageState) -> Result<(), IllegalMove> {
        use ImageState::{Building, Candidate, Gold, Rejected, Retired, Revoked, Untested, Vetted};
        let legal = from == Some(to)
            || match (from, to) {
                (None | Some(Building), Candidate | Rejected | Untested) => true,
                (Some(Untested), Candidate | Rejected) => true,
                (Some(Candidate), Vetted | Rejected) => true,
                (Some(Vetted), Gold | Rejected) => true,
                (Some(Gold), Retired) => true,
                (Some(Retired), Gold) => true,
                (Some(Gold), _) => false,
                (Some(from), Retired | Revoked) => from != Revoked,
                (None, Retired | Revoked) => true,
                _ => false,
            };
        if legal { Ok(()) } else { Err(IllegalMove { from, to }) }
    }
}

impl FromStr for ImageState {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| IdError {
            what: "a state",
            value: text.to_owned(),
            expected: "building, untested, candidate, vetted, gold, retired, revoked or rejected",
        })
    }
}

impl fmt::Display for ImageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_job_can_make_a_candidate_and_nothing_more() {
        for to in [ImageState::Vetted, ImageState::Gold] {
            for from in [None, Some(ImageState::Building), Some(ImageState::Untested), Some(ImageState::Rejected)] {
                assert!(ImageState::may_move(from, to).is_err(), "{from:?} -> {to}");
            }
        }
        assert!(ImageState::may_move(Some(ImageState::Candidate), ImageState::Gold).is_err());
        assert!(ImageState::may_move(Some(ImageState::Revoked), ImageState::Gold).is_err());
        assert!(ImageState::may_move(Some(ImageState::Rejected), ImageState::Candidate).is_err());
    }

    #[test]
    fn an_undecided_verdict_is_untested_never_rejected() {
        assert_eq!(ImageState::after_smoke(Verdict::Undecided), ImageState::Untested);
    }

    #[test]
    fn a_validation_makes_legal_moves_only() {
        for from in std::iter::once(None).chain(ImageState::ALL.into_iter().map(Some)) {
            for verdict in [Verdict::Passed, Verdict::Failed, Verdict::Undecided] {
                if let Some(to) = ImageState::after_validation(from, verdict) {
                    assert!(ImageState::may_move(from, to).is_ok(), "{from:?} {verdict} {to}");
                }
            }
        }
        assert_eq!(ImageState::after_validation(Some(ImageState::Candidate), Verdict::Undecided), None);
        assert_eq!(ImageState::after_validation(Some(ImageState::Gold), Verdict::Failed), None);
    }

    #[test]
    fn an_illegal_move_says_what_is_legal() {
        let text =
            ImageState::may_move(Some(ImageState::Candidate), ImageState::Gold).expect_err("illegal").to_string();
        assert_eq!(
            text,
            "state candidate cannot become gold; legal from here: candidate, vetted, retired, revoked, rejected"
        );
    }
}
