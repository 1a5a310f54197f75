//! What an image is made from, in one digest: the bytes of its input files, and what assay.hcl says of its build (template, variables, `only` and the like). It owns the forms that the
//! digest has and had; what the files are is `input_digest`'s.

use assay_model::{Digest, history::ImageHistory};

/// Stands before what is digested, so that a digest of files alone is never one of this form.
const FORM: &str = "assay source digest 2";

/// The source digest of an image, in every form that a record of it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDigest {
    /// Of the files and of the build's configuration: what is recorded now.
    pub current: Digest,
    /// Of the files alone: what earlier versions recorded.
    pub former: Digest,
}

impl SourceDigest {
    /// Of the digest of the files, and of what assay.hcl says of the build; empty where it says nothing.
    pub fn of(files: Digest, build: &str) -> Self {
        let text = [FORM, files.as_str(), build].join("\0");
        Self { current: Digest::of(text.as_bytes()), former: files }
    }

    /// Whether a record names this source. A record of an earlier version names the files alone, and is believed as it was then.
    pub fn is(&self, recorded: &Digest) -> bool {
        *recorded == self.current || *recorded == self.former
    }

    /// A history in which records of this source's former form are of its current one.
    pub fn in_history<'a>(source: Option<&'a Self>, history: ImageHistory<'a>) -> ImageHistory<'a> {
        match source {
            Some(source) => history.with_former_inputs(source.former.as_str(), source.current.as_str()),
            None => history,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_build_is_another_source_and_what_earlier_versions_recorded_counts() {
        let files = Digest::of(b"files");
        let (one, two) = (SourceDigest::of(files.clone(), "{1}"), SourceDigest::of(files.clone(), "{2}"));
        assert!(one.is(&one.current) && !one.is(&two.current));
        assert!(one.is(&files) && two.is(&files), "the form of earlier versions");
        let none = SourceDigest::of(files.clone(), "");
        assert!(!none.is(&one.current) && none.current != files, "no configuration is a configuration, too");
        assert!(!one.is(&Digest::of(b"other files")));
    }
}
