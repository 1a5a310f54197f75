//! In which order instance types and subnets are tried when EC2 has no room for a launch. It owns the order; it makes no call.

use crate::cloud::CapacityShortfall;

/// A subnet to launch in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LaunchSubnet {
    /// `subnet-…`
    pub(super) subnet: String,
    /// Its availability zone, where it was looked up.
    pub(super) zone: Option<String>,
}

/// One way to launch: a type in a subnet, or wherever EC2 chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LaunchOffer {
    pub(super) instance_type: String,
    pub(super) spot: Option<LaunchSubnet>,
}

/// What is left to try. Each type is tried in every subnet before the next type is.
#[derive(Debug, Clone)]
pub(super) struct LaunchOffers {
    types: Vec<String>,
    spots: Vec<Option<LaunchSubnet>>,
    at_type: usize,
    at_spot: usize,
}

impl LaunchOffers {
    /// With no `spots`, EC2 chooses.
    pub(super) fn new(types: Vec<String>, spots: &[LaunchSubnet]) -> Self {
        let spots = if spots.is_empty() { vec![None] } else { spots.iter().cloned().map(Some).collect() };
        Self { types, spots, at_type: 0, at_spot: 0 }
    }

    /// The next way to launch; `None`: all were tried.
    pub(super) fn current(&self) -> Option<LaunchOffer> {
        let instance_type = self.types.get(self.at_type)?.clone();
        Some(LaunchOffer { instance_type, spot: self.spots.get(self.at_spot)?.clone() })
    }

    /// Whether only EC2's own choice of a zone was open so far.
    pub(super) fn is_ec2s_choice(&self) -> bool {
        self.spots.iter().all(Option::is_none)
    }

    /// Further subnets, to be tried after those that are known.
    pub(super) fn add(&mut self, spots: &[LaunchSubnet]) {
        self.spots.extend(spots.iter().cloned().map(Some));
    }

    /// Goes past what the current way lacked.
    pub(super) fn advance(&mut self, lack: CapacityShortfall) {
        self.at_spot += 1;
        if lack == CapacityShortfall::Type || self.at_spot == self.spots.len() {
            (self.at_type, self.at_spot) = (self.at_type + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(subnet: &str) -> LaunchSubnet {
        LaunchSubnet { subnet: subnet.to_owned(), zone: None }
    }

    fn tried(offers: &mut LaunchOffers, lack: impl Fn(&LaunchOffer) -> CapacityShortfall) -> Vec<String> {
        let mut tried = Vec::new();
        while let Some(offer) = offers.current() {
            let place = offer.spot.as_ref().map_or("-", |spot| &spot.subnet);
            tried.push(format!("{} {place}", offer.instance_type));
            offers.advance(lack(&offer));
        }
        tried
    }

    #[test]
    fn every_subnet_comes_before_the_next_type() {
        let types = || vec!["a".to_owned(), "b".to_owned()];
        let mut offers = LaunchOffers::new(types(), &[spot("1"), spot("2")]);
        assert_eq!(tried(&mut offers, |_| CapacityShortfall::Zone), ["a 1", "a 2", "b 1", "b 2"]);
        let mut offers = LaunchOffers::new(types(), &[spot("1"), spot("2")]);
        assert_eq!(tried(&mut offers, |_| CapacityShortfall::Type), ["a 1", "b 1"], "a quota is no better elsewhere");
        let mut offers = LaunchOffers::new(types(), &[]);
        assert!(offers.is_ec2s_choice());
        offers.add(&[spot("1")]);
        assert!(!offers.is_ec2s_choice());
        assert_eq!(tried(&mut offers, |_| CapacityShortfall::Zone), ["a -", "a 1", "b -", "b 1"]);
    }
}
