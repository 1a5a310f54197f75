//! Which build may become gold: the one law of the registry, asked by plan, candidate choice, vetting, promotion, rollback, status and prune. It owns what is newer, superseded, set aside
//! and usable, where a rollback goes, and what must be kept; it refuses all I/O and clocks, so that a model of the registry can explore these very functions
//! (`tests`).
//!
//! The law, in sentences:
//! 1. Of two builds that one is newer whose AMIs EC2 made later.
//! 2. Gold moves to a build that is not newer than gold, and than each of the same inputs that ever was gold, only by a person's word.
//! 3. Going back from a run says that its inputs were no good: no build of them that began before that becomes gold but by a person's word.
//! 4. Retiring or revoking a run says the same of it and of older builds of its inputs. What a promotion retires was only superseded.
//! 5. A rollback goes to what was gold before gold first became gold, and is made once: asked again it is done already.

mod facts;
mod gold;
mod past;
#[cfg(test)]
mod tests;
mod words;

pub use facts::{BuildFacts, ImageHistory, LockOrder, MoveFacts, lock_order};
pub use gold::{GoldObjection, NextLock, RollbackMove, next_lock};
pub use past::BY_ITSELF;
