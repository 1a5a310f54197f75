//! Lines of /etc/passwd (passwd(5)) and /etc/group (group(5)), read as goss's own binary reads them: it is built without
//! C's library, so it knows these two files and no other source of accounts (Go, os/user/lookup_unix.go).

/// The function that finds lines in either file.
pub(super) const SHELL: &str = include_str!("accounts.sh");

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostAccount<'a> {
    /// Its number; Go reads a signed one.
    pub uid: i64,
    /// Its first group's number.
    pub gid: i64,
    /// Its home folder.
    pub home: &'a str,
    /// Its login shell.
    pub shell: &'a str,
}

/// The first line about `name` that can be read.
pub(super) fn account<'a>(passwd: &'a str, name: &str) -> Option<HostAccount<'a>> {
    entries(passwd, 7).find(|fields| fields[0] == name).and_then(|fields| {
        let (uid, gid) = (fields[2].parse().ok()?, fields[3].parse().ok()?);
        Some(HostAccount { uid, gid, home: fields[5], shell: fields[6] })
    })
}

/// The number of the group `name`.
pub(super) fn group(groups: &str, name: &str) -> Option<i64> {
    entries(groups, 4).filter(|fields| fields[0] == name).find_map(|fields| fields[2].parse().ok())
}

/// The groups of `user`, sorted by name: its first one and those that list it (goss, system/user_group_unix.go).
pub(super) fn groups_of<'a>(groups: &'a str, user: &str, gid: i64) -> Vec<&'a str> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, members] = fields.as_slice() else { continue };
        if number.parse() == Ok(gid) {
            found.push(*name);
        } else {
            found.extend(members.split(',').filter(|member| *member == user).map(|_| *name));
        }
    }
    found.sort_unstable();
    found
}

/// The lines with `count` fields or more, what is too much left in the last; no comments, and none of the lines that
/// belong to NIS.
fn entries(text: &str, count: usize) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', '+', '-', ':']))
        .map(move |line| line.splitn(count, ':').collect::<Vec<_>>())
        .filter(move |fields| fields.len() == count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "xa:x:1:1:::\n# a:x:2:2:::\n+a:x:3:3:::\na:x:four:4:::\n  a:x:7:8:A,,:/h:/bin/sh \na:x:9:9:::\n";
    const GROUP: &str = "wheel:x:10:b,a\na:x:8:\nbroken:x:8\nother:x:11:aa,ba\nz:x:12:a,a\nwide:x:8:a:b\n";

    #[test]
    fn the_first_line_that_can_be_read() {
        assert_eq!(account(PASSWD, "xa").map(|a| a.uid), Some(1));
        assert_eq!(
            account("a:x:7:8:A,,:/h:/bin/sh", "a").map(|a| (a.uid, a.gid, a.home, a.shell)),
            Some((7, 8, "/h", "/bin/sh"))
        );
        assert_eq!((account("a:x:7:8:/h", "a"), account(PASSWD, "b"), account("", "")), (None, None, None));
        assert_eq!((group(GROUP, "wheel"), group(GROUP, "broken"), group(GROUP, "whee")), (Some(10), None, None));
        assert_eq!(group(GROUP, "wide"), Some(8));
    }

    #[test]
    fn groups_are_sorted_and_hold_the_first_one() {
        assert_eq!(groups_of(GROUP, "a", 8), ["a", "wheel", "z", "z"]);
        assert_eq!(groups_of(GROUP, "nobody", 99), Vec::<&str>::new());
    }
}
