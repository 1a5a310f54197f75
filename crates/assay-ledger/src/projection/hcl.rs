//! HCL text as a tree with spans: attributes, objects and blocks. It refuses to evaluate: what is computed is `Other`.

use hcl_edit::{
    Span as _,
    expr::{Expression, Object, ObjectKey},
    parser::parse_body,
    structure::{Block, Body, Structure},
};

use super::{
    format::Wrong,
    tree::{Entry, Kind, Node},
};

/// The file's attributes and blocks; a block `a "b" { … }` is under `a`, then `b`.
pub fn parse(text: &str) -> Result<Node, Wrong> {
    let body = parse_body(text).map_err(|error| {
        let line = error.location().line();
        let place = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        (place, format!("not valid HCL: {}", error.message()))
    })?;
    Ok(Node::Map { span: 0..text.len(), kind: Kind::File, entries: of_body(&body) })
}

fn of_body(body: &Body) -> Vec<Entry> {
    body.iter()
        .map(|structure| match structure {
            Structure::Attribute(attribute) => Entry {
                key: attribute.key.as_str().to_owned(),
                key_span: attribute.key.span().unwrap_or_default(),
                value: of_expression(&attribute.value),
            },
            Structure::Block(block) => of_block(block),
        })
        .collect()
}

fn of_block(block: &Block) -> Entry {
    let span = block.span().unwrap_or_default();
    let key_span = block.ident.span().unwrap_or_else(|| span.clone());
    let mut value = Node::Map { span: span.clone(), kind: Kind::Block, entries: of_body(&block.body) };
    for label in block.labels.iter().rev() {
        let entry = Entry { key: label.as_str().to_owned(), key_span: key_span.clone(), value };
        value = Node::Map { span: span.clone(), kind: Kind::Labels, entries: vec![entry] };
    }
    Entry { key: block.ident.as_str().to_owned(), key_span, value }
}

fn of_expression(expression: &Expression) -> Node {
    let span = expression.span().unwrap_or_default();
    match expression {
        Expression::String(text) => Node::Text { span, text: text.to_string() },
        Expression::Null(_) => Node::Text { span, text: String::new() },
        Expression::Object(object) => Node::Map { span, kind: Kind::Braces, entries: of_object(object) },
        Expression::Array(_) => Node::Other { span, what: "a list" },
        Expression::Number(_) | Expression::Bool(_) => Node::Other { span, what: "a number or flag" },
        Expression::HeredocTemplate(_) => Node::Other { span, what: "a heredoc" },
        _ => Node::Other { span, what: "an expression" },
    }
}

fn of_object(object: &Object) -> Vec<Entry> {
    object
        .iter()
        .map(|(key, value)| {
            let name = match key {
                ObjectKey::Ident(name) => name.as_str().to_owned(),
                ObjectKey::Expression(Expression::String(name)) => name.to_string(),
                // A computed key is nobody's.
                ObjectKey::Expression(_) => String::new(),
            };
            Entry { key: name, key_span: key.span().unwrap_or_default(), value: of_expression(value.expr()) }
        })
        .collect()
}
