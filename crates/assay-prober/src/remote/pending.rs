//! Connections that have not shown a certificate yet. It owns how many there may be, of all addresses and of one: whoever cannot log in must not keep out those
//! who can.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Of all addresses.
const WAITING: usize = 256;
/// Of one address, or of one IPv6 network, which is one customer's (RFC 6177).
const OF_ONE: usize = 16;

/// How many wait, by address.
#[derive(Debug, Default)]
pub(super) struct PendingConnections(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct PendingPlace {
    of: Arc<Mutex<HashMap<IpAddr, usize>>>,
    origin: IpAddr,
}

impl PendingConnections {
    /// A place for one more from `address`; `None`: there are enough.
    pub(super) fn place(&self, address: IpAddr) -> Option<PendingPlace> {
        let origin = origin(address);
        let mut of = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if of.values().sum::<usize>() >= WAITING || of.get(&origin).is_some_and(|count| *count >= OF_ONE) {
            return None;
        }
        *of.entry(origin).or_default() += 1;
        Some(PendingPlace { of: Arc::clone(&self.0), origin })
    }
}

impl Drop for PendingPlace {
    fn drop(&mut self) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                of.remove(&self.origin);
            }
        }
    }
}

fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places() {
        let pending = PendingConnections::default();
        let held: Vec<_> = (1..=u16::MAX)
            .map_while(|n| pending.place(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n).into()))
            .collect();
        assert_eq!(held.len(), OF_ONE);
        let other = pending.place([192_u8, 0, 2, 1].into()).expect("another address");
        assert!(pending.place("::ffff:192.0.2.1".parse().expect("an address")).is_some(), "the same in another form");
        drop((held, other));
        assert!(pending.place(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1).into()).is_some(), "free again");
        let all: Vec<_> = (0..=u8::MAX).filter_map(|n| pending.place([203_u8, 0, 113, n].into())).collect();
        assert!(all.len() <= WAITING && pending.place([192_u8, 0, 2, 7].into()).is_none());
    }
}
