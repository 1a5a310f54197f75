//! Processes of this machine, as /proc tells of them.

use std::{collections::BTreeMap, fs};

/// The processes that `pid` started.
pub(crate) fn children_of(pid: &str) -> Vec<String> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).expect("a process").filter_map(Result::ok) {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().map(str::to_owned));
    }
    children
}

/// The fields of `/proc/PID/status`, each without its blanks at the ends.
pub(crate) fn status_fields(pid: u32) -> BTreeMap<String, String> {
    let text =
        fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_else(|error| panic!("process {pid}: {error}"));
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// The hard limit of a line of `/proc/PID/limits`, such as "Max open files".
pub(crate) fn hard_limit(pid: u32, name: &str) -> String {
    let text =
        fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_else(|error| panic!("process {pid}: {error}"));
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line[name.len()..].split_whitespace().nth(1).expect("a hard limit").to_owned()
}
