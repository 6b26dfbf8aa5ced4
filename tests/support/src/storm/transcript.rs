//! A strict reader of streams that never panics: a violation is an [`Ending::Broken`], which the checks report.

use serde_json::Value;

use crate::storm::attempts::brief;

/// How an answer ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A stream: `[DONE]`, once and last, no error before it. Else: the whole body under status 200.
    Complete,
    /// A stream: one error frame with this code, then `[DONE]`. Else: a status with an envelope.
    Failed(String),
    /// The connection broke within the answer.
    Cut,
    /// The client left before the end.
    Left,
    /// A violation of the contract, described.
    Broken(String),
}

/// A stream as far as it was read.
#[derive(Debug, Default)]
pub struct Transcript {
    /// The beginning of a frame whose end has not arrived.
    rest: Vec<u8>,
    /// The chunks in order, each in [brief] form.
    pub chunks: Vec<String>,
    failed: Option<String>,
    done: bool,
    broken: Option<String>,
}

impl Transcript {
    /// Reads the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = memchr::memmem::find(&self.rest, b"\n\n") {
            let frame = self.rest[..end].to_vec();
            self.rest.drain(..end + 2);
            if let Err(what) = self.frame(&frame) {
                self.broken.get_or_insert(what);
            }
        }
    }

    /// The ending; `whole`: the body was complete.
    pub fn ending(&self, whole: bool) -> Ending {
        let rest = String::from_utf8_lossy(&self.rest);
        match (&self.broken, &self.failed) {
            (Some(what), _) => Ending::Broken(what.clone()),
            _ if !whole => Ending::Cut,
            _ if !self.done => Ending::Broken(format!("a clean end without [DONE], after {:?}", self.chunks.last())),
            _ if !rest.is_empty() => Ending::Broken(format!("behind the last frame: {rest:?}")),
            (None, Some(code)) => Ending::Failed(code.clone()),
            (None, None) => Ending::Complete,
        }
    }

    /// The ending for a client that left.
    pub fn left(&self) -> Ending {
        self.broken.clone().map_or(Ending::Left, Ending::Broken)
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(frame).map_err(|error| format!("not UTF-8: {error}"))?;
        if self.done {
            return Err(format!("behind [DONE]: {}", brief(text)));
        }
        if memchr::memchr2(b'\n', b'\r', frame).is_some() {
            return Err(format!("a frame of several lines: {:?}", brief(text)));
        }
        if text.starts_with(':') {
            return Ok(());
        }
        let data = text.strip_prefix("data: ").ok_or_else(|| format!("not a frame: {:?}", brief(text)))?;
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        if self.failed.is_some() {
            return Err(format!("behind the error: {}", brief(data)));
        }
        let value: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {}", brief(data)))?;
        match value.get("error") {
            Some(error) => self.failed = Some(code(error)?),
            None => self.chunks.push(brief(data)),
        }
        Ok(())
    }
}

/// The code of an error in the contract's shape.
pub fn code(error: &Value) -> Result<String, String> {
    let wrong = || format!("not the shape of an error: {error}");
    let object = error.as_object().ok_or_else(wrong)?;
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let param = object.get("param").is_some_and(|param| param.is_null() || param.is_string());
    if keys != ["message", "type", "param", "code"] || text("message").is_none() || text("type").is_none() || !param {
        return Err(wrong());
    }
    text("code").map(str::to_owned).ok_or_else(wrong)
}
