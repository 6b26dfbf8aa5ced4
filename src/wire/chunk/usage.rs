//! Reads a `usage` object.

use super::decoded_chunk::Usage;
use crate::wire::scan::{Malformed, Scanner};

/// Reads a `usage` object. A count that is not a non-negative integer or is repeated counts as absent; without any
/// count there is no usage. `input_tokens` and `output_tokens` are Anthropic's names, which some compatible endpoints
/// keep.
pub(super) fn read_usage(json: &str) -> Option<Usage> {
    read(json).ok().flatten()
}

fn read(json: &str) -> Result<Option<Usage>, Malformed> {
    let mut openai = [Count::Absent; 2];
    let mut anthropic = [Count::Absent; 2];
    let mut scanner = Scanner::new(json);
    scanner.object(|scanner, key| {
        let count = match &*key {
            "prompt_tokens" => &mut openai[0],
            "completion_tokens" => &mut openai[1],
            "input_tokens" => &mut anthropic[0],
            "output_tokens" => &mut anthropic[1],
            _ => return scanner.value().map(drop),
        };
        let value = scanner.value()?;
        *count = match *count {
            Count::Absent => value.parse().map_or(Count::Absent, Count::Once),
            _ => Count::Repeated,
        };
        Ok(())
    })?;
    scanner.end()?;
    let [prompt, completion] = [0, 1].map(|at| openai[at].get().or(anthropic[at].get()));
    let none = prompt.is_none() && completion.is_none();
    Ok((!none).then(|| Usage { prompt_tokens: prompt.unwrap_or(0), completion_tokens: completion.unwrap_or(0) }))
}

#[derive(Clone, Copy)]
enum Count {
    Absent,
    Once(u64),
    /// Ambiguous: which of the two is right is unknown.
    Repeated,
}

impl Count {
    const fn get(self) -> Option<u64> {
        match self {
            Self::Once(count) => Some(count),
            Self::Absent | Self::Repeated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_non_negative_integers_that_are_not_repeated() {
        let both = |prompt_tokens, completion_tokens| Some(Usage { prompt_tokens, completion_tokens });
        for (usage, read) in [
            (r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"details":{"prompt_tokens":9}}"#, both(3, 4)),
            (r#"{ "completion_tokens" : 4 , "prompt_tokens" : 18446744073709551615 }"#, both(u64::MAX, 4)),
            (r#"{"prompt\u005ftokens":3,"completion_tokens":0}"#, both(3, 0)),
            (r#"{"prompt_tokens":3}"#, both(3, 0)),
            (r#"{"prompt_tokens":null,"completion_tokens":4}"#, both(0, 4)),
            (r#"{"prompt_tokens":null,"completion_tokens":null}"#, None),
            (r#"{"prompt_tokens":3,"prompt_tokens":3,"completion_tokens":4}"#, both(0, 4)),
            (r#"{"prompt_tokens":3,"completion_tokens":4.0}"#, both(3, 0)),
            (r#"{"prompt_tokens":-3,"completion_tokens":4}"#, both(0, 4)),
            (r#"{"prompt_tokens":18446744073709551616,"completion_tokens":4}"#, both(0, 4)),
            (r#"{"prompt_tokens":"3","completion_tokens":4}"#, both(0, 4)),
            (r#"{"prompt_tokens":1e3,"completion_tokens":true}"#, None),
            (r#"{"input_tokens":3,"output_tokens":4}"#, both(3, 4)),
            (r#"{"prompt_tokens":1,"completion_tokens":2,"input_tokens":3,"output_tokens":4}"#, both(1, 2)),
            ("{}", None),
            ("null", None),
            ("7", None),
            ("[]", None),
        ] {
            assert_eq!(read_usage(usage), read, "{usage}");
        }
    }
}
