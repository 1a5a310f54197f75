//! The candidate file, `images/<image>/candidates/<run>.hcl`: HCL text ⇄ [`Candidate`]. It owns the layout (stable order, so that diffs
//! are small) and what must be there; it refuses to merge (see `merge`) and to touch git.

use super::hcl_text::{FoundBlock, HclError, HclSection, HclSource, HclWriter, quote, quote_list};
use assay_model::{
    AmiRecord, AmiRef, Candidate, CandidateAmi, Digest, Provenance, RunId, Verdict,
    ids::{IdError, ImageName},
};

/// First line of every file that assay writes to git.
pub const HEADER: &str = "Written by assay; `assay commit` merges it by architecture and region.";

/// The largest candidate file that is read, in bytes. One AMI takes about half a KiB: both architectures in every region are 40 KiB, and
/// with thirty volumes each 100.
pub(super) const MAX_BYTES: u64 = 256 << 10;

/// The file's place in the repository, with `/`.
pub fn path(candidate: &Candidate) -> String {
    path_of(&candidate.image, candidate.run)
}

/// The place of the candidate file of a run.
pub(super) fn path_of(image: &ImageName, run: RunId) -> String {
    format!("images/{image}/candidates/{run}.hcl")
}

/// The file's text. The same candidate always gives the same bytes.
pub fn write(candidate: &Candidate) -> String {
    let mut writer = HclWriter::new();
    writer.comment(HEADER);
    write_block(&mut writer, &format!("candidate {}", quote(candidate.image.as_str())), candidate);
    writer.finish()
}

/// Writes the candidate as a block with the given head; the lock file holds the same block in each entry.
pub(super) fn write_block(writer: &mut HclWriter, head: &str, candidate: &Candidate) {
    let attributes = [
        ("run", quote(&candidate.run.to_string())),
        ("state", quote(candidate.state.as_str())),
        ("verdict", quote(candidate.verdict.as_str())),
        ("tested_at", quote(&candidate.tested_at)),
        ("evidence", quote(candidate.evidence.as_str())),
    ];
    writer.block(head, &attributes, |writer| {
        write_provenance(writer, &candidate.provenance);
        let mut amis: Vec<&CandidateAmi> = candidate.amis.iter().collect();
        amis.sort_by_key(|ami| ami.key());
        for ami in amis {
            write_ami(writer, candidate, ami);
        }
    });
}

fn write_provenance(writer: &mut HclWriter, provenance: &Provenance) {
    let attributes: Vec<(&str, String)> = [
        ("owner", provenance.owner.as_deref()),
        ("commit", provenance.commit.as_deref()),
        ("branch", provenance.branch.as_deref()),
        ("pipeline", provenance.pipeline.as_deref()),
        ("source_digest", provenance.source_digest.as_ref().map(Digest::as_str)),
        ("parent", provenance.parent.as_ref().map(|id| id.as_str())),
        ("began_at", provenance.began_at.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name, quote(value))))
    .collect();
    writer.block("provenance", &attributes, |_| {});
}

/// The head of a block about one AMI: `KIND "ARCHITECTURE" "REGION"`.
pub(super) fn record_head(kind: &str, record: &AmiRecord) -> String {
    format!("{kind} {} {}", quote(record.architecture.as_str()), quote(record.ami.region.as_str()))
}

/// What such a block says of the AMI, the id first.
pub(super) fn record_attributes(record: &AmiRecord) -> Vec<(&'static str, String)> {
    vec![
        ("id", quote(record.ami.id.as_str())),
        ("name", quote(&record.name)),
        ("owner", quote(record.owner.as_str())),
        ("created_at", quote(&record.created_at)),
        ("snapshots", quote_list(record.snapshots.iter().map(String::as_str))),
    ]
}

/// Reads back what [`record_head`] and [`record_attributes`] wrote.
pub(super) fn read_record(found: &FoundBlock<'_>) -> Result<AmiRecord, HclError> {
    let section = found.section();
    let labels = found.labels(2)?;
    let wrong = |error: IdError| section.error(error.to_string());
    Ok(AmiRecord {
        ami: AmiRef { region: labels[1].parse().map_err(wrong)?, id: section.value("id")? },
        architecture: labels[0].parse().map_err(wrong)?,
        name: section.text("name")?,
        owner: section.value("owner")?,
        created_at: section.text("created_at")?,
        snapshots: section.list("snapshots")?,
    })
}

fn write_ami(writer: &mut HclWriter, candidate: &Candidate, ami: &CandidateAmi) {
    let head = record_head("ami", &ami.record);
    let mut attributes = record_attributes(&ami.record);
    attributes.push(("state", quote(ami.state.as_str())));
    // Only where builds of one run brought evidence of their own: the usual file stays short.
    if ami.evidence != candidate.evidence {
        attributes.push(("evidence", quote(ami.evidence.as_str())));
    }
    if ami.tested_at != candidate.tested_at {
        attributes.push(("tested_at", quote(&ami.tested_at)));
    }
    writer.block(&head, &attributes, |_| {});
}

/// Reads a file's text; `file` is what errors call it. Fails with file and line on anything but what [`write`] could have written.
pub fn read(file: &str, text: &str) -> Result<Candidate, HclError> {
    let source = HclSource { file, text };
    if text.len() as u64 > MAX_BYTES {
        return Err(source.error_at(1, format!("the file is larger than {MAX_BYTES} bytes")));
    }
    let body = source.parse()?;
    let (image, section) = source.only_block(&body, "candidate")?;
    let image = image.parse().map_err(|error: IdError| section.error(error.to_string()))?;
    read_section(&section, image)
}

