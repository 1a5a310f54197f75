//! `--shard`, and CircleCI's containers in its place. It owns which of the two holds and that a share is announced, since a reader of a log must not take
//! it for the whole.

use super::{option_flags::problem, output};
use crate::{
    config::Problem,
    model::{Shard, shard::ShardRecord},
};

/// The share that is asked for: the flag's, else that of CircleCI's container where the job has several.
pub fn asked(flag: Option<Shard>, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Shard>, Problem> {
    match flag {
        // 1/1 is all of it, also in a container.
        Some(shard) => Ok(Some(shard).filter(|shard| shard.total > 1)),
        None => Shard::of_circleci(environment).map_err(|message| problem("CIRCLE_NODE_INDEX", message)),
    }
}

/// This share of `all`, by the names that the record keeps. Says so on stderr.
pub fn divide<T: Clone>(shard: Shard, all: &[T], name: impl Fn(&T) -> String) -> (Vec<T>, ShardRecord) {
    let mine = shard.of(all);
    let names: Vec<String> = mine.iter().map(&name).collect();
    let what = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    output::note(&format!("shard {shard}: {what} ({} of {})", mine.len(), all.len()));
    (mine, ShardRecord { shard, planned: all.iter().map(name).collect() })
}
