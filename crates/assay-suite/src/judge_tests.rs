//! Every matcher, met and not met. That goss judges the same is shown by the integration tests, with goss itself.

use serde_json::json;

use super::*;

/// Whether `matcher` is met by what a host answered; a demand that is not met must say why.
fn met(matcher: Matcher, observed: Value) -> bool {
    let judgement = judge(&matcher, &observed);
    assert_eq!(judgement.met, judgement.message.is_empty(), "{matcher:?} {observed} {judgement:?}");
    judgement.met
}

fn patterns(patterns: &[&str]) -> Matcher {
    Matcher::HavePatterns(patterns.iter().map(|p| (*p).to_owned()).collect())
}

fn plain(value: Value) -> Matcher {
    Matcher::Equal(value)
}

fn why(matcher: &Matcher, observed: Value) -> String {
    judge_written(matcher, &observed).message
}

#[test]
fn plain_values_ask_for_their_own_type() {
    assert!(met(plain(json!(true)), json!(true)));
    assert!(!met(plain(json!(true)), json!(false)));
    assert!(met(plain(json!("true")), json!(true)));
    assert!(met(plain(json!(0)), json!(0.0)));
    assert!(met(plain(json!("22")), json!(22)));
    assert!(met(plain(json!(22)), json!("22\n")));
    assert!(!met(plain(json!(22)), json!("x22")));
    assert!(met(plain(json!(644)), json!("0644")));
    assert!(!met(plain(json!("644")), json!("0644")));
    assert!(met(plain(json!("a\n")), json!("a\n")));
    assert!(!met(plain(json!("a")), json!("a\n")));
    assert!(met(plain(json!("1.0")), json!(["1.0"])));
    assert!(!met(plain(json!("1.0")), json!(["1.0", "2.0"])));
    assert!(!met(plain(json!(1)), Value::Null));
}

#[test]
fn a_hosts_list_is_never_equal_to_a_written_one_but_assays_own_is() {
    let same = Matcher::SameAs(json!(["a", "b"]));
    assert!(!met(same.clone(), json!(["a", "b"])));
    assert!(judge_written(&same, &json!(["a", "b"])).met);
    assert!(judge_written(&plain(json!([])), &json!([])).met);
    assert!(!judge_written(&plain(json!([])), &json!(["x.service"])).met);
    assert!(!judge_written(&plain(json!(["a", "b"])), &json!(["b", "a"])).met);
    assert!(met(Matcher::SameAs(json!(5)), json!(5)));
    assert!(!met(Matcher::SameAs(json!(5.0)), json!(5)));
    assert!(!met(Matcher::SameAs(json!("5")), json!(5)));
}

