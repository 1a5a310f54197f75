//! The comparison of two runs of an image, as text for people, as Markdown for a pull request's comment, as JSON. It owns the layout and that nothing which a
//! host said becomes markup, a mention, or more than a comment can hold.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::ReportStyle;
use assay_model::{
    BootFacts,
    compare::ImageChange,
    escape::escape_line,
    image_diff::{ArchitectureDiff, ImageDiff, SideHead},
};

/// GitHub takes comments of 65,536 characters.
const COMMENT_AT_MOST: usize = 60_000;
/// The most rows of one table in Markdown.
const ROWS: usize = 150;
/// The longest cell.
const CELL: usize = 160;

/// For a terminal.
pub(crate) fn text(diff: &ImageDiff, style: ReportStyle) -> String {
    let mut text = format!("{}\n", headline(diff));
    for one in &diff.architectures {
        let _ = write!(text, "\n{}: {}\n", one.architecture, amis(one));
        if let Some(note) = &one.note {
            let _ = writeln!(text, "  {}", escape_line(note));
        }
        for (name, old, new) in measures(one) {
            let _ = writeln!(text, "  {name}: {}", arrow(old.as_deref(), new.as_deref()));
        }
        let Some(changes) = &one.changes else { continue };
        for missing in &changes.incomparable {
            let _ = writeln!(text, "  {} not compared: {}", missing.part.as_str(), escape_line(&missing.reason));
        }
        if changes.is_empty() {
            text.push_str("  nothing else differs\n");
            continue;
        }
        for (name, list) in changes.sections().into_iter().filter(|(_, list)| !list.is_empty()) {
            let _ = write!(text, "\n  {name}: {}\n{}\n", counted(list), table(list, style));
        }
    }
    text
}

/// `image base: candidate 01K… against gold 01K…`
fn headline(diff: &ImageDiff) -> String {
    let image = diff.image.as_ref().map(|image| format!("image {image}: ")).unwrap_or_default();
    match &diff.old {
        Some(old) => format!("{image}{} against {}", called(&diff.new), called(old)),
        None => format!("{image}{}; there is no gold yet, so everything in it is new", called(&diff.new)),
    }
}

fn called(side: &SideHead) -> String {
    let name = escape_line(&side.name);
    if side.name == side.run.to_string() { name } else { format!("{name} {}", side.run) }
}

fn amis(one: &ArchitectureDiff) -> String {
    let list = |amis: &[String]| amis.iter().map(|ami| escape_line(ami)).collect::<Vec<_>>().join(", ");
    match (one.old.is_empty(), one.new.is_empty()) {
        (true, _) => list(&one.new),
        (false, true) => format!("none (was {})", list(&one.old)),
        (false, false) => format!("{} (was {})", list(&one.new), list(&one.old)),
    }
}

