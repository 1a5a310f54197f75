//! `--shard`: which part of the work this process does. It owns that work is divided only where that was asked for (a container whose list was divided
//! before must not test a part of its part), and that a share is announced, since a reader of a log must not take it for the whole.

use std::str::FromStr;

use super::{option_flags::problem, output};
use assay_config::ConfigProblem;
use assay_model::{Shard, shard::ShardRecord};

/// What `--shard` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShardChoice {
    /// `auto`: the share of the container that this job runs in.
    Auto,
    /// `2/4`.
    Share(Shard),
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            text => text.parse().map(Self::Share).map_err(|error| format!("{error}, or auto")),
        }
    }
}

/// The share that is asked for; `None`: everything.
pub(super) fn asked(
    choice: Option<ShardChoice>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Shard>, ConfigProblem> {
    let of_container = || Shard::of_circleci(environment).map_err(|message| problem("CIRCLE_NODE_INDEX", message));
    match choice {
        // 1/1 is all of it.
        Some(ShardChoice::Share(shard)) => Ok(Some(shard).filter(|shard| shard.total > 1)),
        Some(ShardChoice::Auto) => of_container(),
        None => {
            // What the container says matters to nobody who did not ask for it: no reason to refuse.
            if let Ok(Some(shard)) = of_container() {
                output::note(&format!(
                    "this is container {shard} of its job and tests all that it was given; --shard auto makes it test its share"
                ));
            }
            Ok(None)
        }
    }
}

/// This share of `all`, by the names that the record keeps. Says so on stderr.
pub(super) fn divide<T: Clone>(shard: Shard, all: &[T], name: impl Fn(&T) -> String) -> (Vec<T>, ShardRecord) {
    let mine = shard.of(all);
    let names: Vec<String> = mine.iter().map(&name).collect();
    let what = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    output::note(&format!("shard {shard}: {what} ({} of {})", mine.len(), all.len()));
    (mine, ShardRecord { shard, planned: all.iter().map(name).collect() })
}
