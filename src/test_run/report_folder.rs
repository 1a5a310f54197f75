//! Whether reports may be written where they are wanted, asked before anything is launched. It refuses a folder that a commit has prepared: links in it, and report
//! files that git tracks, since evidence that is tracked counts as some commit's word and no longer as this job's.

use std::path::Path;

use crate::report;
use assay_ledger as ledger;

/// Names of what is written there; a second build of a run adds to the name.
const WRITTEN: [(&str, &str); 4] = [("evidence", ".json"), ("junit", ".xml"), ("report", ".txt"), ("console-", ".txt")];

/// What speaks against writing into `folder`.
pub(super) async fn problem(folder: Option<&Path>) -> Option<String> {
    let folder = folder?;
    for (name, ending) in WRITTEN.iter().take(3) {
        if let Err(error) = report::refuse_links(&folder.join(format!("{name}{ending}"))) {
            return Some(format!("report_dir: {error}"));
        }
    }
    match ledger::tracked_below(folder, &ledger::environment_of_process()).await {
        Ok(tracked) => tracked.iter().find(|path| is_report(path)).map(|path| refusal(path)),
        Err(error) => {
            // Evidence is asked for again when it is promoted; without git there is nothing to ask here.
            tracing::info!(%error, "whether git tracks files in report_dir is not known");
            None
        }
    }
}

fn is_report(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    WRITTEN.iter().any(|(beginning, ending)| name.starts_with(beginning) && name.ends_with(ending))
}

fn refusal(path: &Path) -> String {
    format!(
        "report_dir: git tracks {}, and what it tracks is no report of this run; take it out: git rm --cached {}",
        path.display(),
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let status = std::process::Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(status.expect("git runs").success(), "git {arguments:?}");
    }

    #[tokio::test]
    async fn a_folder_that_a_commit_prepared_is_refused_with_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let reports = folder.path().join("build/reports");
        assert_eq!(problem(Some(&reports)).await, None, "not there, and no repository");
        git(folder.path(), &["init", "-q"]);
        std::fs::create_dir_all(&reports).expect("made");
        std::fs::write(reports.join("evidence.json"), "{}").expect("written");
        std::fs::write(reports.join("README.md"), "kept").expect("written");
        assert_eq!(problem(Some(&reports)).await, None);
        git(folder.path(), &["add", "build/reports/README.md"]);
        assert_eq!(problem(Some(&reports)).await, None, "another file");
        git(folder.path(), &["add", "-f", "build/reports/evidence.json"]);
        let why = problem(Some(&reports)).await.expect("refused");
        assert!(why.contains("build/reports/evidence.json") && why.contains("git rm --cached"), "{why}");
        git(folder.path(), &["rm", "-q", "--cached", "build/reports/evidence.json"]);
        std::os::unix::fs::symlink("/etc/motd", reports.join("report.txt")).expect("linked");
        let why = problem(Some(&reports)).await.expect("refused");
        assert!(why.contains("reports/report.txt") && why.contains("link"), "{why}");
        assert_eq!(problem(None).await, None);
    }
}
