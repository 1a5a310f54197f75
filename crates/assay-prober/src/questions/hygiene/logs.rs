//! Logs that the image brought. A log that is still written to is as young as its last line, so what counts is its first record: the time in it, where
//! loggers write one; or else when the file was made.

use jiff::{
    civil::DateTime,
    fmt::strtime,
    tz::{Offset, TimeZone},
};

use super::{HygieneFacts, HygieneFinding, files::older};

/// A log folder larger than this came from somewhere, in KiB.
const LOGS_KIB: u64 = 200 << 10;
/// How much earlier than the boot its own first record may seem to be: clocks are set while it goes on.
const CLOCK_SET: i64 = 60;
/// No local time is further from UTC.
const ZONES: i64 = 15 * 3600;
/// Times of records that can be: from 2000 on.
const PLAUSIBLE: std::ops::Range<i64> = 946_684_800..4_102_444_800;

/// `logs journal`: 0, path; `logs zone`: the host's time zone; `logs file`: time of change, of birth, first record, path; `logs size`: KiB, path.
pub(super) fn logs(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let section = facts.answer.section("logs");
    let mut found = Vec::new();
    for [_, path] in section.of_kind("journal") {
        found.push(HygieneFinding::new(&[path], format!("{path} is another machine's journal")));
    }
    let zone = section.of_kind::<2>("zone").first().map_or("", |[zone, _]| zone);
    let clock = HostClock { first_boot: facts.answer.first_boot, now: facts.answer.now, zone: offset(zone) };
    found.extend(section.of_kind("file").into_iter().filter_map(|line| log(facts, &clock, line)));
    for [kib, path] in section.of_kind("size") {
        if let Some(kib) = kib.parse::<u64>().ok().filter(|kib| *kib > LOGS_KIB) {
            found.push(HygieneFinding::new(
                &[path],
                format!("{path} holds {} MiB, which is more than 200 MiB", kib >> 10),
            ));
        }
    }
    found
}

fn log(
    facts: &HygieneFacts<'_>,
    clock: &HostClock,
    [changed, born, record, path]: [&str; 4],
) -> Option<HygieneFinding> {
    match clock.is_before_the_boot(record, path.contains("/cloud-init")) {
        Some(true) => {
            let text = format!("{path} begins before the first boot (its first record: {record})");
            return Some(HygieneFinding::new(&[path], text));
        }
        Some(false) => return None,
        None => {}
    }
    if facts.answer.is_older(changed) {
        return Some(older(path));
    }
    if born.parse::<i64>().is_ok_and(|born| born > 0 && born >= facts.answer.first_boot) {
        return None;
    }
    let text = format!(
        "whether {path} was in the image cannot be told: it is written to, and its first record tells no time that is certain"
    );
    Some(HygieneFinding::open(&[path], text))
}

/// What times are held against, in Unix seconds.
struct HostClock {
    first_boot: i64,
    now: i64,
    /// How far the host's local time is from UTC, in seconds; it may have been another when the record was written.
    zone: Option<i64>,
}

impl HostClock {
    /// Whether a record is of an earlier boot; `None` where that is not certain.
    fn is_before_the_boot(&self, record: &str, is_utc: bool) -> Option<bool> {
        let (time, is_certain) = self.time(record, is_utc)?;
        let doubt = if is_certain { 0 } else { ZONES };
        if time + doubt < self.first_boot - CLOCK_SET {
            Some(true)
        } else if time - doubt >= self.first_boot - CLOCK_SET {
            Some(false)
        } else {
            None
        }
    }

