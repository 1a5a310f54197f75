//! Values in assay.hcl, read as plain data. The file is a declaration: literals only, no variables, functions or interpolation.

use std::ops::Range;

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey, UnaryOperator},
    template::{Element, Template},
};
use serde_json::{Map, Number, Value as Json};

/// An expression that is no literal.
pub(super) struct NotLiteral {
    /// Where in the file, in bytes.
    pub(super) span: Option<Range<usize>>,
    /// What it is.
    pub(super) message: String,
}

/// The value that a literal expression stands for.
pub(super) fn literal(expression: &Expression) -> Result<Json, NotLiteral> {
    match expression {
        Expression::Null(_) => Ok(Json::Null),
        Expression::Bool(value) => Ok(Json::Bool(*value.value())),
        Expression::Number(value) => number(value.value()).ok_or_else(|| wrong(expression, "a number out of range")),
        Expression::String(value) => Ok(Json::String(value.value().clone())),
        Expression::HeredocTemplate(heredoc) => {
            plain(&heredoc.template).map(Json::String).ok_or_else(|| wrong(expression, "an interpolated text"))
        }
        Expression::Array(items) => items.iter().map(literal).collect::<Result<_, _>>().map(Json::Array),
        Expression::Object(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(object_key(key)?, literal(value.expr())?);
            }
            Ok(Json::Object(object))
        }
        Expression::Parenthesis(inner) => literal(inner.inner()),
        Expression::UnaryOp(operation) if *operation.operator.value() == UnaryOperator::Neg => {
            match literal(&operation.expr)?.as_f64().and_then(|value| Number::from_f64(-value)) {
                Some(value) => Ok(Json::Number(value)),
                None => Err(wrong(expression, "an operation")),
            }
        }
        Expression::StringTemplate(_) => Err(wrong(expression, "an interpolated text")),
        Expression::Variable(name) => Err(wrong(expression, &format!("the variable {:?}", name.value().as_str()))),
        Expression::FuncCall(_) => Err(wrong(expression, "a function call")),
        _ => Err(wrong(expression, "an expression")),
    }
}

fn number(value: &hcl_edit::Number) -> Option<Json> {
    match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => Some(Json::from(whole)),
        (None, Some(float)) => Number::from_f64(float).map(Json::Number),
        (None, None) => None,
    }
}

fn object_key(key: &ObjectKey) -> Result<String, NotLiteral> {
    match key {
        ObjectKey::Ident(name) => Ok(name.value().to_string()),
        ObjectKey::Expression(expression) => match literal(expression)? {
            Json::String(text) => Ok(text),
            other => Ok(other.to_string()),
        },
    }
}

fn plain(template: &Template) -> Option<String> {
    template
        .iter()
        .map(|element| match element {
            Element::Literal(text) => Some(text.value().as_str()),
            _ => None,
        })
        .collect()
}

fn wrong(expression: &Expression, what: &str) -> NotLiteral {
    NotLiteral { span: expression.span(), message: format!("{what} is not allowed here; write the value out") }
}
