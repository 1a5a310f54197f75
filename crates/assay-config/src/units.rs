//! Values with a unit: durations in Go's notation and address blocks. It owns their grammar.

use std::{net::IpAddr, time::Duration};

use super::settings::CidrBlock;

/// Reads a duration as Go's `time.ParseDuration` does, but without a sign: one or more decimal numbers, each with a unit `h`, `m`, `s`,
/// `ms`, `us`, `µs` or `ns`. `None`: it is none.
pub fn duration(text: &str) -> Option<Duration> {
    parse(text, &|unit| {
        Some(match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        })
    })
}

/// Reads an age: a duration that may also be in days `d` and weeks `w`.
pub fn age(text: &str) -> Option<Duration> {
    parse(text, &|unit| {
        Some(match unit {
            "w" => 604_800.0,
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            _ => return None,
        })
    })
}

fn parse(text: &str, seconds_of: &dyn Fn(&str) -> Option<f64>) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        total += number.parse::<f64>().ok()? * seconds_of(unit)?;
        rest = next;
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(total).ok() }
}

/// Reads an address block like `203.0.113.7/32` (RFC 4632; RFC 4291 for IPv6). `None`: it is none.
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
    fn durations_are_gos() {
        for (text, milliseconds) in
            [("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1.5h", 5_400_000), ("300ms", 300), ("0s", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["", "5", "m", "5 m", "-5m", "5x", "5d", "1..5s", ".s", "1e3s", "99999999999999999999999999h"] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ages_may_be_days() {
        assert_eq!(age("30d"), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(age("2w"), Some(Duration::from_secs(14 * 86_400)));
        assert_eq!(age("30"), None);
    }

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
