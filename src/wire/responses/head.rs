//! The response object.

use super::items;
use super::tools::{NamespacedName, returned_tools};
use crate::wire::request::{InvalidRequest, NamedMembers, pick, present};
use crate::wire::translation::{Object, TokenCounts, quoted_json};

/// The members of a response that are known before it is generated.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// What ids of the response and of its items are made of.
    key: String,
    /// `id`, `object` and `created_at`, in JSON without braces.
    before: String,
    /// The members that repeat the request, in JSON without braces.
    after: String,
    created: i64,
    /// The functions of namespaces among the tools.
    namespaced: Vec<NamespacedName>,
}

/// The members of a response that change.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<'a> {
    pub(super) status: &'a str,
    /// The items, in JSON.
    pub(super) output: &'a str,
    pub(super) usage: Option<&'a TokenCounts>,
    /// The reason of a response that is incomplete.
    pub(super) incomplete: Option<&'a str>,
    /// Code and message of a response that has failed.
    pub(super) error: Option<(&'a str, &'a str)>,
    /// Unix time in seconds.
    pub(super) completed: Option<i64>,
}

impl State<'_> {
    pub(super) const IN_PROGRESS: Self =
        Self { status: "in_progress", output: "[]", usage: None, incomplete: None, error: None, completed: None };
}

impl ResponseHead {
    /// `key` is what ids are made of, `created` a Unix time in seconds.
    pub(super) fn new(
        members: &NamedMembers<'_>,
        key: &str,
        model: &str,
        created: i64,
    ) -> Result<Self, InvalidRequest> {
        let or_null = |name| members.get(name).unwrap_or("null");
        let (tools, namespaced) = returned_tools(members.get("tools"))?;
        let mut before = Object::new();
        before.text("id", &format!("resp_{key}")).raw("object", "\"response\"");
        before.raw("created_at", &created.to_string());
        let mut after = Object::new();
        after.text("model", model).raw("previous_response_id", "null");
        after.raw("instructions", or_null("instructions"));
        after.raw("max_output_tokens", or_null("max_output_tokens")).raw("max_tool_calls", or_null("max_tool_calls"));
        after.raw("parallel_tool_calls", members.get("parallel_tool_calls").unwrap_or("true"));
        after.raw("tools", &tools);
        after.raw("tool_choice", members.get("tool_choice").unwrap_or("\"auto\""));
        after.raw("truncation", "\"disabled\"").raw("text", &text(members.get("text"))?);
        after.raw("reasoning", &reasoning(members.get("reasoning"))?);
        for name in ["temperature", "top_p"] {
            // OpenAI's default.
            after.raw(name, members.get(name).unwrap_or("1.0"));
        }
        after.raw("presence_penalty", "0.0").raw("frequency_penalty", "0.0").raw("top_logprobs", "0");
        after.raw("metadata", members.get("metadata").unwrap_or("{}")).raw("store", "false").raw("background", "false");
        after.raw("service_tier", members.get("service_tier").unwrap_or("\"default\""));
        for name in ["safety_identifier", "prompt_cache_key", "user"] {
            after.raw(name, or_null(name));
        }
        let [before, after] = [before, after].map(|mut object| one_line(bare(&object.finish())));
        Ok(Self { key: key.to_owned(), before, after: after + "}", created, namespaced })
    }

    /// The id of the response.
    #[must_use]
    pub fn id(&self) -> String {
        format!("resp_{}", self.key)
    }

    /// The Unix time of the response's creation, seconds.
    #[must_use]
    pub const fn created(&self) -> i64 {
        self.created
    }

    /// The id of the item at `output_index`.
    pub(super) fn item_id(&self, prefix: &str, output_index: usize) -> String {
        format!("{prefix}_{}_{output_index}", self.key)
    }

    /// A call of a function, whose name is that in chat.
    pub(super) fn call(&self, id: &str, status: &str, call_id: &str, name: &str, arguments: &str) -> String {
        let (namespace, name) = self.own_name(name);
        items::call(id, status, call_id, namespace, name, arguments)
    }

    /// The namespace and the name of a function, by its name in chat.
    pub(super) fn own_name<'a>(&'a self, chat: &'a str) -> (Option<&'a str>, &'a str) {
        let found = self.namespaced.iter().find(|name| name.chat == chat);
        found.map_or((None, chat), |found| (Some(&*found.namespace), &found.name))
    }

    /// The response in a state.
    pub(super) fn response(&self, state: &State<'_>) -> String {
        let mut changing = Object::new();
        changing.raw("completed_at", &state.completed.map_or_else(|| "null".to_owned(), |time| time.to_string()));
        changing.text("status", state.status);
        let error =
            state.error.map(|(code, message)| Object::new().text("code", code).text("message", message).finish());
        changing.raw("error", error.as_deref().unwrap_or("null"));
        let incomplete = state.incomplete.map(|reason| Object::new().text("reason", reason).finish());
        changing.raw("incomplete_details", incomplete.as_deref().unwrap_or("null"));
        changing.raw("output", state.output);
        changing.raw("usage", &state.usage.map_or_else(|| "null".to_owned(), usage_json));
        let changing = changing.finish();
        ["{", &self.before, ",", bare(&changing), ",", &self.after].concat()
    }
}

/// An object without its braces.
fn bare(object: &str) -> &str {
    object.strip_prefix('{').and_then(|object| object.strip_suffix('}')).unwrap_or_default()
}

/// JSON without line ends, which would end a line of an event. In well-formed JSON they are only between tokens.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

/// `text` with the default of its format.
fn text(value: Option<&str>) -> Result<String, InvalidRequest> {
    let [format, verbosity] = value.map_or(Ok([None, None]), |text| pick("text", text, &["format", "verbosity"]))?;
    let mut text = Object::new();
    text.raw("format", present(format).unwrap_or("{\"type\":\"text\"}")).raw_if("verbosity", present(verbosity));
    Ok(text.finish())
}

fn reasoning(value: Option<&str>) -> Result<String, InvalidRequest> {
    let names = ["effort", "summary"];
    let [effort, summary] = value.map_or(Ok([None, None]), |reasoning| pick("reasoning", reasoning, &names))?;
    Ok(Object::new().raw("effort", effort.unwrap_or("null")).raw("summary", summary.unwrap_or("null")).finish())
}

fn usage_json(counts: &TokenCounts) -> String {
    let mut input = Object::new();
    input.raw("cached_tokens", &counts.cached.to_string()).raw("cache_write_tokens", &counts.cache_written.to_string());
    let output = Object::new().raw("reasoning_tokens", &counts.reasoning.to_string()).finish();
    let mut usage = Object::new();
    usage.raw("input_tokens", &counts.input.to_string()).raw("input_tokens_details", &input.finish());
    usage.raw("output_tokens", &counts.output.to_string()).raw("output_tokens_details", &output);
    usage.raw("total_tokens", &counts.input.saturating_add(counts.output).to_string()).finish()
}

/// The code of a failed response: one of those that the API defines.
pub(super) fn failure_code(code: &str) -> &'static str {
    match code {
        "rate_limit_exceeded" => "rate_limit_exceeded",
        "invalid_prompt" | "context_length_exceeded" => "invalid_prompt",
        _ => "server_error",
    }
}

/// The data of an `error` event, without braces, its type and its number.
pub(super) fn error_members(code: &str, message: &str) -> String {
    let code = if code.is_empty() { "null".to_owned() } else { quoted_json(code) };
    [",\"code\":", &code, ",\"message\":", &quoted_json(message), ",\"param\":null"].concat()
}