/// Reads the inside of a candidate block.
pub(super) fn read_section(section: &HclSection<'_>, image: ImageName) -> Result<Candidate, HclError> {
    section.check_format()?;
    section.allow(&["format", "run", "state", "verdict", "tested_at", "evidence"], &["provenance", "ami"])?;
    let tested_at = timestamp(section, "tested_at")?.ok_or_else(|| section.error("the candidate needs tested_at"))?;
    let evidence: Digest = section.value("evidence")?;
    let mut amis = Vec::new();
    for found in section.blocks("ami") {
        let ami = read_ami(&found, &evidence, &tested_at)?;
        if amis.iter().any(|other: &CandidateAmi| other.key() == ami.key()) {
            let (architecture, region) = ami.key();
            return Err(found.section().error(format!("a second AMI for {architecture} in {region}")));
        }
        amis.push(ami);
    }
    amis.sort_by_key(CandidateAmi::key);
    Ok(Candidate {
        image,
        run: section.value("run")?,
        state: section.value("state")?,
        verdict: read_verdict(section)?,
        tested_at,
        provenance: read_provenance(section)?,
        evidence,
        amis,
    })
}

fn read_ami(found: &FoundBlock<'_>, evidence: &Digest, tested_at: &str) -> Result<CandidateAmi, HclError> {
    let section = found.section();
    section.allow(&["id", "name", "owner", "created_at", "snapshots", "state", "evidence", "tested_at"], &[])?;
    Ok(CandidateAmi {
        record: read_record(found)?,
        state: section.value("state")?,
        evidence: section.optional_value("evidence")?.unwrap_or_else(|| evidence.clone()),
        tested_at: timestamp(&section, "tested_at")?.unwrap_or_else(|| tested_at.to_owned()),
    })
}

fn read_provenance(section: &HclSection<'_>) -> Result<Provenance, HclError> {
    let blocks = section.blocks("provenance");
    let found = match blocks.as_slice() {
        [] => return Ok(Provenance::default()),
        [found] => found.section(),
        [_, second, ..] => return Err(second.section().error("a second provenance block")),
    };
    found.allow(&["owner", "commit", "branch", "pipeline", "source_digest", "parent", "began_at"], &[])?;
    Ok(Provenance {
        owner: found.optional("owner")?,
        commit: found.optional("commit")?,
        branch: found.optional("branch")?,
        pipeline: found.optional("pipeline")?,
        source_digest: found.optional_value("source_digest")?,
        parent: found.optional_value("parent")?,
        began_at: timestamp(&found, "began_at")?,
    })
}

fn read_verdict(section: &HclSection<'_>) -> Result<Verdict, HclError> {
    let word = section.text("verdict")?;
    [Verdict::Passed, Verdict::Failed, Verdict::Undecided]
        .into_iter()
        .find(|verdict| verdict.as_str() == word)
        .ok_or_else(|| section.error("verdict must be passed, failed or undecided"))
}

fn timestamp(section: &HclSection<'_>, name: &str) -> Result<Option<String>, HclError> {
    let Some(text) = section.optional(name)? else { return Ok(None) };
    section.value::<jiff::Timestamp>(name)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{candidate, candidate_of_two_builds};

    #[test]
    fn a_candidate_survives_its_file() {
        for candidate in [candidate(), candidate_of_two_builds()] {
            let text = write(&candidate);
            assert_eq!(read("c.hcl", &text).expect("reads what it wrote"), candidate);
            assert_eq!(write(&read("c.hcl", &text).expect("reads")), text);
        }
    }

    #[test]
    fn the_layout() {
        insta::assert_snapshot!("candidate_file", write(&candidate_of_two_builds()));
    }

    #[test]
    fn the_order_of_amis_does_not_change_the_text() {
        let mut turned = candidate_of_two_builds();
        turned.amis.reverse();
        assert_eq!(write(&turned), write(&candidate_of_two_builds()));
    }

    #[test]
    fn errors_name_file_line_and_the_nearest_name() {
        let text = write(&candidate());
        let wrong = |from: &str, to: &str| read("c.hcl", &text.replacen(from, to, 1)).expect_err(to).to_string();
        assert_eq!(
            wrong("snapshots ", "snapshot "),
            "c.hcl:20: ami \"x86_64\" \"us-east-1\" has no attribute \"snapshot\"; did you mean snapshots?"
        );
        assert!(wrong("id         = \"ami-", "id         = \"emi-").starts_with("c.hcl:16: id: "));
        assert!(wrong("candidate \"base\"", "candidate \"../x\"").contains("is not an image name"));
        assert!(wrong("tested_at = \"2026", "tested_at = \"x026").starts_with("c.hcl:6: tested_at: "));
        assert!(wrong("= \"ami-0abcdef1234567801\"", "= uuid()").contains("c.hcl:16: id must be a plain string"));
        assert!(read("c.hcl", "").expect_err("empty").to_string().contains("exactly one candidate block"));
        assert!(
            read("c.hcl", "candidate \"base\" {").expect_err("cut").to_string().starts_with("c.hcl:1: not valid HCL")
        );
    }
}