    /// A record's time, and whether its zone is certain.
    fn time(&self, record: &str, is_utc: bool) -> Option<(i64, bool)> {
        if let Some(numbers) = record.strip_prefix("utmp") {
            let number =
                numbers.split_whitespace().filter_map(|n| n.parse::<i64>().ok()).find(|n| PLAUSIBLE.contains(n));
            return number.map(|time| (time, true));
        }
        if let Some(seconds) = record.strip_prefix("audit(") {
            return seconds.parse().ok().map(|time| (time, true));
        }
        if let Ok(zoned) = strtime::parse("%a, %d %b %Y %H:%M:%S %z", record).and_then(|it| it.to_timestamp()) {
            return Some((zoned.as_second(), true));
        }
        if let Ok(zoned) = record.replace(' ', "T").replace(',', ".").parse::<jiff::Timestamp>() {
            return Some((zoned.as_second(), true));
        }
        let local = self.local(record)?;
        let utc = seconds(local)?;
        if is_utc || self.zone == Some(0) {
            return Some((utc, true));
        }
        Some((utc - self.zone.unwrap_or(0), false))
    }

    /// A time without a zone: `2026-11-23 01:10:24,123`, or `Nov 23 01:10:24`, whose year is the last in which it is not in the future.
    fn local(&self, record: &str) -> Option<DateTime> {
        let head = record.get(..19).unwrap_or(record).replace('T', " ");
        if let Ok(time) = DateTime::strptime("%Y-%m-%d %H:%M:%S", &head) {
            return Some(time);
        }
        let today = jiff::Timestamp::from_second(self.now).ok()?.to_zoned(TimeZone::UTC);
        let words = record.split_whitespace().collect::<Vec<_>>().join(" ");
        let in_year = |year: i16| DateTime::strptime("%Y %b %d %H:%M:%S", format!("{year} {words}")).ok();
        let is_past = |time: &DateTime| seconds(*time).is_some_and(|time| time <= self.now + ZONES);
        in_year(today.year()).filter(is_past).or_else(|| in_year(today.year() - 1))
    }
}

fn seconds(time: DateTime) -> Option<i64> {
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp().as_second())
}

/// `+0130` in seconds.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Offset::from_seconds(i32::try_from(sign * seconds).ok()?).ok().map(|_| sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 01:10:24 UTC.
    const BOOT: i64 = 1_795_396_224;

    fn earlier(record: &str, zone: &str) -> Option<bool> {
        let clock = HostClock { first_boot: BOOT, now: BOOT + 600, zone: offset(zone) };
        clock.is_before_the_boot(record, false)
    }

    #[test]
    fn records_of_each_logger() {
        for (before, after) in [
            ("2026-11-22T23:10:24.123456+00:00", "2026-11-23T03:11:00.5+02:00"),
            ("2026-11-22 01:10:24,123", "2026-11-23 01:11:24,123"),
            ("2026-11-22 01:10:24", "2026-11-23 01:10:04"),
            ("Nov 22 01:10:24", "Nov 23 01:10:31"),
            ("Dec 24 01:10:24", "Nov 23 01:10:00"),
            ("Mon, 22 Nov 2021 10:00:00 +0000", "Mon, 23 Nov 2026 02:10:24 +0100"),
            ("audit(1795390000", "audit(1795396225"),
            ("utmp 1795390000 1", "utmp 0 1795396225"),
        ] {
            assert_eq!(earlier(before, "+0000"), Some(true), "{before}");
            assert_eq!(earlier(after, "+0000"), Some(false), "{after}");
        }
        for nothing in ["", "utmp", "utmp 0 0", "audit(", "Nov", "2026-99-99 01:10:24", "Foo 22 01:10:24"] {
            assert_eq!(earlier(nothing, "+0000"), None, "{nothing}");
        }
    }

    #[test]
    fn a_local_time_is_certain_only_far_from_the_boot() {
        for zone in ["+0200", "-0800", ""] {
            assert_eq!(earlier("Nov 20 01:10:24", zone), Some(true), "{zone}");
            assert_eq!(earlier("Nov 22 20:10:24", zone), None, "{zone}");
        }
        assert_eq!((offset("-0130"), offset("+9900"), offset("UTC")), (Some(-5400), None, None));
    }
}
