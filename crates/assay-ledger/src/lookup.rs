//! What is only ever asked of a repository: many blobs at once, whether its history is whole, which commits a history lacks, whether a tag's
//! signature is good. It refuses to write.

use std::collections::BTreeSet;

use super::{
    git::{GitCall, GitError, REMOTE_DEADLINE},
    remote::RemoteReferences,
    repository::Repository,
};

/// How many blobs are asked for at once, and how many bytes: they must fit into what is kept of one answer.
const AT_ONCE: usize = 2_000;
/// See [`AT_ONCE`]; what is larger is asked for alone.
const BYTES_AT_ONCE: u64 = 32 << 20;

impl Repository {
    /// Hands over the bytes of each blob, in order, by few calls; `None` for one of more than `most` bytes. Fails where one is missing.
    pub(crate) async fn blobs(
        &self,
        ids: &[&str],
        most: u64,
        mut each: impl AsyncFnMut(&str, Option<&[u8]>),
    ) -> Result<(), GitError> {
        let sizes = self.sizes(ids).await?;
        let mut rest: Vec<(&str, u64)> = ids.iter().copied().zip(sizes).collect();
        while !rest.is_empty() {
            let mut bytes = 0;
            let mut fits = |(_, size): &(&str, u64)| {
                bytes += if *size > most { 0 } else { *size };
                bytes <= BYTES_AT_ONCE
            };
            let count = rest.iter().take(AT_ONCE).take_while(|one| fits(one)).count().max(1);
            let some: Vec<(&str, u64)> = rest.drain(..count).collect();
            self.some_blobs(&some, most, &mut each).await?;
        }
        Ok(())
    }

    /// The sizes of blobs, in order, by one call. Fails where one is missing.
    async fn sizes(&self, ids: &[&str]) -> Result<Vec<u64>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let input = ids.join("\n") + "\n";
        let call = GitCall {
            arguments: vec!["cat-file", "--batch-check=%(objectsize)"],
            input: input.as_bytes(),
            // In a partial clone this asks the remote.
            deadline: Some(REMOTE_DEADLINE),
            ..GitCall::default()
        };
        let output = self.git().run(call).await?;
        let text = String::from_utf8_lossy(&output);
        let strange = |answer: &str| GitError::Strange {
            verb: "cat-file".to_owned(),
            answer: super::words::clean(answer),
            expected: "the size of an object that is here",
        };
        let sizes: Vec<u64> =
            text.lines().map(|line| line.parse().map_err(|_| strange(line))).collect::<Result<_, _>>()?;
        if sizes.len() == ids.len() { Ok(sizes) } else { Err(strange(&format!("{} sizes", sizes.len()))) }
    }

    /// [`Self::blobs`], for as many as go into one answer.
    async fn some_blobs(
        &self,
        some: &[(&str, u64)],
        most: u64,
        each: &mut impl AsyncFnMut(&str, Option<&[u8]>),
    ) -> Result<(), GitError> {
        let wanted: Vec<&str> = some.iter().filter(|(_, size)| *size <= most).map(|(id, _)| *id).collect();
        let mut output = Vec::new();
        if !wanted.is_empty() {
            let input = wanted.join("\n") + "\n";
            let call = GitCall {
                arguments: vec!["cat-file", "--batch"],
                input: input.as_bytes(),
                deadline: Some(REMOTE_DEADLINE),
                ..GitCall::default()
            };
            output = self.git().run(call).await?;
        }
        let mut rest = output.as_slice();
        for (id, size) in some {
            if *size > most {
                each(id, None).await;
                continue;
            }
            let (bytes, behind) = one_of_batch(rest).ok_or_else(|| GitError::Strange {
                verb: "cat-file".to_owned(),
                answer: super::words::clean(&String::from_utf8_lossy(&rest[..rest.len().min(200)])),
                expected: "the bytes of an object that is here",
            })?;
            each(id, Some(bytes)).await;
            rest = behind;
        }
        Ok(())
    }

    /// Whether older commits are left out here.
    pub(crate) async fn is_shallow(&self) -> Result<bool, GitError> {
        Ok(self.git().text(&["rev-parse", "--is-shallow-repository"]).await? == "true")
    }

    /// Those of `commits` that `tip` does not have in its history. What is not here at all is not in it either.
    pub(crate) async fn not_in(&self, commits: &[&str], tip: &str) -> Result<BTreeSet<String>, GitError> {
        if commits.is_empty() {
            return Ok(BTreeSet::new());
        }
        let input = commits.iter().map(|commit| format!("{commit}\n")).collect::<String>() + &format!("^{tip}\n");
        let arguments = vec!["rev-list", "--ignore-missing", "--stdin"];
        let output = self.git().run(GitCall { arguments, input: input.as_bytes(), ..GitCall::default() }).await?;
        Ok(String::from_utf8_lossy(&output).lines().map(str::to_owned).collect())
    }

    /// The local tags, as [`Self::remote_references`] has a remote's.
    pub(crate) async fn local_tags(&self) -> Result<RemoteReferences, GitError> {
        let format = "--format=%(refname)%00%(objectname)%00%(*objectname)";
        let text = self.git().text(&["for-each-ref", format, "refs/tags"]).await?;
        let mut tags = RemoteReferences::new();
        for row in text.lines() {
            let mut words = row.split('\0');
            let (Some(name), Some(object)) = (words.next(), words.next()) else { continue };
            tags.insert(name.to_owned(), object.to_owned());
            if let Some(peeled) = words.next().filter(|peeled| !peeled.is_empty()) {
                tags.insert(format!("{name}^{{}}"), peeled.to_owned());
            }
        }
        Ok(tags)
    }

    /// Brings the objects behind references of a remote here; see [`Self::fetch`].
    pub(crate) async fn fetch_all(&self, remote: &str, references: &[String]) -> Result<(), GitError> {
        for some in references.chunks(500) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            self.fetch_these(remote, &some).await?;
        }
        Ok(())
    }

    /// Whether git trusts the signature of a tag object; else its words.
    pub(crate) async fn verify_tag(&self, object: &str) -> Result<Result<(), String>, GitError> {
        match self.git().text(&["verify-tag", object]).await {
            Ok(_) => Ok(Ok(())),
            Err(GitError::Failed { words, .. }) => {
                Ok(Err(if words.is_empty() { "it has none".to_owned() } else { words }))
            }
            Err(error) => Err(error),
        }
    }
}

/// One object of `cat-file --batch`: `ID SP TYPE SP SIZE LF BYTES LF` (git-cat-file(1)), and what is behind it.
fn one_of_batch(output: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = output.iter().position(|byte| *byte == b'\n')?;
    let size: usize = std::str::from_utf8(&output[..end]).ok()?.rsplit(' ').next()?.parse().ok()?;
    let bytes = output.get(end + 1..end + 1 + size)?;
    Some((bytes, output.get(end + 2 + size..).unwrap_or_default()))
}
