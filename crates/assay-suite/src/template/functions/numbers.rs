//! Numbers (Sprig: numeric.go). Whole numbers are 64 bits and wrap, as in Go.

use super::{
    super::value::{ListElements, MAX_WEIGHT, TemplateList, TemplateValue, show, type_of},
    FunctionAnswer, MANY, TemplateFunction,
    arguments::{float, int, text, whole},
    function,
};

/// The most numbers that `until`, `untilStep` and `seq` make.
const MOST: usize = MAX_WEIGHT / 16 - 1;

pub(super) const FUNCTIONS: &[TemplateFunction] = &[
    function("int", 1, 1, |a| Ok(TemplateValue::Int(whole(&a[0])))),
    function("int64", 1, 1, |a| Ok(TemplateValue::Int64(whole(&a[0])))),
    function("float64", 1, 1, |a| Ok(TemplateValue::Float(float(&a[0])))),
    function("atoi", 1, 1, |a| Ok(TemplateValue::Int(text(a, 0)?.parse().unwrap_or(0)))),
    function("toDecimal", 1, 1, |a| Ok(TemplateValue::Int64(i64::from_str_radix(&show(&a[0]), 8).unwrap_or(0)))),
    function("add", 0, MANY, |a| Ok(TemplateValue::Int64(a.iter().map(whole).fold(0, i64::wrapping_add)))),
    function("add1", 1, 1, |a| Ok(TemplateValue::Int64(whole(&a[0]).wrapping_add(1)))),
    function("sub", 2, 2, |a| Ok(TemplateValue::Int64(whole(&a[0]).wrapping_sub(whole(&a[1]))))),
    function("mul", 1, MANY, |a| Ok(TemplateValue::Int64(a.iter().map(whole).fold(1, i64::wrapping_mul)))),
    function("div", 2, 2, |a| divided(a, i64::wrapping_div)),
    function("mod", 2, 2, |a| divided(a, i64::wrapping_rem)),
    function("max", 1, MANY, |a| Ok(TemplateValue::Int64(a.iter().map(whole).max().unwrap_or(0)))),
    function("biggest", 1, MANY, |a| Ok(TemplateValue::Int64(a.iter().map(whole).max().unwrap_or(0)))),
    function("min", 1, MANY, |a| Ok(TemplateValue::Int64(a.iter().map(whole).min().unwrap_or(0)))),
    function("maxf", 1, MANY, |a| Ok(TemplateValue::Float(a.iter().map(float).fold(f64::NEG_INFINITY, go_max)))),
    function("minf", 1, MANY, |a| Ok(TemplateValue::Float(a.iter().map(float).fold(f64::INFINITY, go_min)))),
    function("ceil", 1, 1, |a| Ok(TemplateValue::Float(float(&a[0]).ceil()))),
    function("floor", 1, 1, |a| Ok(TemplateValue::Float(float(&a[0]).floor()))),
    function("round", 2, 3, round),
    function("until", 1, 1, until),
    function("untilStep", 3, 3, |a| Ok(numbers(&steps(int(a, 0)?, int(a, 1)?, int(a, 2)?)?))),
    function("seq", 0, MANY, seq),
];

/// math.Max: a NaN stays one.
fn go_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// math.Min.
fn go_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn divided(args: &[TemplateValue], by: fn(i64, i64) -> i64) -> FunctionAnswer {
    match whole(&args[1]) {
        0 => Err("divides by zero".to_owned()),
        divisor => Ok(TemplateValue::Int64(by(whole(&args[0]), divisor))),
    }
}

fn round(args: &[TemplateValue]) -> FunctionAnswer {
    let threshold = match args.get(2) {
        None => 0.5,
        Some(TemplateValue::Float(_) | TemplateValue::Int(_)) => float(&args[2]),
        Some(other) => return Err(format!("argument 3 must be a number, not {}", type_of(other))),
    };
    int(args, 1)?;
    let power = 10f64.powf(float(&args[1]));
    let digits = power * float(&args[0]);
    let rounded = if digits.fract() >= threshold { digits.ceil() } else { digits.floor() };
    Ok(TemplateValue::Float(rounded / power))
}

fn until(args: &[TemplateValue]) -> FunctionAnswer {
    let count = int(args, 0)?;
    Ok(numbers(&steps(0, count, if count < 0 { -1 } else { 1 })?))
}

/// The numbers from `start` to before `stop`; none where the step leads away.
fn steps(start: i64, stop: i64, step: i64) -> Result<Vec<i64>, String> {
    let (distance, stride) = (stop.abs_diff(start), step.unsigned_abs());
    if stride == 0 || (stop < start) != (step < 0) || distance == 0 {
        return Ok(Vec::new());
    }
    let count = usize::try_from(distance.div_ceil(stride)).unwrap_or(usize::MAX);
    if count > MOST {
        return Err(format!("would make {count} numbers; at most {MOST} are made"));
    }
    Ok((0..).map_while(|at: i64| at.checked_mul(step)?.checked_add(start)).take(count).collect())
}

fn numbers(all: &[i64]) -> TemplateValue {
    TemplateValue::List(TemplateList {
        items: all.iter().map(|number| TemplateValue::Int(*number)).collect(),
        of: ListElements::Ints,
    })
}

fn seq(args: &[TemplateValue]) -> FunctionAnswer {
    let given = (0..args.len()).map(|at| int(args, at)).collect::<Result<Vec<_>, _>>()?;
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let all = match given.as_slice() {
        [end] => steps(1, end.saturating_add(toward(1, *end)), toward(1, *end))?,
        [start, end] => steps(*start, end.saturating_add(toward(*start, *end)), toward(*start, *end))?,
        [start, step, end] if end < start && *step > 0 => steps(*start, *start, 1)?,
        [start, step, end] => steps(*start, end.saturating_add(toward(*start, *end)), *step)?,
        _ => Vec::new(),
    };
    Ok(all.iter().map(i64::to_string).collect::<Vec<_>>().join(" ").into())
}
