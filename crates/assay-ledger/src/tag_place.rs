//! Where an annotated tag goes when somebody was there before: whoever may push a tag can take any name, and that must neither stop a move nor change what it
//! says. It owns the names beside the due one, and the words about what stands there; it refuses to move or delete a tag.

use super::{LedgerError, remote::RemoteReferences};

/// So many names are tried for one tag: the due one, then `-2` and so on behind it.
const MOST_NAMES: usize = 9;

/// Where a tag is, or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagPlace {
    /// It is there, under this name.
    There(String),
    /// It is to be made under this name.
    Free(String),
    /// It cannot be made.
    Blocked,
}

/// Looks for the place of the tag that is due under `name`. `says`: whether the tag of a name says what it should; `None`: it could not be looked at, and neither
/// can this. The words are warnings for the user.
pub(super) async fn find(
    references: &RemoteReferences,
    name: &str,
    mut says: impl AsyncFnMut(&str) -> Result<Option<bool>, LedgerError>,
) -> Result<Option<(TagPlace, Vec<String>)>, LedgerError> {
    let mut warnings = Vec::new();
    for number in 1..=MOST_NAMES {
        let name = if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
        if let Some(other) = in_the_way(references, &name) {
            warnings.push(format!(
                "the tag {name} is not made: git keeps tags as files, and the tag {other} is in its place. Delete that one \
                 (git push REMOTE --delete {other}) and run this again"
            ));
            return Ok(Some((TagPlace::Blocked, warnings)));
        }
        if !references.contains_key(&format!("refs/tags/{name}")) {
            return Ok(Some((TagPlace::Free(name), warnings)));
        }
        match says(&name).await? {
            Some(true) => return Ok(Some((TagPlace::There(name), warnings))),
            Some(false) => warnings.push(format!(
                "the tag {name} exists and is not assay's word on these AMIs; assay never moves a tag, so its own stands beside it. \
                 Look at it (git show {name}), and delete it if it is wrong"
            )),
            None => return Ok(None),
        }
    }
    Ok(Some((TagPlace::Blocked, warnings)))
}

/// A tag that makes one of this name impossible: a reference cannot be both a file and a folder (git-check-ref-format(1)).
fn in_the_way(references: &RemoteReferences, name: &str) -> Option<String> {
    let parents = name.match_indices('/').map(|(at, _)| &name[..at]);
    let parent = parents.into_iter().find(|parent| references.contains_key(&format!("refs/tags/{parent}")));
    if let Some(parent) = parent {
        return Some(parent.to_owned());
    }
    let below = format!("refs/tags/{name}/");
    let (found, _) = references.range(below.clone()..).next()?;
    found.starts_with(&below).then(|| found.trim_start_matches("refs/tags/").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(tags: &[&str], ours: &[&str]) -> (TagPlace, Vec<String>) {
        let references = tags.iter().map(|tag| (format!("refs/tags/{tag}"), "1".to_owned())).collect();
        let says = async |name: &str| Ok(Some(ours.contains(&name)));
        find(&references, "base/gold/1", says).await.expect("looked").expect("could be looked at")
    }

    #[tokio::test]
    async fn a_foreign_tag_costs_a_name_and_one_that_excludes_it_the_tag() {
        assert_eq!(found(&[], &[]).await, (TagPlace::Free("base/gold/1".to_owned()), Vec::new()));
        let ours = found(&["base/gold/1"], &["base/gold/1"]).await;
        assert_eq!(ours, (TagPlace::There("base/gold/1".to_owned()), Vec::new()));
        let (place, words) = found(&["base/gold/1"], &[]).await;
        assert_eq!((place, words.len()), (TagPlace::Free("base/gold/1-2".to_owned()), 1), "{words:?}");
        let (place, _) = found(&["base/gold/1", "base/gold/1-2"], &["base/gold/1-2"]).await;
        assert_eq!(place, TagPlace::There("base/gold/1-2".to_owned()));
        for blocking in ["base", "base/gold", "base/gold/1/x"] {
            let (place, words) = found(&[blocking, "base/gold0", "bas"], &[]).await;
            assert_eq!(place, TagPlace::Blocked);
            assert!(words[0].contains(&format!("the tag {blocking} is in its place")), "{words:?}");
        }
    }
}