#[test]
fn lists_hold_elements() {
    let elements = |all: &[Value]| Matcher::Elements(all.iter().cloned().map(Matcher::Equal).collect());
    assert!(met(elements(&[json!("a")]), json!(["b", "a"])));
    assert!(met(elements(&[json!(5)]), json!(["5"])));
    assert!(!met(elements(&[json!("a"), json!("c")]), json!(["b", "a"])));
    assert!(!met(elements(&[json!("a"), json!("a")]), json!(["b", "a"])));
    assert!(!met(elements(&[json!("a")]), json!([])));
    assert!(met(elements(&[]), json!([])));
    assert!(!met(elements(&[]), json!("a")));
    assert!(met(Matcher::ContainElements(vec![plain(json!("b"))]), json!("a\nb\n")));
    assert!(met(Matcher::ContainElement(Box::new(Matcher::Gt(4.0))), json!(["x", "5"])));
    assert!(met(Matcher::ConsistOf(vec![plain(json!("a")), Matcher::HavePrefix("b".into())]), json!(["ba", "a"])));
    assert!(!met(Matcher::ConsistOf(vec![plain(json!("a"))]), json!(["b", "a"])));
    assert!(met(Matcher::HaveLen(2), json!(["b", "a"])));
    assert!(met(Matcher::HaveLen(3), json!("abc")));
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
        assert!(!met(matcher.clone(), json!("many")));
        assert!(!met(Matcher::Not(Box::new(matcher)), json!("many")), "what cannot be judged is not met by not either");
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
    assert!(met(Matcher::HavePrefix("a\n".into()), json!(["a", "b"])));
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
fn versions_and_json() {
    let range = Matcher::SemverConstraint(">=1.2.0 <2.0.0".into());
    assert!(met(range.clone(), json!(["1.2.3", "1.9.0"])));
    assert!(!met(range.clone(), json!(["1.2.3", "2.0.0"])));
    assert!(!met(range, json!("1:1.2.3")));
    let paths = Matcher::Gjson(vec![("a.#".into(), plain(json!(2))), ("a.0".into(), plain(json!("x")))]);
    assert!(met(paths.clone(), json!(r#"{"a": ["x", "y"]}"#)));
    assert!(!met(paths.clone(), json!(r#"{"a": ["y", "y"]}"#)));
    assert!(!met(paths, json!("{")));
    let key = Matcher::Gjson(vec![("@this".into(), Matcher::HaveKey(Box::new(plain(json!("a")))))]);
    assert!(met(key.clone(), json!(r#"{"a": 1}"#)));
    assert!(!met(key, json!(r#"{"b": 1}"#)));
}

#[test]
fn reasons() {
    let text = [
        why(&Matcher::Gt(5.0), json!(4)),
        why(&Matcher::Gt(5.0), json!("many")),
        why(&Matcher::Elements(vec![plain(json!("a")), plain(json!("c"))]), json!(["a", "b"])),
        why(&Matcher::Elements(vec![plain(json!("a")), plain(json!("a"))]), json!(["a", "b"])),
        why(&Matcher::ConsistOf(vec![Matcher::HavePrefix("a".into())]), json!(["a", "b"])),
        why(&Matcher::ContainElement(Box::new(plain(json!("c")))), json!(["a", "b"])),
        why(&Matcher::Gjson(vec![("a".into(), Matcher::Gt(5.0))]), json!("{\"a\": 1}")),
        why(&Matcher::Gjson(vec![("b".into(), Matcher::Gt(5.0))]), json!("{\"a\": 1}")),
        why(&Matcher::SemverConstraint(">1.0.0".into()), json!("0.9.0")),
        why(&Matcher::Or(vec![Matcher::Gt(5.0), plain(json!(1))]), json!(4)),
        why(&patterns(&["x", "!a"]), json!("a")),
    ];
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn every_matcher_is_written_as_goss_writes_it() {
    assert_eq!(Matcher::Gt(0.0).to_json(), json!({ "gt": 0 }));
    assert_eq!(Matcher::Equal(json!("x")).to_json(), json!("x"));
    assert_eq!(
        Matcher::Not(Box::new(Matcher::And(vec![Matcher::HaveLen(1), Matcher::Le(1.5)]))).to_json(),
        json!({ "not": { "and": [{ "have-len": 1 }, { "le": 1.5 }] } })
    );
    assert_eq!(
        Matcher::Gjson(vec![("a".into(), Matcher::Gt(1.0))]).to_json(),
        json!({ "gjson": { "a": { "gt": 1 } } })
    );
}

#[test]
fn a_text_that_was_cut_off_is_judged_only_where_that_is_sound() {
    assert!(patterns(&["a", "/b/"]).holds_for_longer_text());
    assert!(!patterns(&["a", "!b"]).holds_for_longer_text());
    assert!(!Matcher::Equal(json!("a")).holds_for_longer_text());
    assert!(!Matcher::Not(Box::new(patterns(&["a"]))).holds_for_longer_text());
    assert!(!Matcher::MatchRegexp("a$".into()).holds_for_longer_text());
    assert!(patterns(&["a", "/b$/"]).reads_lines() && !patterns(&["a", "b"]).reads_lines());
    assert!(Matcher::ContainElement(Box::new(plain(json!("a")))).reads_lines());
}
