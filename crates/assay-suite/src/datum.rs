//! Values with the distinctions that goss's matchers make: a whole number is not a fraction, and a list that a host
//! gave (texts only) is not a list that stands in a file. It owns the conversions between them (goss's
//! `matchers/type_conversion.go`) and how Go writes a value as text (`%v`).

use serde_json::Value;

/// A value to be judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ObservedValue {
    Nothing,
    Bool(bool),
    Whole(i64),
    Fraction(f64),
    Text(String),
    /// A host's list. Never equal to a written one, as in goss.
    Texts(Vec<String>),
    List(Vec<ObservedValue>),
    /// Sorted by key.
    Map(Vec<(String, ObservedValue)>),
}

impl ObservedValue {
    /// A value as it stands in a file or a JSON text.
    pub(crate) fn written(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => n.as_i64().map_or_else(|| Self::Fraction(n.as_f64().unwrap_or(f64::NAN)), Self::Whole),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::written).collect()),
            Value::Object(map) => {
                let mut pairs: Vec<_> = map.iter().map(|(k, v)| (k.clone(), Self::written(v))).collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Map(pairs)
            }
        }
    }

    /// What a host answered: its lists are lists of texts.
    pub(crate) fn answered(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::Texts(items.iter().map(|item| Self::written(item).text()).collect()),
            other => Self::written(other),
        }
    }

    /// A part of a JSON text, whose numbers are all fractions in Go.
    pub(crate) fn of_json(value: &Value) -> Self {
        match value {
            Value::Number(n) => Self::Fraction(n.as_f64().unwrap_or(f64::NAN)),
            Value::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            Value::Object(map) => {
                let mut pairs: Vec<_> = map.iter().map(|(k, v)| (k.clone(), Self::of_json(v))).collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Map(pairs)
            }
            other => Self::written(other),
        }
    }

    /// As JSON, for people.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Whole(n) => (*n).into(),
            Self::Fraction(n) => super::matcher::number(*n),
            Self::Text(text) => text.as_str().into(),
            Self::Texts(items) => items.as_slice().into(),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(pairs) => Value::Object(pairs.iter().map(|(k, v)| (k.clone(), v.json())).collect()),
        }
    }

    /// As text: the elements of a list one per line, anything else as Go writes it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Texts(items) => items.join("\n"),
            Self::List(items) => items.iter().map(Self::show).collect::<Vec<_>>().join("\n"),
            other => other.show(),
        }
    }

    /// As Go's `%v` writes it.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Nothing => "<nil>".to_owned(),
            Self::Bool(b) => b.to_string(),
            Self::Whole(n) => n.to_string(),
            Self::Fraction(n) => fraction(*n),
            Self::Text(text) => text.clone(),
            Self::Texts(items) => format!("[{}]", items.join(" ")),
            Self::List(items) => format!("[{}]", items.iter().map(Self::show).collect::<Vec<_>>().join(" ")),
            Self::Map(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}:{}", v.show())).collect();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }

    /// As a number: a number itself, or a text (or a host's list) that is one.
    pub(crate) fn number(&self) -> Result<Self, String> {
        match self {
            Self::Whole(_) | Self::Fraction(_) => Ok(self.clone()),
            Self::Text(_) | Self::Texts(_) => {
                let text = self.text();
                parse_float(text.trim()).map(Self::Fraction).ok_or_else(|| "this is no number".to_owned())
            }
            _ => Err("this is no number".to_owned()),
        }
    }

    /// The elements of a list, or the values of a map.
    pub(crate) fn elements(&self) -> Option<Vec<Self>> {
        match self {
            Self::Texts(items) => Some(items.iter().cloned().map(Self::Text).collect()),
            Self::List(items) => Some(items.clone()),
            Self::Map(pairs) => Some(pairs.iter().map(|(_, value)| value.clone()).collect()),
            _ => None,
        }
    }

    /// A text as the list of its lines (the last one empty where it ends with a line feed); anything else as it is.
    pub(crate) fn lines(&self) -> Self {
        match self {
            Self::Text(text) => Self::Texts(text.split('\n').map(str::to_owned).collect()),
            other => other.clone(),
        }
    }
}

