//! Templates whose text, or refusal, is that of goss's own binary: where a reader of templates slips easily.

use super::*;

const VARS: &str = "db:\nd: {k: old}\nus: [{name: a, shell: old}, {name: b, shell: old}]\nempty: []\nlist: [a, b]\n\
    ints: [3, 1, 2]\nmap: {a: b}\nports: {80: web, 443: tls}\nmixed: {10: a, 9: b, x: c, true: d}\nbig: 18446744073709551615\n";

fn is(template: &str, wanted: &str) {
    let it = rendered(template, inline(VARS)).unwrap_or_else(|wrong| panic!("{template}: {wrong:?}"));
    assert_eq!(it.text, wanted, "{template}");
}

fn refused(template: &str) -> Vec<TemplateMistake> {
    match rendered(template, inline(VARS)) {
        Ok(it) => panic!("{template} is taken: {:?}", it.text),
        Err(mistakes) => mistakes,
    }
}

#[test]
fn every_action_has_its_end_and_every_end_its_action() {
    for template in [
        "a {{ end }} b",
        "{{ else }}",
        "{{ else if true }}",
        "# {{ end }}\nfile: {}",
        "{{ range .Vars.list }}x{{ end }}{{ end }}y",
        "{{ define \"x\" }}y",
        "{{ block \"x\" . }}y",
        "{{ if true }}y",
        "{{ with true }}y",
        "{{ range .Vars.list }}y",
        "{{ if true }}a{{ else }}b{{ else }}c{{ end }}",
        "{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}",
        "{{ define \"x\" }}{{ else }}{{ end }}",
        "{{ range .Vars.list }}{{ else if true }}{{ end }}",
        "{{ define \"x\" }}a{{ end }}{{ define \"x\" }}b{{ end }}",
        "{{ break }}",
        "{{ if true }}{{ continue }}{{ end }}",
    ] {
        let mistakes = refused(template);
        assert!(mistakes[0].title.contains("cannot be parsed"), "{template}: {mistakes:?}");
    }
    is("{{ if false }}a{{ else if true }}b{{ else }}c{{ end }}", "b");
    is("{{ with .Vars.db }}a{{ else with .Vars.list }}{{ . }}{{ end }}", "[a b]");
    is("{{/* {{ end }} */}}{{ \"{{ end }}\" }}", "{{ end }}");
    is("{{ define \"x\" }}<{{ . }}>{{ end }}{{ template \"x\" 1 }}{{ block \"y\" 2 }}{{ . }}{{ end }}", "<1>2");
    is("{{ range .Vars.list }}{{ if eq . \"b\" }}{{ break }}{{ end }}{{ . }}{{ end }}", "a");
}

#[test]
fn what_go_does_not_parse_is_refused() {
    for template in [
        "{{ $z = 1 }}",
        "{{ $z }}",
        "{{ block \"x\" }}{{ end }}",
        "{{ /* c */ }}",
        "{{ \"a\nb\" }}",
        "{{ 1 | 2 }}",
        "{{ . | \"a\" }}",
        "{{ (1 }}",
        "{{ 1) }}",
        "{{ \"a\".b }}",
        "{{ 1i }}",
        "{{ $a, $b := 1 }}",
        "{{ template x }}",
        "{{ nil }}",
        "{{ }}",
        "{{ .Vars.a-b }}",
    ] {
        refused(template);
    }
    is("{{ until 3.0 }}{{ trunc 2.0 \"abc\" }}{{ repeat 1e1 \"a\" }}", "[0 1 2]abaaaaaaaaaa");
    is("{{ 'a' }} {{ 0x10 }} {{ 1_000 }} {{ 1e3 }}", "97 16 1000 1000");
    is("a  {{- 1 -}}  b{{- /* c */ -}}  d", "a1bd");
}

#[test]
fn a_field_of_nothing_is_a_mistake() {
    for template in [
        "{{ if .Vars.db.enabled }}{{ end }}",
        "{{ range .Vars.db.users }}{{ end }}",
        "{{ if not .Vars.db.x }}{{ end }}",
        "{{ .Vars.db.x.y }}",
        "{{ $n := .Vars.db }}{{ $n.x }}",
        "{{ (first .Vars.empty).x }}",
        "{{ index .Vars.db \"x\" }}",
        "{{ .Foo }}",
        "{{ range . }}{{ end }}",
        "{{ .Vars.list.x }}",
    ] {
        refused(template);
    }
    is("{{ .Vars.db }}|{{ with .Vars.db }}x{{ end }}|{{ range .Vars.db }}x{{ else }}y{{ end }}", "<no value>||y");
}

