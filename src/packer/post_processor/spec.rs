//! The options' declaration as Packer's ConfigSpec. It owns nothing but the mapping from `config::options` to the wire's types.

use assay_config::options::{SpecEntry, SpecKind, spec};
use packer_plugin::{Kind, Spec};

/// The whole ConfigSpec.
pub fn of_options() -> Spec {
    body(&spec())
}

fn body(entries: &[SpecEntry]) -> Spec {
    entries.iter().fold(Spec::new(), field)
}

fn field(so_far: Spec, entry: &SpecEntry) -> Spec {
    let attribute = |kind: Kind| {
        if entry.required {
            so_far.clone().required(entry.name, kind)
        } else {
            so_far.clone().optional(entry.name, kind)
        }
    };
    match &entry.kind {
        SpecKind::String => attribute(Kind::String),
        SpecKind::Number => attribute(Kind::Number),
        SpecKind::Bool => attribute(Kind::Bool),
        SpecKind::StringList => attribute(Kind::list(Kind::String)),
        SpecKind::StringMap => attribute(Kind::map(Kind::String)),
        SpecKind::Block(nested) => so_far.block(entry.name, body(nested)),
        SpecKind::BlockList(nested) => so_far.block_list(entry.name, body(nested)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packer_plugin::Field;

    #[test]
    fn every_option_is_served() {
        let served = of_options();
        assert_eq!(served.fields.len(), spec().len());
        assert!(matches!(served.fields.get("suites"), Some(Field::Attribute { .. })));
    }
}