/// Name, old and new of what is measured; what neither knows is left out.
fn measures(one: &ArchitectureDiff) -> Vec<(&'static str, Option<String>, Option<String>)> {
    let of = |boot: Option<BootFacts>, read: fn(BootFacts) -> Option<String>| boot.and_then(read);
    let kernel: fn(BootFacts) -> Option<String> = |it| it.kernel_ms.map(|ms| format!("{ms} ms"));
    let userspace: fn(BootFacts) -> Option<String> = |it| it.userspace_ms.map(|ms| format!("{ms} ms"));
    let disk: fn(BootFacts) -> Option<String> = |it| it.disk_used_bytes.map(mebibytes);
    let count = |count: Option<usize>| count.map(|count| count.to_string());
    let all = [
        ("boot, kernel", of(one.old_boot, kernel), of(one.new_boot, kernel)),
        ("boot, userspace", of(one.old_boot, userspace), of(one.new_boot, userspace)),
        ("used on /", of(one.old_boot, disk), of(one.new_boot, disk)),
        ("packages", count(one.old_packages), count(one.new_packages)),
    ];
    all.into_iter().filter(|(_, old, new)| old.is_some() || new.is_some()).collect()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

fn arrow(old: Option<&str>, new: Option<&str>) -> String {
    match (old, new) {
        (Some(old), Some(new)) if old == new => old.to_owned(),
        (old, new) => format!("{} → {}", old.unwrap_or("-"), new.unwrap_or("-")),
    }
}

/// `2 new, 1 gone, 3 changed`
fn counted(list: &[ImageChange]) -> String {
    let count = |wanted: (bool, bool)| list.iter().filter(|it| (it.old.is_some(), it.new.is_some()) == wanted).count();
    let words = [(count((false, true)), "new"), (count((true, false)), "gone"), (count((true, true)), "changed")];
    let words: Vec<String> =
        words.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    words.join(", ")
}

fn table(list: &[ImageChange], style: ReportStyle) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = style.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for change in list {
        let sign = sign(change);
        let side =
            |side: &Option<String>| side.as_deref().map_or_else(|| "-".to_owned(), |text| cut(&escape_line(text)));
        table.add_row([format!("  {sign} {}", cut(&escape_line(&change.name))), side(&change.old), side(&change.new)]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn sign(change: &ImageChange) -> char {
    match (&change.old, &change.new) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// For a pull request's comment: a short table that shows, and lists that can be opened. Its first line is a comment by which CI can find its own comment
/// again.
pub(crate) fn markdown(diff: &ImageDiff) -> String {
    let image = diff.image.as_deref().unwrap_or("hosts");
    let mut text = format!("<!-- assay diff {} -->\n", words_only(image));
    match &diff.old {
        Some(old) => {
            let _ = writeln!(text, "### {}: {} against {}\n", code(image), head(&diff.new), head(old));
        }
        None => {
            let _ = writeln!(
                text,
                "### {}: {}\n\nThere is no gold yet: everything in it is new.\n",
                code(image),
                head(&diff.new)
            );
        }
    }
    for one in &diff.architectures {
        let part = architecture(diff, one);
        if text.len() + part.len() > COMMENT_AT_MOST {
            let _ = writeln!(
                text,
                "\n**{}**: left out, since this comment would be too long; `assay diff` shows all.",
                one.architecture
            );
            continue;
        }
        text.push_str(&part);
    }
    text
}

fn head(side: &SideHead) -> String {
    let name = if side.name == side.run.to_string() { String::new() } else { format!("{} ", plain(&side.name)) };
    format!("{name}{}", code(&side.run.to_string()))
}

fn architecture(diff: &ImageDiff, one: &ArchitectureDiff) -> String {
    let (old, new) = (diff.old.as_ref().map_or("gold", |old| old.name.as_str()), diff.new.name.as_str());
    let mut text = format!("#### {}\n\n", plain(&one.architecture));
    if let Some(note) = &one.note {
        let _ = writeln!(text, "{}\n", code(note));
    }
    let _ = writeln!(text, "| | {} | {} |\n|---|---|---|", plain(old), plain(new));
    let list = |amis: &[String]| match amis.is_empty() {
        true => "none".to_owned(),
        false => amis.iter().map(|ami| code(ami)).collect::<Vec<_>>().join("<br>"),
    };
    let _ = writeln!(text, "| AMIs | {} | {} |", list(&one.old), list(&one.new));
    for (name, old, new) in measures(one) {
        let _ = writeln!(text, "| {name} | {} | {} |", old.as_deref().unwrap_or("-"), new.as_deref().unwrap_or("-"));
    }
    text.push('\n');
    let Some(changes) = &one.changes else { return text };
    for missing in &changes.incomparable {
        let _ = writeln!(text, "{} not compared: {}\n", missing.part.as_str(), code(&missing.reason));
    }
    if changes.is_empty() {
        text.push_str("Nothing else differs.\n\n");
    }
    for (name, list) in changes.sections().into_iter().filter(|(_, list)| !list.is_empty()) {
        let _ = writeln!(text, "<details><summary>{name}: {}</summary>\n", counted(list));
        let _ = writeln!(text, "| | {name} | {} | {} |\n|---|---|---|---|", plain(old), plain(new));
        for change in list.iter().take(ROWS) {
            let side = |side: &Option<String>| side.as_deref().map_or_else(String::new, code);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                mark(change),
                code(&change.name),
                side(&change.old),
                side(&change.new)
            );
        }
        if list.len() > ROWS {
            let _ = writeln!(text, "\n{} more are not shown.", list.len() - ROWS);
        }
        text.push_str("\n</details>\n\n");
    }
    text
}

fn mark(change: &ImageChange) -> &'static str {
    match sign(change) {
        '+' => "new",
        '-' => "gone",
        _ => "changed",
    }
}

/// A text as code. In it neither mentions nor links are made; every character that could mean something is written as its number.
fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<code>{}</code>", plain(text)) }
}

/// A text without any markup.
fn plain(text: &str) -> String {
    cut(&escape_line(text)).chars().fold(String::new(), |mut out, c| {
        if c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | '/' | '-' | '+' | '=' | '…') {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", u32::from(c));
        }
        out
    })
}

