//! `printf` (Go: package fmt). Verbs, flags, width and precision as there, verbs applied to the elements of lists and
//! dicts, and Go's own text for what does not fit (`%!d(string=a)`).

use super::{
    characters::{is_printed, quoted, quoted_char},
    value::{ListElements, MAX_WEIGHT, TemplateValue, float_text, type_of},
};

/// The widest field; wider ones are none in Go.
const MAX_WIDTH: i64 = 1_000_000;

/// The text, or why it cannot be made.
pub(super) fn printf(format: &str, args: &[TemplateValue]) -> Result<String, String> {
    let mut printer = PrintfPrinter { args, at: 0, reordered: false, indexed: false, good: true, out: String::new() };
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        printer.out.push_str(before);
        rest = printer.directive(after)?;
        if printer.out.len() > MAX_WEIGHT {
            return Err("makes more than 1 MiB of text".to_owned());
        }
    }
    printer.out.push_str(rest);
    printer.extra()?;
    Ok(printer.out)
}

struct PrintfPrinter<'a> {
    args: &'a [TemplateValue],
    /// The next argument.
    at: usize,
    /// Arguments were named by number.
    reordered: bool,
    /// What was read last was such a number.
    indexed: bool,
    /// It was one that there is.
    good: bool,
    out: String,
}

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
struct PrintfFlags {
    sharp: bool,
    /// `%#v`.
    go_syntax: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl PrintfPrinter<'_> {
    /// One directive, from behind its `%`; gives what follows it.
    fn directive<'f>(&mut self, format: &'f str) -> Result<&'f str, String> {
        let mut flags = PrintfFlags::default();
        self.good = true;
        self.indexed = false;
        let mut rest = format;
        while let Some(flag) = rest.chars().next().filter(|c| "#0+- ".contains(*c)) {
            match flag {
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                _ => flags.space = true,
            }
            rest = &rest[1..];
        }
        rest = self.index(rest);
        rest = self.width(rest, &mut flags);
        rest = self.precision(rest, &mut flags);
        if !self.indexed {
            rest = self.index(rest);
        }
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return Ok("");
        };
        rest = &rest[verb.len_utf8()..];
        if verb == 'v' {
            flags.go_syntax = std::mem::take(&mut flags.sharp);
            flags.plus = false;
        }
        match (verb, self.args.get(self.at)) {
            ('%', _) => self.out.push('%'),
            _ if !self.good => self.out.push_str(&format!("%!{verb}(BADINDEX)")),
            (_, None) => self.out.push_str(&format!("%!{verb}(MISSING)")),
            (_, Some(value)) => {
                value_by_verb(value, verb, flags, false, &mut self.out)?;
                self.at += 1;
            }
        }
        Ok(rest)
    }

    fn width<'f>(&mut self, rest: &'f str, flags: &mut PrintfFlags) -> &'f str {
        if let Some(rest) = rest.strip_prefix('*') {
            match self.number() {
                Some(width) => {
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                    flags.minus |= width < 0;
                    flags.zero &= width >= 0;
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
            self.indexed = false;
            return rest;
        }
        let (width, rest) = digits(rest);
        flags.width = width;
        self.good &= !(self.indexed && width.is_some());
        rest
    }

    fn precision<'f>(&mut self, rest: &'f str, flags: &mut PrintfFlags) -> &'f str {
        let Some(after) = rest.strip_prefix('.').filter(|after| !after.is_empty()) else { return rest };
        self.good &= !self.indexed;
        let rest = self.index(after);
        if let Some(rest) = rest.strip_prefix('*') {
            match self.number() {
                Some(precision) => flags.precision = usize::try_from(precision).ok(),
                None => self.out.push_str("%!(BADPREC)"),
            }
            self.indexed = false;
            return rest;
        }
        let (precision, rest) = digits(rest);
        flags.precision = Some(precision.unwrap_or(0));
        rest
    }

    /// `[n]`: the argument that is taken next.
    fn index<'f>(&mut self, rest: &'f str) -> &'f str {
        self.indexed = false;
        let Some(inner) = rest.strip_prefix('[') else { return rest };
        self.reordered = true;
        let Some((number, after)) = inner.split_once(']') else {
            self.good = false;
            return inner;
        };
        match number.parse::<usize>() {
            Ok(number) if (1..=self.args.len()).contains(&number) => {
                self.at = number - 1;
                self.indexed = true;
            }
            _ => self.good = false,
        }
        after
    }

    /// The argument at a `*`.
    fn number(&mut self) -> Option<i64> {
        let number = match self.args.get(self.at)? {
            TemplateValue::Int(number) | TemplateValue::Int64(number) => Some(*number),
            TemplateValue::Uint(number) => i64::try_from(*number).ok(),
            _ => None,
        };
        self.at += 1;
        number.filter(|number| number.abs() <= MAX_WIDTH)
    }

    /// Arguments that no verb took.
    fn extra(&mut self) -> Result<(), String> {
        let left = self.args.get(self.at..).unwrap_or_default();
        if self.reordered || left.is_empty() {
            return Ok(());
        }
        self.out.push_str("%!(EXTRA ");
        for (at, value) in left.iter().enumerate() {
            self.out.push_str(if at > 0 { ", " } else { "" });
            match value {
                TemplateValue::Nil => self.out.push_str("<nil>"),
                value => {
                    self.out.push_str(&format!("{}=", type_of(value)));
                    value_by_verb(value, 'v', PrintfFlags::default(), false, &mut self.out)?;
                }
            }
        }
        self.out.push(')');
        Ok(())
    }
}

