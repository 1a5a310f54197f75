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

/// The value that a literal expression of the file `text` stands for.
pub(super) fn literal(expression: &Expression, text: &str) -> Result<Json, NotLiteral> {
    match expression {
        Expression::Null(_) => Ok(Json::Null),
        Expression::Bool(value) => Ok(Json::Bool(*value.value())),
        Expression::Number(value) => {
            let written = expression.span().and_then(|span| text.get(span)).unwrap_or_default();
            number(value.value(), written).map_err(|message| NotLiteral { span: expression.span(), message })
        }
        Expression::String(value) => Ok(Json::String(value.value().clone())),
        Expression::HeredocTemplate(heredoc) => {
            plain(&heredoc.template).map(Json::String).ok_or_else(|| wrong(expression, "an interpolated text"))
        }
        Expression::Array(items) => {
            items.iter().map(|item| literal(item, text)).collect::<Result<_, _>>().map(Json::Array)
        }
        Expression::Object(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(object_key(key, text)?, literal(value.expr(), text)?);
            }
            Ok(Json::Object(object))
        }
        Expression::Parenthesis(inner) => literal(inner.inner(), text),
        Expression::UnaryOp(operation) if *operation.operator.value() == UnaryOperator::Neg => {
            match literal(&operation.expr, text)?.as_f64().and_then(|value| Number::from_f64(-value)) {
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

/// A number, where none of its digits is lost: what is an account id or a version in truth must be in quotes.
fn number(value: &hcl_edit::Number, written: &str) -> Result<Json, String> {
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 1 && written.starts_with('0') {
        return Err(format!("the number {written} loses its first digit; write it in quotes"));
    }
    if digits == written.len() && digits > 15 && value.as_i64().is_none() && value.as_u64().is_none() {
        return Err(format!("the number {written} has more digits than are kept; write it in quotes"));
    }
    let number = match (value.as_i64(), value.as_u64(), value.as_f64()) {
        (Some(whole), ..) => Some(Json::from(whole)),
        (None, Some(whole), _) => Some(Json::from(whole)),
        (None, None, Some(float)) => Number::from_f64(float).map(Json::Number),
        (None, None, None) => None,
    };
    number.ok_or_else(|| format!("the number {written} is out of range"))
}

fn object_key(key: &ObjectKey, text: &str) -> Result<String, NotLiteral> {
    match key {
        ObjectKey::Ident(name) => Ok(name.value().to_string()),
        ObjectKey::Expression(expression) => match literal(expression, text)? {
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
