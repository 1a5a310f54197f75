//! HCL text as a tree with spans: attributes, objects and blocks. It refuses to evaluate: what is computed is `Other`.

use hcl_edit::{
    Span as _,
    expr::{Expression, Object, ObjectKey},
    parser::parse_body,
    structure::{Block, Body, Structure},
};

use super::{
    format::WrongContent,
    tree::{ProjectionEntry, ProjectionNode, ProjectionNodeKind},
};

/// The file's attributes and blocks; a block `a "b" { … }` is under `a`, then `b`.
pub(super) fn parse(text: &str) -> Result<ProjectionNode, WrongContent> {
    let body = parse_body(text).map_err(|error| {
        let line = error.location().line();
        let place = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        (place, format!("not valid HCL: {}", error.message()))
    })?;
    Ok(ProjectionNode::Map { span: 0..text.len(), kind: ProjectionNodeKind::File, entries: of_body(&body) })
}

fn of_body(body: &Body) -> Vec<ProjectionEntry> {
    body.iter()
        .map(|structure| match structure {
            Structure::Attribute(attribute) => ProjectionEntry {
                key: attribute.key.as_str().to_owned(),
                key_span: attribute.key.span().unwrap_or_default(),
                value: of_expression(&attribute.value),
            },
            Structure::Block(block) => of_block(block),
        })
        .collect()
}

fn of_block(block: &Block) -> ProjectionEntry {
    let span = block.span().unwrap_or_default();
    let key_span = block.ident.span().unwrap_or_else(|| span.clone());
    let mut value =
        ProjectionNode::Map { span: span.clone(), kind: ProjectionNodeKind::Block, entries: of_body(&block.body) };
    for label in block.labels.iter().rev() {
        let entry = ProjectionEntry { key: label.as_str().to_owned(), key_span: key_span.clone(), value };
        value = ProjectionNode::Map { span: span.clone(), kind: ProjectionNodeKind::Labels, entries: vec![entry] };
    }
    ProjectionEntry { key: block.ident.as_str().to_owned(), key_span, value }
}

fn of_expression(expression: &Expression) -> ProjectionNode {
    let span = expression.span().unwrap_or_default();
    match expression {
        Expression::String(text) => ProjectionNode::Text { span, text: text.to_string() },
        Expression::Null(_) => ProjectionNode::Text { span, text: String::new() },
        Expression::Object(object) => {
            ProjectionNode::Map { span, kind: ProjectionNodeKind::Braces, entries: of_object(object) }
        }
        Expression::Array(_) => ProjectionNode::Other { span, what: "a list" },
        Expression::Number(_) | Expression::Bool(_) => ProjectionNode::Other { span, what: "a number or flag" },
        Expression::HeredocTemplate(_) => ProjectionNode::Other { span, what: "a heredoc" },
        _ => ProjectionNode::Other { span, what: "an expression" },
    }
}

fn of_object(object: &Object) -> Vec<ProjectionEntry> {
    object
        .iter()
        .map(|(key, value)| {
            let name = match key {
                ObjectKey::Ident(name) => name.as_str().to_owned(),
                ObjectKey::Expression(Expression::String(name)) => name.to_string(),
                // A computed key is nobody's.
                ObjectKey::Expression(_) => String::new(),
            };
            ProjectionEntry { key: name, key_span: key.span().unwrap_or_default(), value: of_expression(value.expr()) }
        })
        .collect()
}
