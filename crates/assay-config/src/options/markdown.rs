//! docs/options.md, written from the declarations. A test compares the file with this text.

use std::fmt::Write as _;

use super::{OptionDecl, OptionKind, all};

const HEAD: &str = "# Options of the post-processor

This page is written from the declarations in `crates/assay-config/src/options/` (`assay lint` and the tests read the same ones); do not edit it by hand.
`UPDATE_DOCS=1 cargo test options_page` writes it anew.

A value comes from the template, else from the command line, else from `assay.hcl`; the whole value counts, maps and lists are not joined.
An empty text, list or map counts as left out. `assay.hcl` is the one that `--config` or the option `config` names, else the first one in the
working folder or above it. Relative paths start from the working folder, or from the folder of `assay.hcl` where they stand there.

";

/// The whole page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str(
        "| option | type | default | in assay.hcl | flag | named by | what it does |\n|---|---|---|---|---|---|---|\n",
    );
    for option in all().filter(|option| option.refused.is_none()) {
        row(&mut page, option);
        if let OptionKind::Block(fields) = option.kind {
            for field in fields {
                let _ = writeln!(
                    page,
                    "| `{}.{}` | {} | | | | {} | {} |",
                    option.name,
                    field.name,
                    field.kind.kind().words(),
                    option.origin.word(),
                    field.doc
                );
            }
        }
    }
    page.push_str(
        "\n## Refused by name\n\nThese are options of packer-plugin-amazon, of Packer's communicator or of a later assay. They are not honoured, and \
         naming one is an error that says why:\n\n| option | named by | what assay says |\n|---|---|---|\n",
    );
    for option in all() {
        if let Some(sentence) = option.refused {
            let _ = writeln!(page, "| `{}` | {} | {sentence} |", option.name, option.origin.word());
        }
    }
    page
}

fn row(page: &mut String, option: &OptionDecl) {
    let default = match (option.needed, option.default) {
        (true, _) => "needed",
        (false, text) => text,
    };
    let file = option.file.map_or(String::new(), |(section, name)| format!("`{}`", section.place(name)));
    let flag = option.flag.map_or(String::new(), |flag| format!("`--{flag}`"));
    let _ = writeln!(
        page,
        "| `{}` | {} | {default} | {file} | {flag} | {} | {} |",
        option.name,
        option.kind.words(),
        option.origin.word(),
        option.doc.replace('|', "\\|")
    );
}
