//! What each instance must make anew: its machine id, cloud-init's memory, its random seed.

use super::{HygieneFacts, HygieneFinding};

/// `machine`: time, path, id. An empty file, or one that says `uninitialized`, is filled at the first boot
/// (machine-id(5)), and is younger than it then.
pub(super) fn machine_id(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let mut found = Vec::new();
    for [time, path, id] in facts.answer.section("machine").facts() {
        if facts.answer.is_older(time) && !id.is_empty() && id != "uninitialized" {
            let text = format!("{path} is older than the first boot: every instance has the same machine id");
            found.push(HygieneFinding::new(&[path], text));
        }
    }
    found
}

/// `cloud`: other instances' directories, and what cloud-init does once only and believes done.
pub(super) fn cloud_init(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let section = facts.answer.section("cloud");
    let mut found = Vec::new();
    for [user_data, path] in section.of_kind("instance") {
        let more = if user_data == "yes" { ", with that one's user data" } else { "" };
        found.push(HygieneFinding::new(&[path], format!("{path} is of another instance{more}")));
    }
    for [time, path] in section.of_kind("once") {
        if facts.answer.is_older(time) {
            let text = format!("{path} is older than the first boot: cloud-init takes this for done");
            found.push(HygieneFinding::new(&[path], text));
        }
    }
    found
}

/// `seed`: time and birth, path. The boot writes the file anew, so its birth tells more, where the file system keeps
/// it.
pub(super) fn random_seed(facts: &HygieneFacts<'_>) -> Vec<HygieneFinding> {
    let mut found = Vec::new();
    for [times, path] in facts.answer.section("seed").facts() {
        let (changed, born) = times.split_once(' ').unwrap_or((times, ""));
        let born_earlier = born.parse::<i64>().is_ok_and(|b| b > 0) && facts.answer.is_older(born);
        if facts.answer.is_older(changed) || born_earlier {
            let text = format!("{path} is older than the first boot: every instance begins with the same seed");
            found.push(HygieneFinding::new(&[path], text));
        }
    }
    found
}
