//! Variables in HCL suites: `var.name`, `var.name.part`, `var.list[0]`, `"${var.name}"`, from the same sources as those
//! of templates. It owns finding the value; it refuses every other expression and every function.

use std::ops::Range;

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};

use super::{
    diagnostic::nearest,
    tree::{FileMistakes, SourceEntry, SourceNode, SourceValue},
};

/// Whether the traversal begins with `var`.
pub(super) fn is_variable(traversal: &Traversal) -> bool {
    matches!(&traversal.expr, Expression::Variable(name) if name.as_str() == "var")
}

/// The value of a traversal that [`is_variable`], as if it stood at `span`. A mistake, told, is [`SourceValue::Broken`].
pub(super) fn value(findings: &mut FileMistakes<'_>, traversal: &Traversal, span: &Range<usize>) -> SourceValue {
    let mut path = "var".to_owned();
    let mut here: Option<&SourceNode> = None;
    for operator in &traversal.operators {
        let step = match operator.value() {
            TraversalOperator::GetAttr(name) => Some((name.as_str().to_owned(), None)),
            TraversalOperator::Index(Expression::String(name)) => Some((name.value().clone(), None)),
            TraversalOperator::Index(Expression::Number(number)) => {
                number.value().as_u64().map(|at| (at.to_string(), usize::try_from(at).ok()))
            }
            TraversalOperator::LegacyIndex(at) => Some((at.value().to_string(), usize::try_from(*at.value()).ok())),
            _ => None,
        };
        let Some((name, at)) = step else {
            let help = "write var.name, var.name.part or var.list[0]";
            findings.wrong(span, "this is more than a variable", "is not evaluated", Some(help));
            return SourceValue::Broken;
        };
        let found = match (here.map(|node| &node.value), at) {
            (None, None) => Ok(findings.vars),
            (Some(SourceValue::Map(entries)), _) => Ok(entries.as_slice()),
            (Some(SourceValue::List(items)), Some(at)) => Err(items.get(at)),
            _ => Err(None),
        };
        let next = match found {
            Ok(entries) => entries.iter().find(|entry| entry.name == name).map(|entry| &entry.node),
            Err(item) => item,
        };
        let Some(next) = next else {
            missing(findings, &path, &name, found.unwrap_or_default(), span);
            return SourceValue::Broken;
        };
        path = format!("{path}.{name}");
        here = Some(next);
    }
    here.map_or(SourceValue::Broken, |node| moved(node, span).value)
}

fn missing(findings: &mut FileMistakes<'_>, path: &str, name: &str, known: &[SourceEntry], span: &Range<usize>) {
    let help = match nearest(name, known.iter().map(|entry| entry.name.as_str())) {
        Some(near) => format!("did you mean {path}.{near}?"),
        None => "give it by --vars or --vars-inline, or as vars where the suite is named".to_owned(),
    };
    findings.wrong(span, format!("there is no {path}.{name}"), "", Some(&help));
}

/// The node as if all of it stood at `span`: its own places are those of another file.
fn moved(node: &SourceNode, span: &Range<usize>) -> SourceNode {
    let value = match &node.value {
        SourceValue::List(items) => SourceValue::List(items.iter().map(|item| moved(item, span)).collect()),
        SourceValue::Map(entries) => SourceValue::Map(
            entries
                .iter()
                .map(|e| SourceEntry { name: e.name.clone(), name_span: span.clone(), node: moved(&e.node, span) })
                .collect(),
        ),
        other => other.clone(),
    };
    SourceNode { value, span: span.clone() }
}

/// A scalar as it stands within a text.
pub(super) fn text(value: &SourceValue) -> Option<String> {
    match value {
        SourceValue::Text(text) => Some(text.clone()),
        SourceValue::Number(number) => Some(number.to_string()),
        SourceValue::Bool(it) => Some(it.to_string()),
        _ => None,
    }
}
