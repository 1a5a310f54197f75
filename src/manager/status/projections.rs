//! Projections on the protected branch: whether each file says what is gold. It owns that comparison; `promote` writes them.

use std::path::Path;

use super::{
    finding::{StatusDrift, StatusFinding},
    look::StatusSubject,
};
use assay_ledger::{LedgerError, LedgerSnapshot, projection};

/// Every projection that does not say what is gold. `prefix`: the folder of assay.hcl from the repository's root, empty or with `/` at its end.
pub(super) async fn look(
    books: &LedgerSnapshot,
    prefix: &str,
    subject: &StatusSubject,
) -> Result<Vec<StatusDrift>, LedgerError> {
    let Some(gold) = subject.lock.gold else { return Ok(Vec::new()) };
    let amis = subject.lock.amis(gold);
    let mut drift = Vec::new();
    for one in &subject.declared.projections {
        let path = format!("{prefix}{}", one.path.display());
        let there = books.file(&path).await?;
        // What must be written is what promotion would write.
        let why =
            match projection::apply(Path::new(&path), there.as_deref(), one, &subject.declared.architectures, &amis) {
                Ok(wanted) if there.as_ref() == Some(&wanted) => continue,
                Ok(_) if there.is_none() => "does not exist".to_owned(),
                Ok(_) => format!("{} does not name the gold AMIs", one.variable),
                Err(error) => error.to_string(),
            };
        let finding = StatusFinding::Projection { file: path, why };
        drift.push(StatusDrift {
            image: subject.lock.image.clone(),
            run: Some(gold),
            ami: None,
            region: None,
            finding,
        });
    }
    Ok(drift)
}
