//! Answers into outcomes: what was seen against what was demanded, property by property. It owns the rule of the
//! deciding property, and what of a value may leave the prober.

use serde_json::Value;

use super::{
    frames::AnswerFrame,
    questions::{SeenProperty, observe},
};
use assay_model::{
    CheckOutcome,
    escape::{bounded, escape, escape_line},
};
use assay_suite::{Check, Judgement, Matcher, ResourceKind, judge, judge_written};

/// The longest `actual` (as JSON) and the longest message that leave the prober, in bytes.
pub(super) const ACTUAL_KEPT: usize = 4 << 10;
const MESSAGE_KEPT: usize = 1 << 10;

/// How one property came out in one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JudgedProperty {
    pub outcome: CheckOutcome,
    /// What was found; escaped and bounded.
    pub actual: Value,
    /// For people; escaped, bounded, one line; empty when passed.
    pub message: String,
}

impl JudgedProperty {
    pub(crate) fn new(outcome: CheckOutcome, actual: &Value, message: &str) -> Self {
        Self { outcome, actual: shown(actual), message: bounded(&escape_line(message), MESSAGE_KEPT) }
    }

    /// An outcome without a value.
    pub(crate) fn without_value(outcome: CheckOutcome, message: &str) -> Self {
        Self::new(outcome, &Value::Null, message)
    }
}

/// Every property of `check`, in its order, by the host's answer.
pub(super) fn evaluate(check: &Check, frame: &AnswerFrame) -> Vec<JudgedProperty> {
    let mut closed: Option<String> = None;
    let mut all = Vec::with_capacity(check.properties.len());
    for property in &check.properties {
        if let Some(why) = &closed {
            all.push(JudgedProperty::without_value(CheckOutcome::Skipped, why));
            continue;
        }
        let seen = observe(check, &property.name, frame);
        let judged = one(verdict_of(check.resource), &property.matcher, &seen);
        if check.resource.gate() == Some(property.name.as_str()) {
            closed = match (judged.outcome, &seen) {
                (CheckOutcome::Failed, _) => Some(format!("{:?} failed", property.name)),
                (CheckOutcome::Undecided, _) => Some(format!("{:?} is undecided", property.name)),
                (_, SeenProperty::Value(Value::Bool(false))) => Some(format!("{:?} is false", property.name)),
                _ => None,
            };
        }
        all.push(judged);
    }
    all
}

/// Every property of a check that the suite skips.
pub(super) fn skipped(check: &Check) -> Vec<JudgedProperty> {
    check
        .properties
        .iter()
        .map(|_| JudgedProperty::without_value(CheckOutcome::Skipped, "the suite says skip"))
        .collect()
}

/// Every property of a check that was not answered.
pub(super) fn unanswered(check: &Check, why: &str) -> Vec<JudgedProperty> {
    check.properties.iter().map(|_| JudgedProperty::without_value(CheckOutcome::Undecided, why)).collect()
}

/// What the last of `attempts` found of a check that was to be asked again and cannot be, because of `why`: what passed has passed, what did not might have
/// in a later attempt.
pub(super) fn cut_short(check: &Check, found: Vec<JudgedProperty>, attempts: u32, why: &str) -> Vec<JudgedProperty> {
    let most = u64::from(check.retry) + 1;
    let note = format!("not passed in {attempts} of at most {most} attempts, and there was no further one: {why}");
    let note = bounded(&escape_line(&note), MESSAGE_KEPT / 2);
    let gate = check.resource.gate();
    found
        .into_iter()
        .map(|mut judged| {
            match judged.outcome {
                CheckOutcome::Passed => {}
                CheckOutcome::Failed | CheckOutcome::Undecided => {
                    let last = if judged.message.is_empty() { "" } else { "; last: " };
                    judged.message = bounded(&format!("{note}{last}{}", judged.message), MESSAGE_KEPT);
                    judged.outcome = CheckOutcome::Undecided;
                }
                // It was skipped because of the deciding property.
                CheckOutcome::Skipped => {
                    judged.message = gate.map_or(judged.message, |gate| format!("{gate:?} is undecided"));
                }
            }
            judged
        })
        .collect()
}

/// Every property of a check whose value stands in the suite itself, as its parameter `content`.
pub(super) fn written(check: &Check) -> Vec<JudgedProperty> {
    let seen = SeenProperty::Value(check.parameters.get("content").cloned().unwrap_or_default());
    check.properties.iter().map(|property| one(judge_written, &property.matcher, &seen)).collect()
}

type PropertyVerdict = fn(&Matcher, &Value) -> Judgement;

/// How values of this resource meet matchers: goss's own as in goss, where a host's list is never `equal` to a written
/// one; assay's as they are.
fn verdict_of(resource: ResourceKind) -> PropertyVerdict {
    if resource.is_goss() { judge } else { judge_written }
}

