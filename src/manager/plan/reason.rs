//! Why an image is due, or is not. It owns the names that programs read and the words that people read.

use std::{fmt, time::Duration};

use assay_model::{ImageName, ImageState, RunId};

/// What a reason means for the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReasonKind {
    /// A build is due.
    Due,
    /// It is not, and all is well.
    Idle,
    /// It is not, since it would not help; a person must do something.
    Stuck,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildReason {
    /// No build is known.
    NeverBuilt,
    /// No usable build has these inputs.
    InputsChanged {
        /// The present gold, which has others.
        gold: Option<RunId>,
    },
    /// The newest build stands on an AMI that is not its parent's gold (any more).
    ParentMoved {
        /// The parent.
        parent: ImageName,
        /// Its gold run; `None`: it has none.
        gold: Option<RunId>,
    },
    /// The newest usable build was tested too long ago.
    TooOld {
        /// The build.
        run: RunId,
        /// How long ago.
        age: Duration,
        /// The limit.
        max_age: Duration,
    },
    /// The newest build has no verdict.
    Untested {
        /// The build.
        run: RunId,
    },
    /// The newest builds of these inputs have no verdict, one after the other: something is in the way that a build does not mend.
    NoVerdict {
        /// The newest of them.
        run: RunId,
        /// How many.
        count: usize,
    },
    /// `--force`.
    Forced,
    /// Gold was built from these inputs, on the parent's gold.
    GoldIsCurrent {
        /// The gold.
        run: RunId,
    },
    /// Gold was built from these inputs, on the parent's gold, and assay.hcl declares more than it has.
    GoldIncomplete {
        /// The gold.
        run: RunId,
        /// Declared architectures that it has no AMI for, or not in a declared region.
        lacks: Vec<String>,
    },
    /// A build of these inputs waits for validation or promotion.
    CandidateExists {
        /// The build.
        run: RunId,
        /// candidate or vetted.
        state: ImageState,
        /// Declared architectures that it has no AMI for, or not in a declared region.
        lacks: Vec<String>,
    },
    /// The parent must become gold first.
    WaitsForParent {
        /// The parent.
        parent: ImageName,
        /// Whether it has a gold at all.
        has_gold: bool,
    },
    /// The checkout has the inputs of an older gold: the protected branch moved on, this branch changed nothing.
    BranchIsBehind {
        /// The gold there.
        gold: RunId,
    },
    /// The newest build of exactly these inputs and parent was rejected.
    Rejected {
        /// The build.
        run: RunId,
    },
    /// The newest build of these inputs was taken out of use: rolled back, retired or revoked.
    SetAside {
        /// The build.
        run: RunId,
        /// retired or revoked.
        state: ImageState,
    },
    /// Builds since the parent's gold moved still stand on something else: the template does not follow it.
    ParentNotFollowed {
        /// The parent.
        parent: ImageName,
        /// The newest such build.
        run: RunId,
    },
    /// assay.hcl names no inputs.
    InputsUnseen,
    /// The image's lock cannot be read.
    LockUnreadable {
        /// File, line, reason and cure.
        why: String,
    },
}

impl BuildReason {
    /// The name that programs read; it stays.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::NeverBuilt => "never-built",
            Self::InputsChanged { .. } => "inputs-changed",
            Self::ParentMoved { .. } => "parent-moved",
            Self::TooOld { .. } => "too-old",
            Self::Untested { .. } => "untested",
            Self::NoVerdict { .. } => "no-verdict",
            Self::Forced => "forced",
            Self::GoldIsCurrent { .. } => "gold-is-current",
            Self::GoldIncomplete { .. } => "gold-incomplete",
            Self::CandidateExists { .. } => "candidate-exists",
            Self::WaitsForParent { .. } => "waits-for-parent",
            Self::BranchIsBehind { .. } => "branch-is-behind",
            Self::Rejected { .. } => "rejected",
            Self::SetAside { .. } => "set-aside",
            Self::ParentNotFollowed { .. } => "parent-not-followed",
            Self::InputsUnseen => "inputs-unseen",
            Self::LockUnreadable { .. } => "lock-unreadable",
        }
    }

    /// What it means.
    pub(crate) fn kind(&self) -> ReasonKind {
        match self {
            Self::NeverBuilt
            | Self::InputsChanged { .. }
            | Self::ParentMoved { .. }
            | Self::TooOld { .. }
            | Self::Untested { .. }
            | Self::GoldIncomplete { .. }
            | Self::Forced => ReasonKind::Due,
            Self::GoldIsCurrent { .. }
            | Self::CandidateExists { .. }
            | Self::WaitsForParent { .. }
            | Self::BranchIsBehind { .. }
            | Self::InputsUnseen => ReasonKind::Idle,
            Self::Rejected { .. }
            | Self::SetAside { .. }
            | Self::ParentNotFollowed { .. }
            | Self::NoVerdict { .. }
            | Self::LockUnreadable { .. } => ReasonKind::Stuck,
        }
    }
}

