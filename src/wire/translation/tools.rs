//! Tools of a request that the server runs itself.

use crate::wire::request::{InvalidRequest, MAX_LEVELS, NamedMembers, decode_string, each_element, nested_model, pick};
use crate::wire::scan::Scanner;

/// The path of the first tool that may use another model than the request's. Tools of the client, which
/// `is_of_client` tells by their `type` and their JSON, use none: their schema may well have a property `model`.
pub(in crate::wire) fn models_of_tools(
    members: &NamedMembers<'_>,
    is_of_client: impl Fn(Option<&str>, &str) -> bool,
) -> Result<Option<Box<str>>, InvalidRequest> {
    let Some(tools) = members.get("tools").filter(|tools| tools.starts_with('[')) else { return Ok(None) };
    let mut found = None;
    each_element("tools", "an array of objects", tools, |at, tool| {
        if found.is_some() || !tool.starts_with('{') {
            return Ok(());
        }
        let [kind] = pick(format_args!("tools[{at}]"), tool, &["type"])?;
        if !is_of_client(kind.and_then(decode_string).as_deref(), tool) {
            found = nested_model(&mut Scanner::new(tool), &format!("tools[{at}]"), MAX_LEVELS)
                .map_err(|_| InvalidRequest::unreadable())?;
        }
        Ok(())
    })?;
    Ok(found)
}
