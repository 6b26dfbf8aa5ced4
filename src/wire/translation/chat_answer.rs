//! Reads what a chunk of a chat completion, or a whole one, says of its first choice.

use std::borrow::Cow;

use super::json::{JoinedText, inside, quoted_json};
use super::usage::TokenCounts;
use crate::wire::quirks::finish_reason;
use crate::wire::request::present;
use crate::wire::scan::{Malformed, Scanner};

/// What a chunk adds to the first choice of its answer, or the whole choice of a completion. Texts are the insides of
/// JSON strings, with their escapes; none where they are absent or empty. A translated request has one choice; others
/// are skipped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatDelta<'a> {
    /// The text of reasoning, and the member that it is in.
    pub reasoning: Option<(ReasoningMember, Cow<'a, str>)>,
    /// The text of the answer.
    pub content: Option<Cow<'a, str>>,
    /// The text of a refusal.
    pub refusal: Option<&'a str>,
    /// Parts of tool calls, in order.
    pub tool_calls: Vec<ToolCallDelta<'a>>,
    /// Why the choice is finished, if it is.
    pub finish: Option<FinishReason>,
    /// The stop sequence that ended the choice: vLLM's `stop_reason`.
    pub stop_sequence: Option<&'a str>,
    /// Token counts.
    pub usage: Option<TokenCounts>,
}

impl ChatDelta<'static> {
    /// A delta with this text of the answer.
    ///
    /// ```
    /// use petstream::wire::translation::ChatDelta;
    ///
    /// assert_eq!(ChatDelta::of_text("a\n\"").content.as_deref(), Some(r#"a\n\""#));
    /// ```
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let content = (!text.is_empty()).then(|| Cow::Owned(inside(&quoted_json(text)).to_owned()));
        Self { content, ..Self::default() }
    }
}

/// Where a chat completion has its reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningMember {
    /// `reasoning_content`: DeepSeek, llama.cpp, SGLang.
    #[default]
    ReasoningContent,
    /// `reasoning`: OpenRouter, vLLM, Ollama.
    Reasoning,
}

impl ReasoningMember {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReasoningContent => "reasoning_content",
            Self::Reasoning => "reasoning",
        }
    }

    /// The signature, as JSON, of a thinking block that was made of this member.
    pub(in crate::wire) const fn signature(self) -> &'static str {
        match self {
            Self::ReasoningContent => "\"petstream.reasoning_content\"",
            Self::Reasoning => "\"petstream.reasoning\"",
        }
    }

    /// The member that a thinking block with this signature was made of; none where it was made by another server.
    pub(in crate::wire) fn of_signature(signature: &str) -> Option<Self> {
        [Self::ReasoningContent, Self::Reasoning].into_iter().find(|member| member.signature() == signature)
    }
}

/// A part of a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCallDelta<'a> {
    /// The number of the call; some servers send none.
    pub index: Option<u64>,
    /// Its id; on its first part only.
    pub id: Option<&'a str>,
    /// The name of the function; on its first part only.
    pub name: Option<&'a str>,
    /// The next part of the arguments; may be empty.
    pub arguments: Cow<'a, str>,
}

/// Why a choice is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The answer is complete, or a stop sequence was generated. Reasons that are not known count as this one.
    Stop,
    /// The limit of tokens.
    Length,
    /// Tools are called.
    ToolCalls,
    /// A content filter.
    ContentFilter,
}

impl FinishReason {
    /// None for a value that does not finish a choice.
    fn read(value: &str) -> Option<Self> {
        match finish_reason(value).unwrap_or(value) {
            "null" | "\"\"" => None,
            "\"length\"" => Some(Self::Length),
            "\"tool_calls\"" | "\"function_call\"" => Some(Self::ToolCalls),
            "\"content_filter\"" => Some(Self::ContentFilter),
            reason => reason.starts_with('"').then_some(Self::Stop),
        }
    }
}

/// Reads the data of a chunk.
///
/// # Errors
/// [`Malformed`] when it is no JSON object.
///
/// ```
/// use petstream::wire::translation::{FinishReason, read_chunk};
///
/// let delta = read_chunk(r#"{"choices":[{"index":0,"delta":{"content":"Hi\n"},"finish_reason":"stop"}]}"#)?;
/// assert_eq!((delta.content.as_deref(), delta.finish), (Some("Hi\\n"), Some(FinishReason::Stop)));
/// # Ok::<(), petstream::wire::scan::Malformed>(())
/// ```
pub fn read_chunk(text: &str) -> Result<ChatDelta<'_>, Malformed> {
    read(text, "delta")
}