impl fmt::Display for BuildReason {
    /// A fragment for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverBuilt => f.write_str("it was never built"),
            Self::InputsChanged { gold: Some(gold) } => {
                write!(f, "its inputs changed: gold {gold} was built from others, and nothing else from these")
            }
            Self::InputsChanged { gold: None } => f.write_str("its inputs changed: nothing was built from these"),
            Self::ParentMoved { parent, gold: Some(gold) } => {
                write!(f, "its parent moved: {parent} has gold {gold}, and no build stands on that")
            }
            Self::ParentMoved { parent, gold: None } => {
                write!(f, "its parent moved: {parent} has no gold, and its builds stand on one that was")
            }
            Self::TooOld { run, age, max_age } => {
                write!(f, "{run} was tested {} ago, max_age is {}", words(*age), words(*max_age))
            }
            Self::Untested { run } => write!(f, "its newest build {run} has no verdict"),
            Self::NoVerdict { run, count } => write!(
                f,
                "its last {count} builds have no verdict, {run} is the newest: mend what is in the way (assay doctor), \
                 decide one with assay validate, or build it again with --force"
            ),
            Self::Forced => f.write_str("--force"),
            Self::GoldIsCurrent { run } => write!(f, "gold {run} is current"),
            Self::GoldIncomplete { run, lacks } => {
                write!(f, "gold {run} has these inputs, and no AMI for {}, which assay.hcl declares", lacks.join(", "))
            }
            Self::CandidateExists { run, state, lacks } => {
                let waits = if *state == ImageState::Vetted { "promotion to gold" } else { "validation" };
                write!(f, "{state} {run} has these inputs and waits for {waits}")?;
                if lacks.is_empty() { Ok(()) } else { write!(f, "; it has no AMI for {} yet", lacks.join(", ")) }
            }
            Self::WaitsForParent { parent, has_gold: true } => {
                write!(f, "it waits for its parent: {parent} gets a new build first")
            }
            Self::WaitsForParent { parent, has_gold: false } => {
                write!(f, "it waits for its parent: {parent} has no gold yet")
            }
            Self::BranchIsBehind { gold } => {
                write!(
                    f,
                    "this branch changed nothing and is behind: the protected branch has gold {gold} of newer inputs"
                )
            }
            Self::Rejected { run } => write!(
                f,
                "{run}, built from exactly this, was rejected; change the inputs, or build it again with --force"
            ),
            Self::SetAside { run, state } => write!(
                f,
                "{run}, built from these inputs, was taken out of use ({state}); change the inputs, or build it again \
                 with --force"
            ),
            Self::ParentNotFollowed { parent, run } => write!(
                f,
                "{run} and a build before it do not stand on the gold of {parent} that was there: let the template take \
                 its source AMI from data \"assay-image\" {parent:?}, or mend `parent`",
                parent = parent.as_str()
            ),
            Self::InputsUnseen => f.write_str("assay.hcl names no inputs for it, so that changes cannot be seen"),
            Self::LockUnreadable { why } => write!(f, "nothing is known of it: {why}"),
        }
    }
}

/// A time span in its largest whole unit: `9d`, `5h`, `12m`, `40s`.
pub(crate) fn words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        172_800.. => format!("{}d", seconds / 86_400),
        7_200.. => format!("{}h", seconds / 3_600),
        120.. => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}