/// Letters, digits, `-` and `_` only: nothing that could end an HTML comment.
fn words_only(text: &str) -> String {
    let text: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    text.replace("--", "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::{
        compare::{ImageChanges, IncomparablePart},
        inventory::InventoryPart,
    };

    const OLD: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C";
    const NEW: &str = "01KAQ3B6G0R8ZJ5Q2X7V9N4M2D";

    fn change(name: &str, old: Option<&str>, new: Option<&str>) -> ImageChange {
        ImageChange { name: name.into(), old: old.map(Into::into), new: new.map(Into::into) }
    }

    fn sample() -> ImageDiff {
        let head =
            |name: &str, run: &str| SideHead { name: name.into(), run: run.parse().expect("a run"), tested_at: None };
        let boot = |kernel_ms, disk| {
            Some(BootFacts { kernel_ms: Some(kernel_ms), userspace_ms: None, disk_used_bytes: Some(disk) })
        };
        let changes = ImageChanges {
            packages: vec![
                change("curl", Some("7.88"), Some("7.89")),
                change("hostile", None, Some("\u{1b}[2J | `x` <img src=x> @everyone [a](http://x) ::error::")),
                change("old", Some("1"), None),
            ],
            ports: vec![change("tcp 0.0.0.0:8080", None, Some("python3"))],
            incomparable: vec![IncomparablePart { part: InventoryPart::SetId, reason: "gold: this needs root".into() }],
            ..ImageChanges::default()
        };
        let x86 = ArchitectureDiff {
            architecture: "x86_64".into(),
            old: vec!["us-east-1:ami-00000001".into()],
            new: vec!["us-east-1:ami-00000002".into()],
            old_boot: boot(1800, 1 << 30),
            new_boot: boot(1950, (1 << 30) + 5),
            old_packages: Some(2),
            new_packages: Some(2),
            changes: Some(changes),
            note: None,
        };
        let arm = ArchitectureDiff {
            architecture: "arm64".into(),
            old: Vec::new(),
            new: vec!["us-east-1:ami-00000003".into()],
            old_boot: None,
            new_boot: None,
            old_packages: None,
            new_packages: Some(2),
            changes: None,
            note: Some("only candidate has this architecture, gold does not".into()),
        };
        ImageDiff {
            image: Some("base".into()),
            old: Some(head("gold", OLD)),
            new: head("candidate", NEW),
            architectures: vec![arm, x86],
        }
    }

    #[test]
    fn as_text() {
        let text = text(&sample(), ReportStyle::plain());
        assert!(text.chars().all(|c| c == '\n' || assay_model::escape::is_harmless(c)));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn as_markdown_nothing_of_a_host_is_markup() {
        let text = markdown(&sample());
        assert!(!text.contains('@') && !text.contains("<img") && !text.contains("[a]") && !text.contains("::error"));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_comment_never_grows_too_long() {
        let mut diff = sample();
        let many = |n: usize| (0..n).map(|n| change(&format!("p{n}"), None, Some(&"<".repeat(300)))).collect();
        let changes = diff.architectures[1].changes.as_mut().expect("changes");
        (changes.packages, changes.units) = (many(2000), many(2000));
        let text = markdown(&diff);
        assert!(text.len() < COMMENT_AT_MOST + 1000 && text.contains("left out"), "{}", text.len());
    }

    #[test]
    fn the_first_image_and_no_difference() {
        let mut diff = sample();
        diff.old = None;
        assert!(text(&diff, ReportStyle::plain()).contains("no gold yet") && markdown(&diff).contains("no gold yet"));
        diff.architectures[1].changes = Some(ImageChanges::default());
        assert!(text(&diff, ReportStyle::plain()).contains("nothing else differs"));
        assert!(markdown(&diff).contains("Nothing else differs."));
    }
}