/// A width or precision. At one that is too wide Go gives up the rest of the format.
fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    match text[..end].parse::<i64>() {
        Ok(number) if number <= MAX_WIDTH => (usize::try_from(number).ok(), &text[end..]),
        _ if end > 0 => (None, ""),
        _ => (None, text),
    }
}

/// `within`: it is an element, where Go writes what is nil and does not complain.
fn value_by_verb(
    value: &TemplateValue,
    verb: char,
    flags: PrintfFlags,
    within: bool,
    out: &mut String,
) -> Result<(), String> {
    if out.len() > MAX_WEIGHT {
        return Err("makes more than 1 MiB of text".to_owned());
    }
    match (value, verb) {
        (_, 'T') if !within => pad(&cut(type_of(value), flags), flags, out),
        (TemplateValue::List(_) | TemplateValue::Dict(_) | TemplateValue::Root(_), 'p') => {
            return Err("%p prints an address, which differs each time".to_owned());
        }
        (TemplateValue::Nil, _) if within => out.push_str(if flags.go_syntax { "interface {}(nil)" } else { "<nil>" }),
        (TemplateValue::Nil, 'v') => pad("<nil>", flags, out),
        (TemplateValue::Bool(it), 'v' | 't') => pad(if *it { "true" } else { "false" }, flags, out),
        (TemplateValue::Int(number) | TemplateValue::Int64(number), _) if "vdboOxXcqU".contains(verb) => {
            whole(*number < 0, number.unsigned_abs(), verb, flags, out);
        }
        (TemplateValue::Uint(number), 'v') if flags.go_syntax => {
            whole(false, *number, 'x', PrintfFlags { sharp: true, ..flags }, out);
        }
        (TemplateValue::Uint(number), _) if "vdboOxXcqU".contains(verb) => whole(false, *number, verb, flags, out),
        (TemplateValue::Float(float), _) if "veEfFgG".contains(verb) => fraction(*float, verb, flags, out)?,
        (TemplateValue::Float(float), 'x' | 'X') if flags.precision.is_none() => fraction(*float, verb, flags, out)?,
        (TemplateValue::Float(_), 'b' | 'x' | 'X') => {
            return Err(format!("%{verb} of a number with a fraction is not supported"));
        }
        (TemplateValue::Text(text), 'v' | 's') if !flags.go_syntax => pad(&cut(text, flags), flags, out),
        (TemplateValue::Text(text), 'v' | 'q') => text_in_quotes(text, flags, out),
        (TemplateValue::Text(text), 'x' | 'X') => hexadecimal(text, verb, flags, out),
        (TemplateValue::List(_) | TemplateValue::Dict(_), _) => elements(value, verb, flags, out)?,
        (TemplateValue::Root(_), 'v') => out.push_str(&super::value::show(value)),
        (TemplateValue::Nil, verb) => out.push_str(&format!("%!{verb}(<nil>)")),
        (value, verb) => {
            out.push_str(&format!("%!{verb}({}=", type_of(value)));
            value_by_verb(value, 'v', flags, false, out)?;
            out.push(')');
        }
    }
    Ok(())
}

