//! HCL suites into the common tree. It owns HCL's syntax here: blocks, labels, literals with their spans. It refuses
//! to evaluate: a suite is data, so functions and every expression but a variable are mistakes.

use std::ops::Range;

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey, UnaryOperator},
    parser::parse_body,
    structure::{Attribute, Block, Body, Structure},
    template::Element,
};

use super::{
    hcl_var,
    tree::{FileMistakes, RawCheck, RawSuite, SourceEntry, SourceNode, SourceValue},
};

/// Reads every `suite` block of the file. Mistakes go to `findings`; what could be read is returned all the same.
pub(super) fn read(findings: &mut FileMistakes<'_>) -> Vec<RawSuite> {
    let body = match parse_body(findings.source.text) {
        Ok(body) => body,
        Err(error) => {
            let offset = error.location().offset();
            findings.wrong(&(offset..offset + 1), "this is not HCL", error.message(), None);
            return Vec::new();
        }
    };
    let mut suites = Vec::new();
    for structure in &body {
        match structure {
            Structure::Block(block) if block.ident.as_str() == "suite" => suites.extend(suite(findings, block)),
            Structure::Block(block) if block.ident.as_str() == "external" => suites.extend(alone(findings, block)),
            Structure::Block(block) => findings.wrong(
                &span_of(&block.ident),
                format!("unknown block {:?}", block.ident.as_str()),
                "only suite and external blocks stand at the top",
                Some("write suite \"name\" { … } around the resources"),
            ),
            Structure::Attribute(attribute) => findings.wrong(
                &span_of(&attribute.key),
                format!("{:?} stands outside of a suite", attribute.key.as_str()),
                "",
                Some("write suite \"name\" { … } around it"),
            ),
        }
    }
    suites
}

fn suite(findings: &mut FileMistakes<'_>, block: &Block) -> Option<RawSuite> {
    let (name, span) = label(findings, block, "a name, like suite \"smoke\" { … }")?;
    let mut raw = RawSuite { name, span, attributes: Vec::new(), checks: Vec::new(), due: true };
    for structure in &block.body {
        match structure {
            Structure::Attribute(attribute) => raw.attributes.push(entry(findings, attribute)),
            Structure::Block(block) => raw.checks.extend(check(findings, block)),
        }
    }
    Some(raw)
}

/// An external suite that stands alone is a suite of its own name.
fn alone(findings: &mut FileMistakes<'_>, block: &Block) -> Option<RawSuite> {
    let check = check(findings, block)?;
    Some(RawSuite {
        name: check.id.clone(),
        span: check.id_span.clone(),
        attributes: Vec::new(),
        checks: vec![check],
        due: true,
    })
}

fn check(findings: &mut FileMistakes<'_>, block: &Block) -> Option<RawCheck> {
    let resource = block.ident.as_str().to_owned();
    let (id, id_span) = label(findings, block, &format!("an id, like {resource} \"…\" {{ … }}"))?;
    let attributes = attributes(findings, &block.body);
    Some(RawCheck { resource, resource_span: span_of(&block.ident), id, id_span, attributes })
}

fn attributes(findings: &mut FileMistakes<'_>, body: &Body) -> Vec<SourceEntry> {
    let mut entries = Vec::new();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => entries.push(entry(findings, attribute)),
            Structure::Block(block) => findings.wrong(
                &span_of(&block.ident),
                format!("{:?} is a block here", block.ident.as_str()),
                "an attribute is needed",
                Some(&format!("write {} = {{ … }}", block.ident.as_str())),
            ),
        }
    }
    entries
}

fn label(findings: &mut FileMistakes<'_>, block: &Block, wanted: &str) -> Option<(String, Range<usize>)> {
    let ident = span_of(&block.ident);
    match block.labels.as_slice() {
        [one] => {
            let span = one.span().unwrap_or_else(|| ident.clone());
            Some((one.as_str().to_owned(), span))
        }
        [] => {
            findings.wrong(&ident, format!("{:?} has no label", block.ident.as_str()), format!("needs {wanted}"), None);
            None
        }
        [_, second, ..] => {
            let span = second.span().unwrap_or(ident);
            findings.wrong(&span, format!("{:?} has more than one label", block.ident.as_str()), "one too many", None);
            None
        }
    }
}

fn entry(findings: &mut FileMistakes<'_>, attribute: &Attribute) -> SourceEntry {
    let name_span = span_of(&attribute.key);
    SourceEntry {
        name: attribute.key.as_str().to_owned(),
        node: node(findings, &attribute.value, &name_span),
        name_span,
    }
}

