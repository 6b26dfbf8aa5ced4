//! Token counts with the details that every API has.

use crate::wire::chunk::Usage;
use crate::wire::scan::{Malformed, Scanner};

/// Token counts of an answer. A count that the upstream does not report is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Tokens of the prompt, those from a cache and those written to one included.
    pub input: u64,
    /// Tokens of the prompt that were read from a cache.
    pub cached: u64,
    /// Tokens of the prompt that were written to a cache.
    pub cache_written: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// Generated tokens of reasoning.
    pub reasoning: u64,
}

impl From<TokenCounts> for Usage {
    fn from(counts: TokenCounts) -> Self {
        Self { prompt_tokens: counts.input, completion_tokens: counts.output }
    }
}

/// Without details.
impl From<Usage> for TokenCounts {
    fn from(usage: Usage) -> Self {
        Self { input: usage.prompt_tokens, output: usage.completion_tokens, ..Self::default() }
    }
}

impl TokenCounts {
    /// Reads a `usage` object of chat completions or of responses. None for what is no object, or has neither count.
    pub(in crate::wire) fn read(json: &str) -> Option<Self> {
        let mut counts = Self::default();
        let mut any = false;
        let scanned = Scanner::new(json).object(|scanner, key| {
            let value = scanner.value()?;
            match &*key {
                "prompt_tokens" | "input_tokens" => any |= set(&mut counts.input, value),
                "completion_tokens" | "output_tokens" => any |= set(&mut counts.output, value),
                "prompt_tokens_details" | "input_tokens_details" => counts.read_details(value),
                "completion_tokens_details" | "output_tokens_details" => counts.read_details(value),
                // DeepSeek's.
                "prompt_cache_hit_tokens" => drop(set(&mut counts.cached, value)),
                _ => {}
            }
            Ok(())
        });
        (scanned.is_ok() && any).then_some(counts)
    }

    /// Reads a `usage` object of messages, whose `input_tokens` exclude what was read from a cache or written to it.
    /// Counts that are absent stay as they are in `self`: those of a stream are cumulative.
    pub(in crate::wire) fn read_messages(&mut self, json: &str) {
        let mut fresh = self.input.saturating_sub(self.cached).saturating_sub(self.cache_written);
        // What precedes a malformed member counts; the frame as a whole has been checked.
        let _ = Scanner::new(json).object(|scanner, key| {
            let value = scanner.value()?;
            match &*key {
                "input_tokens" => drop(set(&mut fresh, value)),
                "cache_read_input_tokens" => drop(set(&mut self.cached, value)),
                "cache_creation_input_tokens" => drop(set(&mut self.cache_written, value)),
                "output_tokens" => drop(set(&mut self.output, value)),
                "output_tokens_details" => self.read_details(value),
                _ => {}
            }
            Ok(())
        });
        self.input = fresh.saturating_add(self.cached).saturating_add(self.cache_written);
    }

    fn read_details(&mut self, json: &str) {
        // Details are null with some servers.
        let _ = Scanner::new(json).object(|scanner, key| -> Result<(), Malformed> {
            let value = scanner.value()?;
            match &*key {
                "cached_tokens" => drop(set(&mut self.cached, value)),
                "cache_write_tokens" | "cache_creation_tokens" => drop(set(&mut self.cache_written, value)),
                "reasoning_tokens" | "thinking_tokens" => drop(set(&mut self.reasoning, value)),
                _ => {}
            }
            Ok(())
        });
    }
}

/// Sets a count that is a non-negative integer; returns whether it is.
fn set(count: &mut u64, value: &str) -> bool {
    value.parse().map(|number| *count = number).is_ok()
}

/// The JSON of the `usage` of a message or a response; the last one where it is repeated.
pub(in crate::wire) fn usage_of(answer: &str) -> Option<&str> {
    let mut usage = None;
    let scanned = Scanner::new(answer).object(|scanner, key| {
        let value = scanner.value()?;
        if key == "usage" {
            usage = Some(value);
        }
        Ok(())
    });
    usage.filter(|_| scanned.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_with_their_details() {
        let chat = r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":2}}"#;
        let counts = TokenCounts { input: 10, cached: 4, cache_written: 0, output: 5, reasoning: 2 };
        assert_eq!(TokenCounts::read(chat), Some(counts));
        let details_of_null = r#"{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":null}"#;
        assert_eq!(TokenCounts::read(details_of_null), Some(TokenCounts { input: 1, output: 2, ..Default::default() }));
        assert_eq!(TokenCounts::read("null"), None);
        assert_eq!(TokenCounts::read("{}"), None);
        assert_eq!(TokenCounts::read(r#"{"prompt_tokens":-1}"#), None);
    }

    #[test]
    fn counts_of_messages_are_cumulative_and_add_up() {
        let mut counts = TokenCounts::default();
        counts.read_messages(
            r#"{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":1}"#,
        );
        assert_eq!(counts, TokenCounts { input: 15, cached: 5, cache_written: 7, output: 1, reasoning: 0 });
        counts.read_messages(r#"{"output_tokens":9,"input_tokens":null}"#);
        assert_eq!((counts.input, counts.output), (15, 9));
        counts.read_messages(r#"{"input_tokens":4}"#);
        assert_eq!(counts.input, 16);
    }
}
