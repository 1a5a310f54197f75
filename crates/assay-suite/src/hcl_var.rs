//! Variables in HCL suites: `var.name`, `var.name.part`, `var.list[0]`, `"${var.name}"`, from the same sources as those
//! of templates. It owns finding the value; it refuses every other expression and every function.

use std::ops::Range;

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};

use super::{
    diagnostic::nearest,
    tree::{Entry, Findings, Node, Value},
};

/// Whether the traversal begins with `var`.
pub(super) fn is_variable(traversal: &Traversal) -> bool {
    matches!(&traversal.expr, Expression::Variable(name) if name.as_str() == "var")
}

/// The value of a traversal that [`is_variable`], as if it stood at `span`. A mistake, told, is [`Value::Broken`].
pub(super) fn value(findings: &mut Findings<'_>, traversal: &Traversal, span: &Range<usize>) -> Value {
    let mut path = "var".to_owned();
    let mut here: Option<&Node> = None;
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
            return Value::Broken;
        };
        let found = match (here.map(|node| &node.value), at) {
            (None, None) => Ok(findings.vars),
            (Some(Value::Map(entries)), _) => Ok(entries.as_slice()),
            (Some(Value::List(items)), Some(at)) => Err(items.get(at)),
            _ => Err(None),
        };
        let next = match found {
            Ok(entries) => entries.iter().find(|entry| entry.name == name).map(|entry| &entry.node),
            Err(item) => item,
        };
        let Some(next) = next else {
            missing(findings, &path, &name, found.unwrap_or_default(), span);
            return Value::Broken;
        };
        path = format!("{path}.{name}");
        here = Some(next);
    }
    here.map_or(Value::Broken, |node| moved(node, span).value)
}

fn missing(findings: &mut Findings<'_>, path: &str, name: &str, known: &[Entry], span: &Range<usize>) {
    let help = match nearest(name, known.iter().map(|entry| entry.name.as_str())) {
        Some(near) => format!("did you mean {path}.{near}?"),
        None => "give it by --vars or --vars-inline, or as vars where the suite is named".to_owned(),
    };
    findings.wrong(span, format!("there is no {path}.{name}"), "", Some(&help));
}

/// The node as if all of it stood at `span`: its own places are those of another file.
fn moved(node: &Node, span: &Range<usize>) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(|item| moved(item, span)).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|e| Entry { name: e.name.clone(), name_span: span.clone(), node: moved(&e.node, span) })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { value, span: span.clone() }
}

/// A scalar as it stands within a text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        _ => None,
    }
}