fn elements(value: &TemplateValue, verb: char, flags: PrintfFlags, out: &mut String) -> Result<(), String> {
    if flags.go_syntax {
        out.push_str(type_of(value));
    }
    let separator = if flags.go_syntax { ", " } else { " " };
    match value {
        TemplateValue::List(list) => {
            let within = list.of == ListElements::Any;
            out.push(if flags.go_syntax { '{' } else { '[' });
            for (at, item) in list.items.iter().enumerate() {
                out.push_str(if at > 0 { separator } else { "" });
                value_by_verb(item, verb, flags, within || matches!(item, TemplateValue::Nil), out)?;
            }
            out.push(if flags.go_syntax { '}' } else { ']' });
        }
        TemplateValue::Dict(dict) => {
            out.push_str(if flags.go_syntax { "{" } else { "map[" });
            for (at, (key, value)) in dict.entries().iter().enumerate() {
                out.push_str(if at > 0 { separator } else { "" });
                value_by_verb(&key.value(), verb, flags, true, out)?;
                out.push(':');
                value_by_verb(value, verb, flags, true, out)?;
            }
            out.push(if flags.go_syntax { '}' } else { ']' });
        }
        _ => {}
    }
    Ok(())
}

fn whole(negative: bool, number: u64, verb: char, flags: PrintfFlags, out: &mut String) {
    let character = || u32::try_from(number).ok().filter(|_| !negative).and_then(char::from_u32).unwrap_or('\u{fffd}');
    match verb {
        'c' => return pad(&character().to_string(), flags, out),
        'q' => return pad(&quoted_char(character(), flags.plus), flags, out),
        'U' => {
            let signed = if negative { number.wrapping_neg() } else { number };
            let shown = character();
            let beside = if flags.sharp && is_printed(shown) { format!(" '{shown}'") } else { String::new() };
            let least = flags.precision.unwrap_or(0).max(4);
            return pad(&format!("U+{signed:0least$X}{beside}"), PrintfFlags { zero: false, ..flags }, out);
        }
        _ => {}
    }
    if flags.precision == Some(0) && number == 0 {
        return out.push_str(&" ".repeat(flags.width.unwrap_or(0)));
    }
    let digits = match verb {
        'b' => format!("{number:b}"),
        'o' | 'O' => format!("{number:o}"),
        'x' => format!("{number:x}"),
        'X' => format!("{number:X}"),
        _ => number.to_string(),
    };
    let sign = match (negative, flags.plus, flags.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    let least = match (flags.precision, flags.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let digits = format!("{digits:0>least$}");
    let prefix = match verb {
        'O' => "0o",
        'b' if flags.sharp => "0b",
        'o' if flags.sharp && !digits.starts_with('0') => "0",
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        _ => "",
    };
    pad(&format!("{sign}{prefix}{digits}"), PrintfFlags { zero: false, ..flags }, out);
}

fn fraction(float: f64, verb: char, flags: PrintfFlags, out: &mut String) -> Result<(), String> {
    if flags.sharp {
        return Err(format!("%#{verb} of a number with a fraction is not supported"));
    }
    let size = float.abs();
    let mut text = match (verb, flags.precision) {
        _ if !float.is_finite() => float_text(size).trim_start_matches('+').to_owned(),
        ('v' | 'g' | 'G', None) => float_text(size),
        ('v' | 'g' | 'G', Some(precision)) => significant(size, precision),
        ('x' | 'X', _) => hexadecimal_fraction(size),
        ('f' | 'F', precision) => format!("{size:.*}", precision.unwrap_or(6)),
        (_, precision) => exponential(size, precision.unwrap_or(6)),
    };
    if verb.is_ascii_uppercase() && float.is_finite() {
        text = text.to_uppercase();
    }
    let sign = match (float.is_sign_negative() && !float.is_nan(), flags.plus, flags.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        // Go writes +Inf for %v alone, and with a sign only.
        _ if float.is_infinite() => "+",
        _ => "",
    };
    let zeros = match flags.width {
        Some(width) if flags.zero && !flags.minus && float.is_finite() => width.saturating_sub(sign.len() + text.len()),
        _ => 0,
    };
    pad(&format!("{sign}{}{text}", "0".repeat(zeros)), PrintfFlags { zero: false, ..flags }, out);
    Ok(())
}

/// `%x`: `0x1.8p+01`.
fn hexadecimal_fraction(size: f64) -> String {
    let bits = size.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let (fraction, exponent) = match (bits >> 52, fraction) {
        (0, 0) => return "0x0p+00".to_owned(),
        (0, small) => {
            // So small that it is not written with a leading 1.
            let shift = small.leading_zeros() - 11;
            ((small << shift) & ((1 << 52) - 1), -1022 - i64::from(shift))
        }
        (biased, fraction) => (fraction, i64::try_from(biased).unwrap_or(0) - 1023),
    };
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("0x1{point}{digits}p{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%e`: `1.500000e+00`.
fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%.3g`: so many digits, without zeros at the end.
fn significant(size: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let text = format!("{size:.*e}", precision - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    let count = i32::try_from(digits.len() - usize::from(digits.contains('.'))).unwrap_or(i32::MAX);
    let mut limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if limit > count && count > exponent {
        limit = count;
    }
    if exponent < -4 || exponent >= limit {
        return format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    let places = usize::try_from(count - 1 - exponent).unwrap_or(0);
    // The digits are those of the rounded number, so it is read anew.
    format!("{:.places$}", text.parse::<f64>().unwrap_or(size))
}

fn text_in_quotes(text: &str, flags: PrintfFlags, out: &mut String) {
    let text = cut(text, flags);
    let back = |c: char| c == '\t' || (c >= ' ' && c != '`' && c != '\u{7f}' && c != '\u{feff}');
    if flags.sharp && text.chars().all(back) {
        return pad(&format!("`{text}`"), flags, out);
    }
    pad(&quoted(&text, flags.plus), flags, out);
}

fn hexadecimal(text: &str, verb: char, flags: PrintfFlags, out: &mut String) {
    let bytes = text.as_bytes();
    let bytes = &bytes[..flags.precision.unwrap_or(bytes.len()).min(bytes.len())];
    let prefix = if !flags.sharp || bytes.is_empty() {
        ""
    } else if verb == 'x' {
        "0x"
    } else {
        "0X"
    };
    let byte = |byte: &u8| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") };
    let text = if flags.space {
        bytes.iter().map(|b| format!("{prefix}{}", byte(b))).collect::<Vec<_>>().join(" ")
    } else {
        format!("{prefix}{}", bytes.iter().map(byte).collect::<String>())
    };
    pad(&text, flags, out);
}

/// At most so many characters as the precision says.
fn cut(text: &str, flags: PrintfFlags) -> String {
    text.chars().take(flags.precision.unwrap_or(usize::MAX)).collect()
}

fn pad(text: &str, flags: PrintfFlags, out: &mut String) {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    let padding = if flags.zero && !flags.minus { "0" } else { " " }.repeat(missing);
    match flags.minus {
        true => out.extend([text, &padding]),
        false => out.extend([padding.as_str(), text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_gos_fmt_prints() {
        let list = || TemplateValue::texts(["a", "b"]);
        let all = [TemplateValue::Int(1), TemplateValue::from("x"), TemplateValue::Nil];
        for (format, args, wanted) in [
            ("%s|%q|%v", vec![list(), list(), list()], r#"[a b]|["a" "b"]|[a b]"#),
            ("%d", vec![list()], "[%!d(string=a) %!d(string=b)]"),
            ("%d", vec![TemplateValue::Float(1.5)], "%!d(float64=1.5)"),
            ("%T %T", vec![TemplateValue::Int(1), list()], "int []string"),
            ("%#v %#v", vec![TemplateValue::from("b"), list()], r#""b" []string{"a", "b"}"#),
            ("%v", vec![TemplateValue::list(all)], "[1 x <nil>]"),
            (
                "%05d|%-5d|%+d|%x|%#X|%c|%q|%U",
                (0..8).map(|_| TemplateValue::Int(97)).collect(),
                "00097|97   |+97|61|0X61|a|'a'|U+0061",
            ),
            (
                "%6.2f|%e|%g|%.3g",
                (0..4).map(|_| TemplateValue::Float(1234.5678)).collect(),
                "1234.57|1.234568e+03|1234.5678|1.23e+03",
            ),
            ("%5s|%-5s|%.1s|%05s", (0..4).map(|_| TemplateValue::from("ab")).collect(), "   ab|ab   |a|000ab"),
            ("%[2]d %[1]d", vec![TemplateValue::Int(1), TemplateValue::Int(2)], "2 1"),
            ("%*d", vec![TemplateValue::Int(4), TemplateValue::Int(1)], "   1"),
            ("%d %s", vec![TemplateValue::Int(1)], "1 %!s(MISSING)"),
            ("%d", vec![TemplateValue::Int(1), TemplateValue::from("x")], "1%!(EXTRA string=x)"),
            ("100%", vec![], "100%!(NOVERB)"),
            ("%%|%t|%x", vec![TemplateValue::Bool(true), TemplateValue::from("az")], "%|true|617a"),
            ("%s", vec![TemplateValue::Nil], "%!s(<nil>)"),
            ("%x|%X|%x", [10.0, 3.5, 5e-324].map(TemplateValue::Float).to_vec(), "0x1.4p+03|0X1.CP+01|0x1p-1074"),
        ] {
            assert_eq!(printf(format, &args).as_deref(), Ok(wanted), "{format}");
        }
        assert!(printf("%1000000d%1000000d", &[TemplateValue::Int(1), TemplateValue::Int(2)]).is_err());
    }
}
