//! A breadth-first search over all states of a model. It owns the search and the shortest way to a state that breaks an invariant; it knows nothing of registries.
//! Why not a model checker from elsewhere: docs/decisions/0006-registry-model.md.

use std::{
    collections::HashSet,
    fmt::Debug,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// What is explored.
pub(super) trait Explored {
    /// A state: small, since millions are held.
    type State: Copy + Hash;
    /// What leads from one state to the next.
    type Action: Copy + Debug;
    /// Where it begins.
    fn first(&self) -> Self::State;
    /// Every action that is possible in a state, and what it leads to: `Err` says which invariant it breaks.
    fn next(&self, state: &Self::State, take: &mut dyn FnMut(Self::Action, Result<Self::State, String>));
}

/// What a search found.
#[derive(Debug)]
pub(super) enum Found<A> {
    /// Every state within the bound holds.
    Holds { states: usize, complete: bool },
    /// The shortest way to a broken invariant.
    Broken { way: Vec<A>, invariant: String },
}

/// Searches until every state is seen, `most` are, or an invariant breaks.
pub(super) fn explore<M: Explored>(model: &M, most: usize) -> Found<M::Action> {
    let first = model.first();
    let mut seen: HashSet<u128, BuildHasherDefault<Fingerprinted>> = HashSet::default();
    seen.insert(fingerprint(&first));
    // By what each state was reached first; a state's number is its place.
    let mut reached: Vec<(u32, Option<M::Action>)> = vec![(0, None)];
    let mut frontier = vec![(0_u32, first)];
    while !frontier.is_empty() {
        let mut further = Vec::new();
        for (number, state) in &frontier {
            let mut broken = None;
            model.next(state, &mut |action, after| match after {
                Err(invariant) => drop(broken.get_or_insert((action, invariant))),
                Ok(after) if seen.insert(fingerprint(&after)) => {
                    further.push((u32::try_from(reached.len()).expect("fewer than 2^32 states"), after));
                    reached.push((*number, Some(action)));
                }
                Ok(_) => {}
            });
            if let Some((last, invariant)) = broken {
                return Found::Broken { way: way(&reached, *number, last), invariant };
            }
            if seen.len() >= most {
                return Found::Holds { states: seen.len(), complete: false };
            }
        }
        frontier = further;
    }
    Found::Holds { states: seen.len(), complete: true }
}

fn way<A: Copy>(reached: &[(u32, Option<A>)], mut number: u32, last: A) -> Vec<A> {
    let mut way = vec![last];
    while let (before, Some(action)) = reached[number as usize] {
        way.push(action);
        number = before;
    }
    way.reverse();
    way
}

/// Two independent sums of 64 bits: with some ten million states the odds of two that look alike are below one in 10^24.
fn fingerprint(state: &impl Hash) -> u128 {
    let mut sums = Sums { low: 0x9e37_79b9_7f4a_7c15, high: 0xc2b2_ae3d_27d4_eb4f };
    state.hash(&mut sums);
    (u128::from(mixed(sums.high)) << 64) | u128::from(mixed(sums.low))
}

fn mixed(mut sum: u64) -> u64 {
    sum ^= sum >> 33;
    sum = sum.wrapping_mul(0xff51_afd7_ed55_8ccd);
    sum ^= sum >> 33;
    sum = sum.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    sum ^ (sum >> 33)
}

struct Sums {
    low: u64,
    high: u64,
}

impl Hasher for Sums {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_le_bytes(word).wrapping_add(chunk.len() as u64);
            self.low = (self.low ^ word).wrapping_mul(0x1000_0000_01b3).rotate_left(23);
            self.high = (self.high.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        self.low
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Fingerprinted(u64);

impl Hasher for Fingerprinted {
    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[..8]);
        self.0 = u64::from_le_bytes(word);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