#[test]
fn a_dict_is_one_thing_under_all_its_names() {
    is("{{ $d := .Vars.d }}{{ $_ := set $d \"k\" \"new\" }}{{ .Vars.d.k }}", "new");
    let users = "{{ range .Vars.us }}{{ $u := . }}{{ $_ := set $u \"shell\" \"new\" }}{{ end }}\
                 {{ range .Vars.us }}{{ .shell }} {{ end }}";
    is(users, "new new ");
    let d = "{{ $d := dict \"a\" 1 }}";
    is(&format!("{d}{{{{ $e := $d }}}}{{{{ $_ := set $d \"b\" 2 }}}}{{{{ $e }}}}"), "map[a:1 b:2]");
    is(&format!("{d}{{{{ $_ := set $d \"b\" 2 | len }}}}{{{{ len $d }}}}"), "2");
    is(&format!("{d}{{{{ if set $d \"b\" 2 }}}}{{{{ end }}}}{{{{ len $d }}}}"), "2");
    is(
        &format!(
            "{{{{ define \"f\" }}}}{{{{ $x := .d }}}}{{{{ $_ := set $x \"b\" 2 }}}}{{{{ end }}}}{d}{{{{ template \"f\" (dict \"d\" $d) }}}}{{{{ len $d }}}}"
        ),
        "2",
    );
    is(&format!("{d}{{{{ $e := deepCopy $d }}}}{{{{ $_ := unset $e \"a\" }}}}{{{{ len $d }}}}"), "1");
    is("{{ $_ := merge .Vars.d (dict \"n\" 1) }}{{ .Vars.d }}", "map[k:old n:1]");
}

#[test]
fn overwriting_takes_what_is_empty_too() {
    for (first, second, merged) in [
        ("true", "false", "false"),
        ("1", "0", "0"),
        ("\"x\"", "\"\"", ""),
        ("\"x\"", "nil", "<nil>"),
        ("(list 1)", "(list)", "[]"),
        ("(dict \"x\" 1)", "(dict)", "map[x:1]"),
        ("(dict \"x\" true)", "(dict \"x\" false)", "map[x:false]"),
        ("\"x\"", "(dict \"y\" 1)", "map[y:1]"),
        ("(dict \"y\" 1)", "\"x\"", "x"),
    ] {
        is(
            &format!("{{{{ mergeOverwrite (dict \"a\" {first}) (dict \"a\" {second}) }}}}"),
            &format!("map[a:{merged}]"),
        );
    }
    is("{{ merge (dict \"a\" true \"b\" 0) (dict \"a\" false \"b\" 1 \"c\" nil) }}", "map[a:true b:1]");
    is("{{ $c := mergeOverwrite (dict \"t\" true) (dict \"t\" false) }}{{ not $c.t }}", "true");
}

#[test]
fn keys_of_yaml_keep_their_type() {
    is("{{ index .Vars.ports 80 }}", "web");
    is("{{ range $p, $n := .Vars.ports }}{{ if eq $p 80 }}{{ printf \"tcp:%d\" $p }}{{ end }}{{ end }}", "tcp:80");
    is("{{ index .Vars.ports \"80\" }}", "<no value>");
    is("{{ .Vars.big }}", "18446744073709551615");
    is("{{ range $k, $v := .Vars.mixed }}{{ $v }}{{ end }}", "cbad");
    refused("{{ keys .Vars.ports }}");
    refused("{{ toJson .Vars.ports }}");
}

#[test]
fn an_int_is_no_int64() {
    is("{{ has (add 1 2) (list 1 2 3) }} {{ deepEqual (add 1 0) 1 }} {{ eq (add 1 0) 1 }}", "false false true");
    is("{{ deepEqual (list \"a\") (splitList \",\" \"a\") }}", "false");
    is("{{ typeOf (add 1 2) }} {{ typeOf (splitList \",\" \"a\") }} {{ typeOf (until 1) }}", "int64 []string []int");
    refused("{{ until (add 1 2) }}");
    is("{{ until (int (add 1 2)) }}", "[0 1 2]");
}

#[test]
fn printf_applies_its_verb_to_elements() {
    is("{{ printf \"%s %q %d\" .Vars.list .Vars.list .Vars.ints }}", "[a b] [\"a\" \"b\"] [3 1 2]");
    is("{{ printf \"%s\" .Vars.map }}", "map[a:b]");
    is("{{ printf \"%d\" 1.5 }} {{ printf \"%T\" 1 }} {{ printf \"%#v\" \"b\" }}", "%!d(float64=1.5) int \"b\"");
}

#[test]
fn regular_expressions_are_gos() {
    is("{{ regexMatch \"^\\\\w+$\" \"é\" }} {{ regexMatch \"\\\\W\" \"é\" }}", "false true");
    is(
        "{{ regexMatch \"^{\" \"{\" }} {{ regexMatch \"[a&&b]\" \"&\" }} {{ regexMatch \"\\\\<a\" \"<a\" }}",
        "true true true",
    );
    is("{{ regexSplit \"\" \"abc\" -1 }} {{ regexSplit \"b*\" \"abbc\" -1 }}", "[a b c] [a c]");
    is("{{ regexReplaceAll \"(a)(?P<n>b)\" \"ab\" \"${n}$1$x.\" }}", "ba.");
    is("{{ regexFindAll \"a\\\\B\" \"ab a\" -1 }}", "[a]");
    refused("{{ regexMatch \"(?x)a\" \"a\" }}");
}

#[test]
fn letters_and_numbers_as_in_go() {
    is("{{ int \"1_000\" }} {{ int \"1.0\" }} {{ int \"1.\" }} {{ int \"0x1F\" }} {{ int \"089\" }}", "1000 1 0 31 0");
    is("{{ upper \"ßŉ\" }} {{ lower \"İ\" }} {{ swapcase \"aß\" }}", "ßŉ i Aß");
    is("{{ quote \"\u{200b}\" }}", r#""\u200b""#);
    is("{{ toJson 1e21 }} {{ toJson 1e20 }} {{ toJson 0.0000001 }}", "1e+21 100000000000000000000 1e-7");
}
