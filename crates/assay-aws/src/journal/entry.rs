//! The words of the record. One event is one line of JSON; replaying the lines in order gives the [`JournalStep`]s. It owns which events there
//! are and what each does to a step; it refuses files and clocks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use assay_model::{AccountId, AmiRef, Region, RunId};

/// The version of the line format; raised when an event changes its meaning.
pub(super) const JOURNAL_SCHEMA: u32 = 1;

/// What assay creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JournaledKind {
    /// An imported key pair.
    KeyPair,
    /// A temporary security group.
    SecurityGroup,
    /// An instance.
    Instance,
    /// A volume seen attached to one of our instances.
    Volume,
}

impl JournaledKind {
    /// The word in reports: `key-pair`, `security-group`, `instance`, `volume`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyPair => "key-pair",
            Self::SecurityGroup => "security-group",
            Self::Instance => "instance",
            Self::Volume => "volume",
        }
    }
}

/// Whose record it is: the first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHeader {
    /// The run.
    pub run: RunId,
    /// This process's part of every name, so that processes sharing a run never meet.
    pub process: String,
    /// The account that things are created in; undo with other credentials finds nothing and must not say "all gone".
    pub account: Option<AccountId>,
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum JournalEvent {
    /// The record begins.
    Opened {
        /// [`JOURNAL_SCHEMA`].
        schema: u32,
        /// Whose it is.
        header: JournalHeader,
        /// When.
        at: Timestamp,
    },
    /// A creating call is about to be made. Durable before the call.
    Intent {
        /// Number of the step, unique in this record.
        step: u32,
        /// What is being created.
        kind: JournaledKind,
        /// Where.
        region: Region,
        /// Its name; of an instance, the client token; of a volume, its id.
        name: String,
        /// When.
        at: Timestamp,
    },
    /// EC2 gave it an id.
    Created {
        /// The step.
        step: u32,
        /// EC2's id.
        id: String,
    },
    /// EC2 answered that it did not create it.
    Refused {
        /// The step.
        step: u32,
        /// EC2's words.
        reason: String,
    },
    /// Removal has begun.
    UndoStarted {
        /// The step.
        step: u32,
    },
    /// The cloud confirmed that it is gone (or ending for good).
    Undone {
        /// The step.
        step: u32,
    },
    /// Removal was given up for now.
    UndoFailed {
        /// The step.
        step: u32,
        /// Why.
        reason: String,
    },
    /// Deregistration protection is about to be set on an AMI that did not have it.
    Protecting {
        /// The AMI.
        ami: AmiRef,
        /// When.
        at: Timestamp,
    },
    /// We took our protection off again.
    Unprotected {
        /// The AMI.
        ami: AmiRef,
    },
    /// The process ended in order.
    Closed {
        /// When.
        at: Timestamp,
    },
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// The call was or may have been made; whether it was done is unknown.
    Intended,
    /// It exists.
    Created,
    /// It was never created, or it is confirmed gone.
    Closed,
}

/// One thing and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStep {
    /// Its number in the record.
    pub number: u32,
    /// What it is.
    pub kind: JournaledKind,
    /// Where.
    pub region: Region,
    /// Its name; of an instance, the client token; of a volume, its id.
    pub name: String,
    /// EC2's id, once learned.
    pub id: Option<String>,
    /// When its creation was begun.
    pub at: Timestamp,
    /// How far.
    pub state: StepState,
}

/// What the lines so far amount to.
#[derive(Debug, Default)]
pub(super) struct JournalReplay {
    pub(super) header: Option<JournalHeader>,
    pub(super) steps: BTreeMap<u32, JournalStep>,
    pub(super) protections: Vec<AmiRef>,
    /// Lines that could not be read. A torn last line is normal after a kill: its call was not made.
    pub(super) damaged: usize,
}

impl JournalReplay {
    /// Takes one event into account. An event about an unknown step is ignored: its intent was the damaged line, and what it created
    /// carries our tags.
    pub(super) fn apply(&mut self, event: JournalEvent) {
        match event {
            JournalEvent::Opened { header, .. } => self.header = Some(header),
            JournalEvent::Intent { step: number, kind, region, name, at } => {
                self.steps.insert(
                    number,
                    JournalStep { number, kind, region, name, id: None, at, state: StepState::Intended },
                );
            }
            JournalEvent::Created { step, id } => {
                if let Some(step) = self.steps.get_mut(&step).filter(|s| s.state != StepState::Closed) {
                    (step.id, step.state) = (Some(id), StepState::Created);
                }
            }
            JournalEvent::Refused { step, .. } | JournalEvent::Undone { step } => {
                if let Some(step) = self.steps.get_mut(&step) {
                    step.state = StepState::Closed;
                }
            }
            JournalEvent::UndoStarted { .. } | JournalEvent::UndoFailed { .. } | JournalEvent::Closed { .. } => {}
            JournalEvent::Protecting { ami, .. } => self.protections.push(ami),
            JournalEvent::Unprotected { ami } => self.protections.retain(|held| *held != ami),
        }
    }
}
