//! The law asked about a move that was made: what spoke against it then. It owns what was known at that time; the law itself is `gold`.

use jiff::Timestamp;

use super::{GoldObjection, ImageHistory};
use crate::ImageState;

/// The reason in the lock of a move to gold for which nobody gave a run or a reason.
pub const BY_ITSELF: &str = "promoted";

impl ImageHistory<'_> {
    /// The move by which the last run became gold; none: nothing ever was. Further entries of a run that is gold already (copies) are no moves.
    pub fn last_gold_move(&self) -> Option<usize> {
        let golds = self.moves.iter().enumerate().filter(|(_, entry)| entry.state == ImageState::Gold);
        let mut last = None;
        for (index, entry) in golds {
            if last.is_none_or(|(_, run)| run != entry.run) {
                last = Some((index, entry.run));
            }
        }
        last.map(|(index, _)| index)
    }

    /// What the order of builds said against the run of a move when it was made: all that is known but later moves, and those of the same commit. Which clock was ahead does not count.
    pub fn objection_then(&self, index: usize) -> Option<GoldObjection> {
        let entry = self.moves.get(index)?;
        let earlier = self.moves[..index].iter().rposition(|before| before.at != entry.at);
        let mut then = Self { moves: self.moves[..earlier.map_or(0, |last| last + 1)].to_vec(), ..self.clone() };
        let gold = then.moves.iter().rev().find(|before| before.state == ImageState::Gold).map(|before| before.run);
        then.gold = gold.filter(|run| then.state_of(*run) == Some(ImageState::Gold));
        then.objection(entry.run, Timestamp::MAX).filter(GoldObjection::may_be_overruled)
    }
}
