//! Classifies the events of an upstream that speaks messages, without reading more of them than that needs.

use crate::wire::envelope::read_error;
use crate::wire::scan::{Malformed, Scanner};
use crate::wire::translation::{NativeEvent, ParsedDelta, TextTemplate, TokenCounts, usage_of};

/// Classifies the events of one stream in order.
///
/// ```
/// use petstream::wire::messages::EventScanner;
/// use petstream::wire::translation::NativeEvent;
///
/// let mut scanner = EventScanner::default();
/// let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#;
/// assert_eq!(scanner.classify(delta), Ok(NativeEvent::Text));
/// assert_eq!(scanner.classify(r#"{"type":"message_stop"}"#), Ok(NativeEvent::Done(None)));
/// ```
#[derive(Debug, Default)]
pub struct EventScanner {
    /// The token counts so far, if any were sent.
    counts: Option<TokenCounts>,
    deltas: TextTemplate,
}

/// What one event has.
#[derive(Default)]
struct Members<'a> {
    kind: &'a str,
    delta: Option<&'a str>,
    usage: Option<&'a str>,
    message: Option<&'a str>,
}

impl EventScanner {
    /// Classifies the data of an event; its name repeats its `type`.
    ///
    /// # Errors
    /// [`Malformed`] when it is no JSON object.
    pub fn classify(&mut self, data: &str) -> Result<NativeEvent, Malformed> {
        if let Some((delta, _)) = self.deltas.recognise(data) {
            return Ok(delta);
        }
        let mut found = Members::default();
        let mut scanner = Scanner::new(data);
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            match &*key {
                "type" => found.kind = value,
                "delta" => found.delta = Some(value),
                "usage" => found.usage = Some(value),
                "message" => found.message = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        scanner.end()?;
        Ok(match found.kind {
            "\"content_block_delta\"" => self.delta(data, found.delta),
            "\"message_start\"" => self.add(found.message.and_then(usage_of)),
            "\"message_delta\"" => self.add(found.usage),
            "\"message_stop\"" => NativeEvent::Done(self.counts),
            "\"error\"" => NativeEvent::Failed(serde_json::from_str(data).ok().as_ref().and_then(read_error)),
            _ => NativeEvent::Other,
        })
    }

    /// A delta with text in it is the template of those that follow. Signatures and citations are not generated text.
    fn delta(&mut self, data: &str, delta: Option<&str>) -> NativeEvent {
        let mut found = None;
        // A delta that is no object has no text.
        let _ = Scanner::new(delta.unwrap_or("null")).object(|scanner, key| {
            let value = scanner.value()?;
            let has_text = value.starts_with('"') && value.len() > 2;
            match &*key {
                "text" | "thinking" if has_text => found = Some((value, false)),
                "partial_json" if has_text => found = Some((value, true)),
                _ => {}
            }
            Ok(())
        });
        let Some((text, of_tool)) = found else { return NativeEvent::Other };
        self.deltas.learn(&ParsedDelta { data, number: None, text, other: None, of_tool });
        if of_tool { NativeEvent::ToolDelta } else { NativeEvent::Text }
    }

    fn add(&mut self, usage: Option<&str>) -> NativeEvent {
        let Some(usage) = usage.filter(|usage| usage.starts_with('{')) else { return NativeEvent::Other };
        let counts = self.counts.get_or_insert_default();
        counts.read_messages(usage);
        NativeEvent::Usage(*counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_classified() {
        let mut scanner = EventScanner::default();
        let mut classify = |data: &str| scanner.classify(data);
        let counts = TokenCounts { input: 12, cached: 2, output: 1, ..TokenCounts::default() };
        let start = r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":10,"cache_read_input_tokens":2,"output_tokens":1}}}"#;
        assert_eq!(classify(start), Ok(NativeEvent::Usage(counts)));
        for (delta, kind) in [
            (r#"{"type":"thinking_delta","thinking":"a"}"#, NativeEvent::Text),
            (r#"{"type":"text_delta","text":""}"#, NativeEvent::Other),
            (r#"{"type":"input_json_delta","partial_json":"{"}"#, NativeEvent::ToolDelta),
            (r#"{"type":"signature_delta","signature":"a"}"#, NativeEvent::Other),
            ("null", NativeEvent::Other),
        ] {
            assert_eq!(classify(&format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#)), Ok(kind));
        }
        let end = TokenCounts { output: 7, ..counts };
        let last = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#;
        assert_eq!(classify(last), Ok(NativeEvent::Usage(end)));
        assert_eq!(classify(r#"{"type":"message_stop"}"#), Ok(NativeEvent::Done(Some(end))));
        assert_eq!(classify(r#"{"type":"ping"}"#), Ok(NativeEvent::Other));
        let error = classify(r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#);
        let Ok(NativeEvent::Failed(Some(error))) = error else { panic!("{error:?}") };
        assert_eq!((&*error.kind, &*error.message), ("overloaded_error", "Busy"));
        assert_eq!(classify(r#"{"type":"message_stop""#), Err(Malformed));
        assert_eq!(classify("[]"), Err(Malformed));
    }
}
