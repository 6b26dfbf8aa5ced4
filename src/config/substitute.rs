//! Replaces `${NAME}` in texts of the file by the value of an environment variable.
//!
//! This works on the parsed tree, so no character of a value can change the structure.

use super::environment::{Environment, variable};
use super::walk::{Walk, join};
use super::yaml::{Node, Text, Value};

/// Replaces every `${NAME}` below `node`; `$${` stands for `${` itself. Reports variables that are not set.
pub(super) fn substitute(node: &mut Node, path: &str, environment: &Environment, walk: &mut Walk) {
    let line = node.line;
    match &mut node.value {
        Value::Text(text) => {
            let problems = replace(text, environment);
            if !problems.is_empty() {
                node.value = Value::Invalid;
            }
            for problem in problems {
                walk.error(path, line, problem);
            }
        }
        Value::List(list) => {
            for (index, node) in list.iter_mut().enumerate() {
                substitute(node, &format!("{path}[{index}]"), environment, walk);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                substitute(&mut entry.node, &join(path, &entry.key), environment, walk);
            }
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Invalid => {}
    }
}

fn replace(text: &mut Text, environment: &Environment) -> Vec<String> {
    if !text.text.contains("${") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let mut result = String::with_capacity(text.text.len());
    let mut rest = text.text.as_str();
    let mut replaced = false;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        let after = &rest[start + 2..];
        if let Some(before) = before.strip_suffix('$') {
            result.extend([before, "${"]);
            rest = after;
            continue;
        }
        result.push_str(before);
        let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
        let Some(name) = name else {
            problems.push("expected ${NAME} with the name of an environment variable; write $${ for ${ itself".into());
            return problems;
        };
        match variable(environment, name) {
            Some(value) => result.push_str(value),
            None => problems.push(format!("the environment variable {name} is not set; set it or remove ${{{name}}}")),
        }
        replaced = true;
        rest = &after[name.len() + 1..];
    }
    result.push_str(rest);
    let written = std::mem::replace(&mut text.text, result);
    text.written = replaced.then_some(written);
    problems
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<String, Vec<String>> {
        let environment = Environment::from([("A".into(), "x: [1".into()), ("EMPTY".into(), String::new())]);
        let mut text = Text { text: text.to_owned(), written: None };
        let problems = replace(&mut text, &environment);
        if problems.is_empty() { Ok(text.text) } else { Err(problems) }
    }

    #[test]
    fn variables_are_replaced_and_escapes_removed() {
        assert_eq!(replaced("${A}").unwrap(), "x: [1");
        assert_eq!(replaced("a-${A}-${A}").unwrap(), "a-x: [1-x: [1");
        assert_eq!(replaced("$${A} $A $ {A}").unwrap(), "${A} $A $ {A}");
        assert_eq!(replaced("plain $$ text").unwrap(), "plain $$ text");
    }

    #[test]
    fn unset_variables_and_malformed_names_are_reported() {
        assert!(replaced("${NO} ${EMPTY}").unwrap_err()[1].contains("variable EMPTY is not set"));
        for text in ["${", "${}", "${1A}", "${a b}", "${A"] {
            assert!(replaced(text).unwrap_err()[0].contains("$${"), "{text}");
        }
    }
}
