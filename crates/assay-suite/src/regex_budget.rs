//! How many regular expressions the suites of one reading may hold, and how large they may be together: a file of 1 MiB has room for expressions that take minutes and
//! gigabytes. It owns the count; it refuses to know where an expression stands.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::re2;

/// The most different expressions.
const MOST: usize = 5_000;
/// The most bytes of all of them, compiled: twice the largest that is taken.
const MOST_BYTES: usize = 2 * re2::MAX_BYTES;

/// What was spent so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct RegexBudget(Arc<Mutex<SpentBudget>>);

#[derive(Debug, Default)]
struct SpentBudget {
    /// What was said of each expression: of one that stands in many places it is asked once.
    known: HashMap<String, Result<(), String>>,
    bytes: usize,
    /// Whether it was told that there are too many.
    told: bool,
}

/// Why an expression is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RegexRefusal {
    /// It is none.
    Wrong(String),
    /// There are too many before it, as the sentence says.
    TooMany(String),
    /// The same, and it was told.
    Told,
}

impl RegexBudget {
    /// Counts an expression, and checks it.
    pub(crate) fn admit(&self, pattern: &str) -> Result<(), RegexRefusal> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = spent.known.get(pattern) {
            return known.clone().map_err(RegexRefusal::Wrong);
        }
        if spent.known.len() >= MOST || spent.bytes > MOST_BYTES {
            if std::mem::replace(&mut spent.told, true) {
                return Err(RegexRefusal::Told);
            }
            let why = match spent.bytes > MOST_BYTES {
                true => format!(
                    "the regular expressions before this one take more than {} MiB when compiled",
                    MOST_BYTES >> 20
                ),
                false => format!("more than {MOST} different regular expressions"),
            };
            return Err(RegexRefusal::TooMany(why));
        }
        let found = re2::size(pattern);
        let cost = match &found {
            Ok(bytes) => *bytes,
            // It was compiled up to the limit.
            Err(why) if why == re2::TOO_LARGE => re2::MAX_BYTES,
            Err(_) => 0,
        };
        spent.bytes = spent.bytes.saturating_add(cost);
        let said = found.map(drop);
        spent.known.insert(pattern.to_owned(), said.clone());
        said.map_err(RegexRefusal::Wrong)
    }
}
