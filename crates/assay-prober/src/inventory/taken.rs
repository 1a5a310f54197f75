//! The conductor's side: pieces from the prober put together, none of their words taken on trust. It owns the last check of every count and text.

use super::read::{KERNELS, MEMBERS, MOST, TEXT};
use crate::proto;
use assay_model::{
    BootFacts, Inventory,
    escape::{bounded, escape_line},
    inventory::{InstalledPackage, InventoryPart, LocalGroup, LocalUser, OpenPort, SetIdFile, SystemdUnit},
};

/// The longest that a text may be after it was bounded, which says how much it left out.
const SHOWN: usize = TEXT + 64;
/// More pieces than an inventory within its bounds can have.
const PIECES: usize = 4_000;

/// What is in a host, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundInventory {
    /// What is in the image.
    pub inventory: Inventory,
    /// How this boot went.
    pub boot: BootFacts,
}

/// The pieces that came so far.
#[derive(Debug, Default)]
pub(crate) struct GatheredInventory {
    pieces: usize,
    found: Option<FoundInventory>,
    complete: bool,
}

impl GatheredInventory {
    /// Takes the next piece. `None`: no prober of ours sends this.
    pub(crate) fn take(&mut self, piece: proto::InventoryPiece) -> Option<()> {
        self.pieces += 1;
        if self.complete || self.pieces > PIECES {
            return None;
        }
        let last = piece.last;
        if self.found.is_none() {
            self.found = Some(first(&piece)?);
        }
        let found = &mut self.found.as_mut()?.inventory;
        add(found, piece)?;
        if last {
            found.sort();
            self.complete = true;
        }
        Some(())
    }

    /// All of it; `None` where it is not complete.
    pub(crate) fn finish(self) -> Option<FoundInventory> {
        self.found.filter(|_| self.complete)
    }
}

/// What stands in the first piece only.
fn first(piece: &proto::InventoryPiece) -> Option<FoundInventory> {
    let mut inventory = Inventory {
        os: shown(&piece.os)?,
        kernel: shown(&piece.kernel)?,
        package_manager: shown(&piece.package_manager)?,
        ..Inventory::default()
    };
    for unknown in &piece.unknown {
        let part = InventoryPart::ALL.into_iter().find(|part| part.as_str() == unknown.part)?;
        inventory.unknown.insert(part, bounded(&escape_line(&unknown.reason), TEXT));
    }
    let boot = BootFacts {
        kernel_ms: piece.kernel_ms,
        userspace_ms: piece.userspace_ms,
        disk_used_bytes: piece.disk_used_bytes,
    };
    Some(FoundInventory { inventory, boot })
}

fn add(to: &mut Inventory, piece: proto::InventoryPiece) -> Option<()> {
    into(&mut to.kernels, piece.kernels, KERNELS, |it| shown(&it))?;
    into(&mut to.packages, piece.packages, MOST, |it| {
        Some(InstalledPackage {
            name: shown(&it.name)?,
            architecture: shown(&it.architecture)?,
            version: shown(&it.version)?,
        })
    })?;
    into(&mut to.units, piece.units, MOST, |it| {
        Some(SystemdUnit { name: shown(&it.name)?, enabled: shown(&it.enabled)?, state: shown(&it.state)? })
    })?;
    into(&mut to.ports, piece.ports, MOST, |it| {
        let port = u16::try_from(it.port).ok()?;
        Some(OpenPort {
            protocol: shown(&it.protocol)?,
            port,
            address: shown(&it.address)?,
            process: shown(&it.process)?,
        })
    })?;
    into(&mut to.users, piece.users, MOST, |it| {
        Some(LocalUser { name: shown(&it.name)?, id: it.id, group: it.group, shell: shown(&it.shell)? })
    })?;
    into(&mut to.groups, piece.groups, MOST, |it| {
        let mut members = Vec::new();
        into(&mut members, it.members, MEMBERS, |member| shown(&member))?;
        Some(LocalGroup { name: shown(&it.name)?, id: it.id, members })
    })?;
    into(&mut to.set_id, piece.set_id, MOST, |it| {
        let (path, mode) = (shown(&it.path)?, shown(&it.mode)?);
        Some(SetIdFile { path, mode, owner: shown(&it.owner)?, group: shown(&it.group)? })
    })
}

fn into<F, T>(list: &mut Vec<T>, more: Vec<F>, most: usize, read: impl Fn(F) -> Option<T>) -> Option<()> {
    for one in more {
        list.push(read(one)?);
    }
    (list.len() <= most).then_some(())
}

/// A text that is bounded and harmless already; `None` where it is not.
fn shown(text: &str) -> Option<String> {
    (text.len() <= SHOWN && text.chars().all(assay_model::escape::is_harmless)).then(|| text.to_owned())
}