/// Reads a whole completion.
///
/// # Errors
/// As [`read_chunk`].
pub fn read_completion(text: &str) -> Result<ChatDelta<'_>, Malformed> {
    let mut answer = read(text, "message")?;
    for (at, call) in (0..).zip(&mut answer.tool_calls) {
        call.index = Some(at);
    }
    Ok(answer)
}

fn read<'a>(text: &'a str, member: &str) -> Result<ChatDelta<'a>, Malformed> {
    let mut found = ChatDelta::default();
    let mut scanner = Scanner::new(text);
    scanner.object(|scanner, key| match &*key {
        "choices" if scanner.peek() == Some(b'[') => scanner.array(|scanner| choice(scanner, member, &mut found)),
        "usage" => {
            found.usage = TokenCounts::read(scanner.value()?).or(found.usage);
            Ok(())
        }
        // Groq's.
        "x_groq" if scanner.peek() == Some(b'{') => scanner.object(|scanner, key| {
            let value = scanner.value()?;
            if key == "usage" {
                found.usage = TokenCounts::read(value).or(found.usage);
            }
            Ok(())
        }),
        _ => scanner.value().map(drop),
    })?;
    scanner.end()?;
    Ok(found)
}

fn choice<'a>(scanner: &mut Scanner<'a>, member: &str, found: &mut ChatDelta<'a>) -> Result<(), Malformed> {
    let mut of_choice = ChatDelta::default();
    let mut index = 0;
    scanner.object(|scanner, key| {
        match &*key {
            "index" => index = scanner.value()?.parse().unwrap_or(0),
            "finish_reason" => of_choice.finish = FinishReason::read(scanner.value()?),
            "stop_reason" => of_choice.stop_sequence = text_of(scanner.value()?),
            // Moonshot's.
            "usage" => of_choice.usage = TokenCounts::read(scanner.value()?),
            key if key == member && scanner.peek() == Some(b'{') => delta(scanner, &mut of_choice)?,
            _ => drop(scanner.value()?),
        }
        Ok(())
    })?;
    if index == 0 {
        let usage = of_choice.usage.or(found.usage);
        *found = ChatDelta { usage, ..of_choice };
    }
    Ok(())
}

/// The inside of a string that is not empty.
fn text_of(value: &str) -> Option<&str> {
    Some(inside(value)).filter(|text| !text.is_empty())
}

fn delta<'a>(scanner: &mut Scanner<'a>, found: &mut ChatDelta<'a>) -> Result<(), Malformed> {
    scanner.object(|scanner, key| {
        let member = match &*key {
            "content" => return content(scanner, found),
            "refusal" => {
                found.refusal = text_of(scanner.value()?);
                return Ok(());
            }
            "tool_calls" if scanner.peek() == Some(b'[') => {
                return scanner.array(|scanner| {
                    found.tool_calls.extend(tool_call(scanner.value()?)?);
                    Ok(())
                });
            }
            "reasoning_content" => ReasoningMember::ReasoningContent,
            "reasoning" => ReasoningMember::Reasoning,
            _ => return scanner.value().map(drop),
        };
        // Some servers send the same text in both members.
        let text = text_of(scanner.value()?);
        if found.reasoning.is_none() {
            found.reasoning = text.map(|text| (member, Cow::Borrowed(text)));
        }
        Ok(())
    })
}

/// Reads a content: a string, or an array of parts (Mistral), of which texts and thinking are read.
fn content<'a>(scanner: &mut Scanner<'a>, found: &mut ChatDelta<'a>) -> Result<(), Malformed> {
    let value = scanner.value()?;
    if !value.starts_with('[') {
        found.content = text_of(value).map(Cow::Borrowed);
        return Ok(());
    }
    let (mut texts, mut thinking) = (JoinedText::default(), JoinedText::default());
    Scanner::new(value).array(|scanner| part(scanner, &mut texts, &mut thinking, 2))?;
    let joined = |text: &JoinedText| (!text.is_empty()).then(|| Cow::Owned(text.as_inside().to_owned()));
    found.content = joined(&texts);
    if let Some(thinking) = joined(&thinking) {
        found.reasoning = Some((ReasoningMember::default(), thinking));
    }
    Ok(())
}

