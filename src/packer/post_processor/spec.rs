//! The options' declaration as Packer's ConfigSpec. It owns nothing but the mapping from `config::options` to the wire's types.

use assay_config::options::{SpecEntry, SpecKind, spec};
use packer_plugin::{AttributeKind, OptionsSpec};

/// The whole ConfigSpec.
pub(super) fn of_options() -> OptionsSpec {
    body(&spec())
}

fn body(entries: &[SpecEntry]) -> OptionsSpec {
    entries.iter().fold(OptionsSpec::new(), field)
}

fn field(so_far: OptionsSpec, entry: &SpecEntry) -> OptionsSpec {
    let attribute = |kind: AttributeKind| {
        if entry.required {
            so_far.clone().required(entry.name, kind)
        } else {
            so_far.clone().optional(entry.name, kind)
        }
    };
    match &entry.kind {
        SpecKind::String => attribute(AttributeKind::String),
        SpecKind::Number => attribute(AttributeKind::Number),
        SpecKind::Bool => attribute(AttributeKind::Bool),
        SpecKind::StringList => attribute(AttributeKind::list(AttributeKind::String)),
        SpecKind::StringMap => attribute(AttributeKind::map(AttributeKind::String)),
        SpecKind::Block(nested) => so_far.block(entry.name, body(nested)),
        SpecKind::BlockList(nested) => so_far.block_list(entry.name, body(nested)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packer_plugin::SpecField;

    #[test]
    fn every_option_is_served() {
        let served = of_options();
        assert_eq!(served.fields.len(), spec().len());
        assert!(matches!(served.fields.get("suites"), Some(SpecField::Attribute { .. })));
    }
}
