//! The scanner accepts what serde_json accepts.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().and_then(|_| scanner.end()).is_ok()
}

#[test]
fn members_and_elements_come_in_order_with_keys_unescaped() {
    let text = r#" { "a" : 1.0e400 , "m\u006fd":[ {"x":[]} , -0 ,"]"], "a":{} } "#;
    let mut seen = Vec::new();
    let mut scanner = Scanner::new(text);
    let mut parts = Vec::new();
    let read = scanner.object(|scanner, key| {
        if key == "mod" {
            seen.push((key.into_owned(), "array"));
            return scanner.array(|scanner| scanner.value().map(|part| parts.push(part)));
        }
        let value = scanner.value()?;
        seen.push((key.into_owned(), value));
        Ok(())
    });
    assert_eq!(read.and_then(|()| scanner.end()), Ok(()));
    assert_eq!(seen, [("a".into(), "1.0e400"), ("mod".into(), "array"), ("a".into(), "{}")]);
    assert_eq!(parts, [r#"{"x":[]}"#, "-0", r#""]""#]);
}

#[test]
fn brackets_are_matched_at_any_depth() {
    for depth in [1, 63, 64, 65, 128, 129, 100_000] {
        let mixed = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth);
        assert!(is_json(&mixed), "{depth}");
        assert!(!is_json(&mixed[..mixed.len() - 1]) && !is_json(&mixed.replace("1}", "1]")), "{depth}");
    }
}

#[test]
fn numbers_follow_the_grammar() {
    for text in ["0", "-0", "10", "1.5", "1e5", "1E+05", "-1.25e-7"] {
        assert!(is_json(text), "{text}");
    }
    for text in ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1_0", "NaN", "--1"] {
        assert!(!is_json(text), "{text}");
    }
}

#[test]
fn escapes_and_control_characters_are_checked_at_every_offset() {
    for at in 0..40 {
        for (special, good) in [("\\n", true), ("\\u00e9", true), ("\n", false), ("\\x", false), ("\\u00g0", false)] {
            let text = format!("\"{}{special}{}\"", "é".repeat(at), "x".repeat(40 - at));
            assert_eq!(is_json(&text), good, "{text}");
            assert!(!is_json(&text[..text.len() - 1]), "{text}");
        }
    }
}

#[test]
fn special_bytes_are_found_at_every_offset() {
    for byte in 0..=u8::MAX {
        for (before, after) in [(0, 0), (3, 0), (0, 15), (15, 0), (16, 16), (7, 40), (40, 7)] {
            let bytes = [vec![b'x'; before], vec![byte], vec![b'x'; after]].concat();
            let found = (byte < 0x20 || byte == b'"' || byte == b'\\').then_some(before);
            assert_eq!(find_special(&bytes, 0), found, "{byte} {before} {after}");
            assert_eq!(find_special(&bytes, before + 1), None);
        }
    }
}

#[test]
fn numbers_and_literals_end_at_a_comma_or_bracket() {
    for value in ["0", "7", "1700000000", "null", "-1", "1.5", "true", "\"a\"", "[]"] {
        for (text, good) in [
            (format!("[{value}]"), true),
            (format!("[{value},{value}]"), true),
            (format!(r#"{{"a":{value}}}"#), true),
            (format!(r#"{{"a" : {value} , "b":{value}}}"#), true),
            (format!("[{value}x]"), false),
            (format!("[{value}{value}]"), value == "7" || value == "1700000000"),
            (format!("[0{value}]"), false),
            (format!("[{value}"), false),
        ] {
            let mut scanner = Scanner::new(&text);
            let mut read = Vec::new();
            let got = match scanner.peek() {
                Some(b'[') => scanner.array(|scanner| scanner.value().map(|value| read.push(value))),
                _ => scanner.object(|scanner, _| scanner.value().map(|value| read.push(value))),
            };
            assert_eq!(got.and_then(|()| scanner.end()).is_ok(), good, "{text}");
            assert_eq!(is_json(&text), good, "{text}");
            assert!(
                !good || text.contains(&value.repeat(2)) || read.iter().all(|one| *one == value),
                "{text} {read:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn it_accepts_exactly_what_serde_json_accepts(
        text in "([{}\\[\\]:,]|\"[a\\\\u0nx\"é\u{1}]{0,12}\"|-?[0-9]{1,2}(\\.[0-9]?)?([eE][+-]?[0-9]?)?|true|fals|null| |\n){0,14}",
    ) {
        prop_assert_eq!(is_json(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn what_serde_json_writes_is_accepted(value in tree()) {
        let text = value.to_string();
        prop_assert!(is_json(&text), "{}", text);
        let cut = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let half = &text[..cut];
        prop_assert_eq!(is_json(half), serde_json::from_str::<IgnoredAny>(half).is_ok(), "{}", half);
    }
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}