fn part(
    scanner: &mut Scanner<'_>,
    texts: &mut JoinedText,
    thinking: &mut JoinedText,
    levels: u8,
) -> Result<(), Malformed> {
    if scanner.peek() != Some(b'{') {
        return scanner.value().map(drop);
    }
    scanner.object(|scanner, key| {
        let nested = scanner.peek() == Some(b'[') && levels > 0;
        match &*key {
            "text" => texts.push(scanner.value()?),
            "thinking" if nested => {
                let mut inner = JoinedText::default();
                scanner.array(|scanner| part(scanner, thinking, &mut inner, levels - 1))?;
            }
            "thinking" => thinking.push(scanner.value()?),
            _ => drop(scanner.value()?),
        }
        Ok(())
    })
}

/// Reads an element of `tool_calls`; none for what is no object.
fn tool_call(value: &str) -> Result<Option<ToolCallDelta<'_>>, Malformed> {
    if !value.starts_with('{') {
        return Ok(None);
    }
    let mut call = ToolCallDelta::default();
    Scanner::new(value).object(|scanner, key| {
        match &*key {
            "index" => call.index = scanner.value()?.parse().ok(),
            "id" => call.id = text_of(scanner.value()?),
            "function" if scanner.peek() == Some(b'{') => scanner.object(|scanner, key| {
                let value = scanner.value()?;
                match &*key {
                    "name" => call.name = text_of(value),
                    "arguments" => call.arguments = arguments(value),
                    _ => {}
                }
                Ok(())
            })?,
            _ => drop(scanner.value()?),
        }
        Ok(())
    })?;
    Ok(Some(call))
}

/// Arguments are a string of JSON; some servers send an object instead.
fn arguments(value: &str) -> Cow<'_, str> {
    match value.as_bytes().first() {
        Some(b'{') => Cow::Owned(inside(&quoted_json(value)).to_owned()),
        _ if present(Some(value)).is_some() => Cow::Borrowed(inside(value)),
        _ => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_choice_is_read() {
        let delta = read_chunk(
            r#"{"choices":[{"index":1,"delta":{"content":"other"}},{"index":0,"delta":{"role":"assistant",
            "reasoning":"a","reasoning_content":"b","content":"c\n","refusal":"d"},"finish_reason":"MAX_TOKENS"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        )
        .unwrap();
        assert_eq!(delta.reasoning, Some((ReasoningMember::Reasoning, "a".into())));
        assert_eq!((delta.content.as_deref(), delta.refusal), (Some(r"c\n"), Some("d")));
        assert_eq!((delta.finish, delta.usage.map(|counts| counts.output)), (Some(FinishReason::Length), Some(2)));
    }

    #[test]
    fn tool_calls_are_read_in_each_form() {
        let delta = read_chunk(
            r#"{"choices":[{"delta":{"tool_calls":[{"index":3,"id":"a","function":{"name":"f","arguments":"{\"x"}},
            {"function":{"arguments":{"y":1}}},7,{"id":null,"function":null}]}}]}"#,
        )
        .unwrap();
        let [first, second, third] = &delta.tool_calls[..] else { panic!("{delta:?}") };
        assert_eq!((first.index, first.id, first.name, &*first.arguments), (Some(3), Some("a"), Some("f"), r#"{\"x"#));
        assert_eq!((second.index, second.id, &*second.arguments), (None, None, r#"{\"y\":1}"#));
        assert_eq!(*third, ToolCallDelta::default());
        let whole = read_completion(r#"{"choices":[{"message":{"tool_calls":[{"id":"a"},{"id":"b"}]}}]}"#).unwrap();
        assert_eq!(whole.tool_calls.iter().map(|call| call.index).collect::<Vec<_>>(), [Some(0), Some(1)]);
    }

    #[test]
    fn contents_that_are_lists_of_parts_are_joined() {
        let delta = read_chunk(
            r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},
            {"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}"#,
        )
        .unwrap();
        assert_eq!(delta.content.as_deref(), Some("ab"));
        assert_eq!(delta.reasoning, Some((ReasoningMember::ReasoningContent, "t".into())));
    }

    #[test]
    fn what_is_empty_or_of_another_type_is_absent() {
        let chunk = r#"{"choices":[{"delta":{"content":"","refusal":null,"reasoning":3,"tool_calls":null},
            "finish_reason":""}],"usage":null}"#;
        assert_eq!(read_chunk(chunk), Ok(ChatDelta::default()));
        assert_eq!(read_chunk(r#"{"choices":null}"#), Ok(ChatDelta::default()));
        assert!(read_chunk("{").is_err());
        assert!(read_chunk("[]").is_err());
    }
}
