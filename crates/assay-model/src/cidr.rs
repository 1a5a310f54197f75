//! Address blocks as people write them. It owns their grammar and which addresses they hold.

use std::net::IpAddr;

/// An address block in CIDR notation (RFC 4632; RFC 4291 for IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CidrBlock {
    /// The network address.
    pub address: IpAddr,
    /// The prefix length in bits.
    pub prefix: u8,
}

/// Reads a block like `203.0.113.7/32`; `None` where the text is not one.
pub fn cidr(text: &str) -> Option<CidrBlock> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let widest = if address.is_ipv4() { 32 } else { 128 };
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let prefix: u8 = prefix.parse().ok()?;
    (prefix <= widest).then_some(CidrBlock { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_blocks() {
        for good in ["0.0.0.0/0", "203.0.113.7/32", "10.1.2.3/8", "::/0", "2001:db8::/128"] {
            assert!(cidr(good).is_some(), "{good}");
        }
        for bad in ["", "203.0.113.7", "203.0.113.7/", "203.0.113.7/33", "203.0.113/24", "::/129", "a/8", "1.2.3.4/+8"]
        {
            assert!(cidr(bad).is_none(), "{bad:?}");
        }
    }
}