/// An expression as a literal; anything to be evaluated is a mistake. `near` is where to point when the parser gives
/// no span.
fn node(findings: &mut FileMistakes<'_>, expression: &Expression, near: &Range<usize>) -> SourceNode {
    let span = expression.span().unwrap_or_else(|| near.clone());
    let value = match expression {
        Expression::Null(_) => SourceValue::Null,
        Expression::Bool(it) => SourceValue::Bool(*it.value()),
        Expression::Number(it) => number(it.value()),
        Expression::String(it) => SourceValue::Text(it.value().clone()),
        Expression::StringTemplate(it) => literal(findings, it.iter(), &span),
        Expression::HeredocTemplate(it) => literal(findings, it.template.iter(), &span),
        Expression::Parenthesis(it) => return node(findings, it.inner(), &span),
        Expression::UnaryOp(it) if *it.operator.value() == UnaryOperator::Neg => {
            match node(findings, &it.expr, &span).value {
                SourceValue::Number(number) => negative(&number),
                _ => evaluated(findings, &span),
            }
        }
        Expression::Array(items) => SourceValue::List(items.iter().map(|item| node(findings, item, &span)).collect()),
        Expression::Object(object) => SourceValue::Map(
            object.iter().filter_map(|(key, value)| member(findings, key, value.expr(), &span)).collect(),
        ),
        Expression::Traversal(it) if hcl_var::is_variable(it) => hcl_var::value(findings, it, &span),
        Expression::Variable(it) => {
            let help = format!("text stands in quotes: {:?}; a variable is var.{}", it.as_str(), it.as_str());
            findings.wrong(&span, format!("{} is not a value", it.as_str()), "", Some(&help));
            SourceValue::Broken
        }
        _ => evaluated(findings, &span),
    };
    SourceNode { value, span }
}

fn member(
    findings: &mut FileMistakes<'_>,
    key: &ObjectKey,
    value: &Expression,
    near: &Range<usize>,
) -> Option<SourceEntry> {
    let name_span = key.span().unwrap_or_else(|| near.clone());
    let name = match key {
        ObjectKey::Ident(ident) => ident.as_str().to_owned(),
        ObjectKey::Expression(expression) => match node(findings, expression, &name_span).value {
            SourceValue::Text(text) => text,
            SourceValue::Broken => return None,
            _ => {
                findings.wrong(&name_span, "a key is a name or a text", "", None);
                return None;
            }
        },
    };
    Some(SourceEntry { name, node: node(findings, value, &name_span), name_span })
}

fn literal<'e>(
    findings: &mut FileMistakes<'_>,
    elements: impl Iterator<Item = &'e Element>,
    span: &Range<usize>,
) -> SourceValue {
    let mut text = String::new();
    for element in elements {
        match element {
            Element::Literal(part) => text.push_str(part.value()),
            Element::Interpolation(it) if matches!(&it.expr, Expression::Traversal(var) if hcl_var::is_variable(var)) =>
            {
                let span = element.span().unwrap_or_else(|| span.clone());
                let value = node(findings, &it.expr, &span).value;
                match hcl_var::text(&value) {
                    Some(part) => text.push_str(&part),
                    None => {
                        if value != SourceValue::Broken {
                            findings.wrong(&span, "only a text, number or boolean can stand in a text", "", None);
                        }
                        return SourceValue::Broken;
                    }
                }
            }
            Element::Interpolation(_) | Element::Directive(_) => {
                let help = "only ${var.name} is put in; for these characters themselves write $${ or %%{";
                let span = element.span().unwrap_or_else(|| span.clone());
                findings.wrong(&span, "a template in a text", "would have to be evaluated", Some(help));
                return SourceValue::Broken;
            }
        }
    }
    SourceValue::Text(text)
}

fn evaluated(findings: &mut FileMistakes<'_>, span: &Range<usize>) -> SourceValue {
    let help = "a suite is data: text, numbers, true, false, lists and maps";
    findings.wrong(span, "an expression instead of a value", "would have to be evaluated", Some(help));
    SourceValue::Broken
}

fn number(number: &hcl_edit::Number) -> SourceValue {
    let json = number.as_u64().map(serde_json::Number::from).or_else(|| number.as_i64().map(Into::into));
    match json.or_else(|| number.as_f64().and_then(serde_json::Number::from_f64)) {
        Some(number) => SourceValue::Number(number),
        None => SourceValue::Broken,
    }
}

fn negative(number: &serde_json::Number) -> SourceValue {
    let whole = number.as_i64().and_then(i64::checked_neg).map(serde_json::Number::from);
    match whole.or_else(|| number.as_f64().and_then(|f| serde_json::Number::from_f64(-f))) {
        Some(number) => SourceValue::Number(number),
        None => SourceValue::Broken,
    }
}

fn span_of(it: &impl Span) -> Range<usize> {
    it.span().unwrap_or(0..0)
}
