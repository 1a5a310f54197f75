//! What is in an image, asked of the host behind a session when its checks are done: asked and read in the prober (`read`), sent in small pieces, taken in
//! the conductor (`taken`). It owns that a failure to collect is a reason in words and never touches a verdict.

mod read;
mod taken;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use prost::Message;

use super::{
    engine::{EngineEvent, EventListener},
    frames::AnswerFrames,
    proto, rounds, script,
    session::SshSession,
};

pub use taken::FoundInventory;
pub(super) use taken::GatheredInventory;

/// The longest that collecting may take.
const AT_MOST: Duration = Duration::from_secs(180);
/// The longest that the script may be silent: it walks the root file system.
const SILENCE: Duration = Duration::from_secs(100);
/// About the size of one piece, in bytes.
const PIECE: usize = 24 << 10;

/// Asks the host and tells what it says. Where there is no answer, nothing is told: the conductor knows that it asked.
pub(super) fn ask(session: &mut SshSession, deadline: Instant, listener: &dyn EventListener) {
    let nonce = rounds::nonce();
    let asked = [rounds::ReadyScript { text: script::inventory(&nonce), nonce, idle: SILENCE }];
    let deadline = deadline.min(Instant::now() + AT_MOST);
    let Some(answered) = rounds::run_scripts(session, rounds::AS_LOGIN, &asked, deadline, listener).pop() else {
        return;
    };
    if answered.frames.answers.is_empty() {
        return;
    }
    for piece in pieces_of(&answered.frames) {
        listener.tell(EngineEvent::Inventory(Box::new(piece)));
    }
}

/// What a script's answers say, in pieces.
pub(super) fn pieces_of(frames: &AnswerFrames) -> Vec<proto::InventoryPiece> {
    pieces(read::inventory(frames))
}

/// The whole in pieces that fit into an event; the last one says so.
fn pieces(whole: proto::InventoryPiece) -> Vec<proto::InventoryPiece> {
    let mut pieces = InventoryPieces::default();
    let proto::InventoryPiece { kernels, packages, units, ports, users, groups, set_id, unknown, .. } = whole;
    // Its texts are bounded: they fit into the first.
    pieces.open = proto::InventoryPiece {
        os: whole.os,
        kernel: whole.kernel,
        kernels,
        package_manager: whole.package_manager,
        unknown,
        kernel_ms: whole.kernel_ms,
        userspace_ms: whole.userspace_ms,
        disk_used_bytes: whole.disk_used_bytes,
        ..Default::default()
    };
    packages.into_iter().for_each(|it| pieces.add(it.encoded_len(), |open| open.packages.push(it)));
    units.into_iter().for_each(|it| pieces.add(it.encoded_len(), |open| open.units.push(it)));
    ports.into_iter().for_each(|it| pieces.add(it.encoded_len(), |open| open.ports.push(it)));
    users.into_iter().for_each(|it| pieces.add(it.encoded_len(), |open| open.users.push(it)));
    groups.into_iter().for_each(|it| pieces.add(it.encoded_len(), |open| open.groups.push(it)));
    set_id.into_iter().for_each(|it| pieces.add(it.encoded_len(), |open| open.set_id.push(it)));
    pieces.open.last = true;
    pieces.done.push(pieces.open);
    pieces.done
}

#[derive(Default)]
struct InventoryPieces {
    done: Vec<proto::InventoryPiece>,
    open: proto::InventoryPiece,
    size: usize,
}

impl InventoryPieces {
    fn add(&mut self, size: usize, put: impl FnOnce(&mut proto::InventoryPiece)) {
        if self.size + size > PIECE {
            self.done.push(std::mem::take(&mut self.open));
            self.size = 0;
        }
        self.size += size;
        put(&mut self.open);
    }
}