fn one(verdict: PropertyVerdict, matcher: &Matcher, seen: &SeenProperty) -> JudgedProperty {
    match seen {
        SeenProperty::Value(value) => {
            let judgement = verdict(matcher, value);
            let outcome = if judgement.met { CheckOutcome::Passed } else { CheckOutcome::Failed };
            JudgedProperty::new(outcome, value, &judgement.message)
        }
        SeenProperty::Beginning(text) => {
            let value = Value::from(text.as_str());
            // The last line may go on, so it is not looked at as a line.
            let lines = text.rfind('\n').map_or("", |end| &text[..=end]);
            let looked_at = if matcher.reads_lines() { lines } else { text };
            if matcher.holds_for_longer_text() && verdict(matcher, &looked_at.into()).met {
                return JudgedProperty::new(CheckOutcome::Passed, &value, "");
            }
            let message = format!("longer than the {} KiB that are kept, so this cannot be judged", text.len() >> 10);
            JudgedProperty::new(CheckOutcome::Undecided, &value, &message)
        }
        SeenProperty::NotUtf8(bytes) => not_utf8(verdict, matcher, bytes),
        SeenProperty::Nothing(why) => JudgedProperty::without_value(CheckOutcome::Failed, why),
        SeenProperty::Unknown(why) => JudgedProperty::without_value(CheckOutcome::Undecided, why),
    }
}

/// A text whose bytes are not all characters, while matchers judge characters. What is none is put in twice: as U+FFFD, as
/// Go's regular expressions see it, and as one byte, as it is counted and compared. A demand for which that makes no
/// difference is judged; any other, and one that speaks of U+FFFD itself, is not.
fn not_utf8(verdict: PropertyVerdict, matcher: &Matcher, bytes: &[u8]) -> JudgedProperty {
    let filled = |with: char| {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| with));
        }
        Value::from(text)
    };
    let (shown, narrow) = (filled('\u{fffd}'), filled('\u{1a}'));
    let written = matcher.to_json().to_string().to_ascii_lowercase();
    let (first, second) = (verdict(matcher, &shown), verdict(matcher, &narrow));
    if first.met == second.met && !written.contains('\u{fffd}') && !written.contains("fffd") {
        let outcome = if first.met { CheckOutcome::Passed } else { CheckOutcome::Failed };
        return JudgedProperty::new(outcome, &shown, &first.message);
    }
    let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    JudgedProperty::new(CheckOutcome::Undecided, &shown, &format!("byte {at} is not UTF-8, so this cannot be judged"))
}

/// A value as it may be shown: texts escaped, and the whole not longer than [`ACTUAL_KEPT`]; of a longer list the
/// beginning and how many more there are, a longer text is cut.
pub fn shown(value: &Value) -> Value {
    let escaped = match value {
        Value::String(text) => Value::from(bounded(&escape(text), ACTUAL_KEPT / 2)),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Object(_) => Value::from(bounded(&escape(&value.to_string()), ACTUAL_KEPT / 2)),
        other => other.clone(),
    };
    let json = escaped.to_string();
    if json.len() <= ACTUAL_KEPT {
        return escaped;
    }
    if let Value::Array(items) = escaped {
        return beginning(items);
    }
    let text = escaped.as_str().map_or(json, str::to_owned);
    // Each character may take six bytes as JSON.
    Value::from(bounded(&text, ACTUAL_KEPT / 6 - 40))
}

/// The first elements of a list, as many as may be shown, and a text that says how many follow.
fn beginning(mut items: Vec<Value>) -> Value {
    // Room for that text, and for the brackets.
    let mut room = ACTUAL_KEPT - 64;
    let fit = items.iter().take_while(|item| {
        let length = item.to_string().len() + 1;
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    });
    let fit = fit.count();
    let more = items.len() - fit;
    items.truncate(fit);
    items.push(format!("… and {more} more").into());
    Value::Array(items)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_that_are_no_characters_decide_only_what_they_do_not_touch() {
        let latin = SeenProperty::NotUtf8(b"caf\xe9\n".to_vec());
        let outcome = |matcher: Matcher| one(judge, &matcher, &latin).outcome;
        for (matcher, wanted) in [
            (Matcher::ContainSubstring("caf".into()), CheckOutcome::Passed),
            (Matcher::HavePatterns(vec!["/^caf.$/".into(), "!x".into()]), CheckOutcome::Passed),
            (Matcher::HavePatterns(vec!["!caf".into()]), CheckOutcome::Failed),
            (Matcher::HaveLen(9), CheckOutcome::Failed),
            (Matcher::HaveLen(7), CheckOutcome::Undecided),
            (Matcher::HaveLen(5), CheckOutcome::Undecided),
            (Matcher::HavePatterns(vec!["!\u{fffd}".into()]), CheckOutcome::Undecided),
            (Matcher::MatchRegexp("\\x{FFFD}".into()), CheckOutcome::Undecided),
            (Matcher::Equal("caf\u{fffd}\n".into()), CheckOutcome::Undecided),
        ] {
            assert_eq!(outcome(matcher.clone()), wanted, "{matcher:?}");
        }
    }

    #[test]
    fn what_is_shown_is_escaped_and_bounded() {
        assert_eq!(shown(&json!("a\x1b[2J\n")), json!("a\\x1b[2J\n"));
        for big in [json!("x".repeat(100_000)), json!(vec!["\"\n".repeat(100); 1000]), json!("\"".repeat(100_000))] {
            assert!(shown(&big).to_string().len() <= ACTUAL_KEPT, "{}", shown(&big).to_string().len());
        }
        assert_eq!(shown(&json!(["a\x07", 1, true])), json!(["a\\x07", 1, true]));
    }
}
