//! Every matcher, met and not met.

use super::*;

/// Whether `matcher` is met by `observed`; a demand that is not met must say why.
fn met(matcher: Matcher, observed: Value) -> bool {
    let judgement = judge(&matcher, &observed);
    assert_eq!(judgement.met, judgement.message.is_empty(), "{matcher:?} {observed} {judgement:?}");
    judgement.met
}

fn patterns(patterns: &[&str]) -> Matcher {
    Matcher::HavePatterns(patterns.iter().map(|p| (*p).to_owned()).collect())
}

#[test]
fn equality_is_gosss() {
    assert!(met(Matcher::Equal(json!(true)), json!(true)));
    assert!(!met(Matcher::Equal(json!(true)), json!(false)));
    assert!(met(Matcher::Equal(json!(0)), json!(0.0)));
    assert!(met(Matcher::Equal(json!("22")), json!(22)));
    assert!(met(Matcher::Equal(json!(22)), json!("22")));
    assert!(!met(Matcher::Equal(json!(22)), json!("x22")));
    assert!(!met(Matcher::Equal(json!("0644")), json!("0600")));
    assert!(met(Matcher::Equal(json!("a\n")), json!("a\n")));
    assert!(!met(Matcher::Equal(json!("a")), json!("a\n")));
    assert!(met(Matcher::Equal(json!([])), json!([])));
    assert!(!met(Matcher::Equal(json!([])), json!(["x.service"])));
    assert!(!met(Matcher::Equal(json!(["a", "b"])), json!(["b", "a"])));
    assert!(met(Matcher::Equal(json!("1.0")), json!(["1.0"])));
    assert!(!met(Matcher::Equal(json!("1.0")), json!(["1.0", "2.0"])));
    assert!(!met(Matcher::Equal(json!(1)), Value::Null));
}

#[test]
fn lists_hold_elements() {
    assert!(met(Matcher::ContainElements(vec![json!("a")]), json!(["b", "a"])));
    assert!(met(Matcher::ContainElements(vec![json!(5)]), json!(["5"])));
    assert!(!met(Matcher::ContainElements(vec![json!("a"), json!("c")]), json!(["b", "a"])));
    assert!(!met(Matcher::ContainElements(vec![json!("a")]), json!([])));
    assert!(met(Matcher::HaveLen(2), json!(["b", "a"])));
    assert!(!met(Matcher::HaveLen(2), json!("abc")));
    assert!(!met(Matcher::HaveLen(2), Value::Null));
}

#[test]
fn patterns_are_per_line() {
    let text = json!("root:x:0:0\nbin:x:1:1\n");
    assert!(met(patterns(&["root:x:0:0", "!nosuchuser", "/^bin:/", "!/^x$/"]), text.clone()));
    assert!(!met(patterns(&["!root"]), text.clone()));
    assert!(!met(patterns(&["/0\\nbin/"]), text.clone()));
    assert!(!met(patterns(&["nosuchuser"]), text));
    assert!(!met(patterns(&["x"]), json!("")));
    assert!(met(patterns(&["!x"]), json!("")));
    assert!(met(patterns(&["b"]), json!(["a", "b"])));
}

#[test]
fn numbers_compare() {
    for (matcher, low, equal, high) in [
        (Matcher::Gt(5.0), false, false, true),
        (Matcher::Ge(5.0), false, true, true),
        (Matcher::Lt(5.0), true, false, false),
        (Matcher::Le(5.0), true, true, false),
    ] {
        assert_eq!(met(matcher.clone(), json!(4)), low);
        assert_eq!(met(matcher.clone(), json!("5\n")), equal);
        assert_eq!(met(matcher.clone(), json!(6.5)), high);
        assert!(!met(matcher, json!("many")));
    }
}

#[test]
fn texts() {
    assert!(met(Matcher::HavePrefix("ab".into()), json!("abc")));
    assert!(!met(Matcher::HavePrefix("bc".into()), json!("abc")));
    assert!(met(Matcher::HaveSuffix("bc".into()), json!("abc")));
    assert!(!met(Matcher::HaveSuffix("ab".into()), json!("abc")));
    assert!(met(Matcher::ContainSubstring("b".into()), json!("abc")));
    assert!(!met(Matcher::ContainSubstring("x".into()), json!("abc")));
    assert!(met(Matcher::MatchRegexp("^v[0-9]+$".into()), json!("v12")));
    assert!(!met(Matcher::MatchRegexp("^v[0-9]+$".into()), json!("v12x")));
    assert!(!met(Matcher::MatchRegexp("(".into()), json!("(")));
    assert!(!met(Matcher::HavePrefix("a".into()), json!(["a", "b"])));
}

#[test]
fn combinations() {
    let gt = || Matcher::Gt(1.0);
    let lt = || Matcher::Lt(9.0);
    assert!(met(Matcher::And(vec![gt(), lt()]), json!(5)));
    assert!(!met(Matcher::And(vec![gt(), lt()]), json!(9)));
    assert!(met(Matcher::Or(vec![Matcher::Lt(1.0), Matcher::Gt(9.0)]), json!(10)));
    assert!(!met(Matcher::Or(vec![Matcher::Lt(1.0), Matcher::Gt(9.0)]), json!(5)));
    assert!(met(Matcher::Not(Box::new(gt())), json!(0)));
    assert!(!met(Matcher::Not(Box::new(gt())), json!(5)));
}

#[test]
fn every_matcher_is_written_as_goss_writes_it() {
    assert_eq!(Matcher::Gt(0.0).to_json(), json!({ "gt": 0 }));
    assert_eq!(Matcher::Equal(json!("x")).to_json(), json!("x"));
    assert_eq!(
        Matcher::Not(Box::new(Matcher::And(vec![Matcher::HaveLen(1), Matcher::Le(1.5)]))).to_json(),
        json!({ "not": { "and": [{ "have-len": 1 }, { "le": 1.5 }] } })
    );
}

#[test]
fn a_text_that_was_cut_off_is_judged_only_where_that_is_sound() {
    assert!(patterns(&["a", "/b/"]).holds_for_longer_text());
    assert!(!patterns(&["a", "!b"]).holds_for_longer_text());
    assert!(!Matcher::Equal(json!("a")).holds_for_longer_text());
    assert!(!Matcher::Not(Box::new(patterns(&["a"]))).holds_for_longer_text());
    assert!(!Matcher::MatchRegexp("a$".into()).holds_for_longer_text());
}