/// Go's `%v` of a float64: the shortest digits, with an exponent outside of -4 to 5.
fn fraction(n: f64) -> String {
    if n.is_nan() {
        return "NaN".to_owned();
    }
    if n.is_infinite() {
        return if n > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{n:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return n.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Go's `strconv.ParseFloat`: decimal or hexadecimal, underscores between digits, `inf` and `nan`; a number too large
/// is no number.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    match body.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return (body.len() == text.len()).then_some(f64::NAN),
        _ => {}
    }
    let prefix = body.get(..2).filter(|p| p.eq_ignore_ascii_case("0x"));
    let digits = &body[prefix.map_or(0, str::len)..];
    let value = if prefix.is_some() {
        hexadecimal(&without_underscores(digits, true)?)?
    } else {
        let plain = without_underscores(digits, false)?;
        let decimal = plain.bytes().all(|b| b.is_ascii_digit() || b"eE.+-".contains(&b));
        plain.parse::<f64>().ok().filter(|_| decimal && !plain.starts_with(['+', '-']))?
    };
    value.is_finite().then_some(sign * value)
}

/// The text without its underscores, each of which must stand between two digits (or after the prefix of base 16).
fn without_underscores(text: &str, hexadecimal: bool) -> Option<String> {
    let digit = |b: u8| b.is_ascii_digit() || (hexadecimal && b.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('_') {
        let before = if at == 0 { hexadecimal } else { digit(bytes[at - 1]) };
        if !before || !bytes.get(at + 1).is_some_and(|b| digit(*b)) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

/// `1.8p3`; the exponent must be there.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + part.len() == 0 {
        return None;
    }
    let mut value = 0.0;
    for c in whole.chars().chain(part.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    Some(value * 2f64.powi(exponent.checked_sub(4 * i32::try_from(part.len()).ok()?)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn as_go_writes_it() {
        for (value, text) in [
            (json!(null), "<nil>"),
            (json!(true), "true"),
            (json!(1_000_000), "1000000"),
            (json!(1.5), "1.5"),
            (json!(5.0), "5"),
            (json!(1e21), "1e+21"),
            (json!(1_234_567.5), "1.2345675e+06"),
            (json!(123_456.5), "123456.5"),
            (json!(1e-5), "1e-05"),
            (json!(0.0001), "0.0001"),
            (json!([1, "a b", [2]]), "1\na b\n[2]"),
            (json!({"b": [1, 2], "a": null}), "map[a:<nil> b:[1 2]]"),
        ] {
            assert_eq!(ObservedValue::written(&value).text(), text);
        }
    }

    #[test]
    fn numbers_as_go_reads_them() {
        for (text, wanted) in [
            ("5", Some(5.0)),
            ("+5.", Some(5.0)),
            ("-.5e1", Some(-5.0)),
            ("0x10p0", Some(16.0)),
            ("0x1.8p1", Some(3.0)),
            ("-Inf", Some(f64::NEG_INFINITY)),
            ("", None),
            (".", None),
            ("5 6", None),
            ("0x10", None),
            ("1e999", None),
            ("1_000", Some(1000.0)),
            ("_1", None),
            ("1__0", None),
            ("0x_1p0", Some(1.0)),
            ("--5", None),
            ("0x", None),
            ("ü", None),
            ("five", None),
            ("infinit", None),
        ] {
            assert_eq!(parse_float(text), wanted, "{text:?}");
        }
        assert_eq!(ObservedValue::Texts(vec![" 5 ".into()]).number(), Ok(ObservedValue::Fraction(5.0)));
        assert!(ObservedValue::List(vec![ObservedValue::Text("5".into())]).number().is_err());
        assert!(ObservedValue::Bool(true).number().is_err());
    }
}
