//! One mistake of a user, with everything needed to mend it: where it stands, which option, what was found and what would be right.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValuePlace {
    /// In the block of the Packer template; Packer itself names the block.
    Template,
    /// On the command line.
    Flag,
    /// In assay.hcl.
    File {
        /// The file as it was named or found.
        path: PathBuf,
        /// 1-based.
        line: usize,
    },
    /// Nowhere: it is missing.
    Nowhere,
}

/// One mistake. Displays as `assay.hcl:12: ssh.port: …` or `ssh_port: …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// Where.
    pub place: ValuePlace,
    /// The option as it is called there: `ssh_port`, `--ssh-port`, `ssh.port`.
    pub option: String,
    /// What is wrong and what would be right, a fragment without full stop.
    pub message: String,
}

impl ConfigProblem {
    /// A mistake in the value of `option`, given at `place`.
    pub fn new(place: ValuePlace, option: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place, option: option.into(), message: message.into() }
    }

    /// A mistake on a line of a file.
    pub fn in_file(path: &Path, line: usize, option: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ValuePlace::File { path: path.to_owned(), line }, option, message)
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ValuePlace::File { path, line } = &self.place {
            write!(f, "{}:{line}: ", path.display())?;
        }
        if !self.option.is_empty() {
            write!(f, "{}: ", self.option)?;
        }
        f.write_str(&self.message)
    }
}
