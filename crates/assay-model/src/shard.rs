//! A share of a run's work, so that several CI containers test side by side. It owns how work is divided and what the
//! evidence keeps of it: without the whole list nobody could tell that a container's share is missing.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One share of several, `2/5`: the second of five. Counted from 1, as by nextest's and Playwright's `--shard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// From 1 to `total`.
    pub index: u32,
    /// At least 1.
    pub total: u32,
}

/// What a share's evidence says of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Which share.
    #[serde(flatten)]
    pub shard: Shard,
    /// Everything that was divided: AMIs as `region:ami-…`, hosts as `user@host:port`.
    pub planned: Vec<String>,
}

impl Shard {
    /// Makes the share `index` of `total`. Fails unless 1 <= index <= total.
    pub fn new(index: u32, total: u32) -> Result<Self, String> {
        if index == 0 || index > total {
            return Err(format!("{index}/{total} is no share; expected I/N with I from 1 to N, like 1/4"));
        }
        Ok(Self { index, total })
    }

    /// CircleCI's container of a job with `parallelism`: `CIRCLE_NODE_INDEX` counts from 0, `CIRCLE_NODE_TOTAL` is their number
    /// (circleci.com/docs/variables). `None` where there is only one, or none is said.
    pub fn of_circleci(environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let (Some(index), Some(total)) = (environment("CIRCLE_NODE_INDEX"), environment("CIRCLE_NODE_TOTAL")) else {
            return Ok(None);
        };
        match (index.parse::<u32>(), total.parse::<u32>()) {
            (Ok(_), Ok(1)) => Ok(None),
            (Ok(index), Ok(total)) if index < total => Self::new(index + 1, total).map(Some),
            _ => Err(format!("CIRCLE_NODE_INDEX={index} of CIRCLE_NODE_TOTAL={total} is no container of a job")),
        }
    }

    /// This share of `all`: every `total`th, so that neighbours (regions of one AMI) go to different containers. May be empty.
    pub fn of<T: Clone>(self, all: &[T]) -> Vec<T> {
        all.iter().skip(self.index as usize - 1).step_by(self.total as usize).cloned().collect()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.total)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no share; expected I/N with I from 1 to N, like 1/4");
        let (index, total) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        Self::new(number(index)?, number(total)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_exactly_one_share() {
        for total in 1..9 {
            for items in 0..20_u32 {
                let all: Vec<u32> = (0..items).collect();
                let mut shared: Vec<u32> =
                    (1..=total).flat_map(|i| Shard::new(i, total).expect("a share").of(&all)).collect();
                shared.sort_unstable();
                assert_eq!(shared, all);
            }
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert_eq!("2/5".parse(), Ok(Shard { index: 2, total: 5 }));
        for wrong in ["0/4", "5/4", "1", "a/b", "1/0", "-1/2", ""] {
            let message = wrong.parse::<Shard>().expect_err(wrong);
            assert!(message.contains("1/4"), "{message}");
        }
    }

    #[test]
    fn circleci_counts_from_zero() {
        let given = |index: &'static str, total: &'static str| {
            Shard::of_circleci(&move |name: &str| {
                Some(if name == "CIRCLE_NODE_INDEX" { index } else { total }.to_owned())
            })
        };
        assert_eq!(given("0", "4"), Ok(Some(Shard { index: 1, total: 4 })));
        assert_eq!(given("3", "4"), Ok(Some(Shard { index: 4, total: 4 })));
        assert_eq!(given("0", "1"), Ok(None), "a job without parallelism");
        assert!(given("4", "4").is_err());
        assert_eq!(Shard::of_circleci(&|_| None), Ok(None));
    }
}
