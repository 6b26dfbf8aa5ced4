//! The calls of functions in a stream. Parts of several calls may alternate: each is an item of its own.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::head::ResponseHead;
use super::written::Written;
use crate::wire::translation::{ArgumentsEnd, CallNumbers, JoinedText, ToolCallDelta, TranslationError};

/// The calls by their numbers. Those that have ended are none.
#[derive(Debug, Default)]
pub(super) struct Calls {
    numbers: CallNumbers,
    all: BTreeMap<u64, Option<Call>>,
}

/// A call that has not ended.
#[derive(Debug, Default)]
struct Call {
    /// The index and the id of its item, from when its name is known on.
    item: Option<(usize, String)>,
    call_id: String,
    name: String,
    arguments: JoinedText,
    end: ArgumentsEnd,
}

impl Calls {
    /// Appends the events for a part of a call.
    pub(super) fn push(
        &mut self,
        head: &ResponseHead,
        written: &mut Written,
        part: &ToolCallDelta<'_>,
        out: &mut BytesMut,
    ) -> Result<(), TranslationError> {
        let number = self.numbers.number(part).ok_or(TranslationError::TooLong)?;
        if !self.all.contains_key(&number) {
            self.end_complete(head, written, out);
        }
        let Some(call) = self.all.entry(number).or_insert_with(|| Some(Call::default())) else {
            // It has ended, since its arguments were complete.
            let is_blank = part.arguments.replace("\\n", "").trim().is_empty();
            return if is_blank { Ok(()) } else { Err(TranslationError::Malformed) };
        };
        for (text, more) in [(&mut call.call_id, part.id), (&mut call.name, part.name)] {
            if let Some(more) = more.filter(|_| text.is_empty()) {
                written.kept += more.len();
                more.clone_into(text);
            }
        }
        written.kept += part.arguments.len();
        call.end.push(&format!("\"{}\"", part.arguments));
        if call.item.is_none() && !call.name.is_empty() {
            // What came before the name follows it.
            call.begin(head, number, written, out);
        }
        call.arguments.push_inside(&part.arguments);
        call.delta(&part.arguments, written, out);
        Ok(())
    }

    /// Ends the calls whose arguments are complete.
    fn end_complete(&mut self, head: &ResponseHead, written: &mut Written, out: &mut BytesMut) {
        for call in self.all.values_mut() {
            if call.as_ref().is_some_and(|call| call.item.is_some() && call.end.is_complete())
                && let Some(call) = call.take()
            {
                call.end(head, "completed", written, out);
            }
        }
    }

    /// Ends all calls. `status` is that of the calls whose arguments are not complete.
    pub(super) fn end_all(&mut self, head: &ResponseHead, written: &mut Written, status: &str, out: &mut BytesMut) {
        for (number, call) in std::mem::take(&mut self.all) {
            let Some(mut call) = call else { continue };
            if call.item.is_none() {
                call.begin(head, number, written, out);
            }
            let status = if call.end.is_complete() { "completed" } else { status };
            call.end(head, status, written, out);
        }
    }
}

impl Call {
    /// Appends the beginning of the item, and the arguments so far.
    fn begin(&mut self, head: &ResponseHead, number: u64, written: &mut Written, out: &mut BytesMut) {
        let index = written.begin_item();
        let id = head.item_id("fc", index);
        if self.call_id.is_empty() {
            self.call_id = format!("call_{id}_{number}");
        }
        let item = head.call(&id, "in_progress", &self.call_id, &self.name, "");
        let members = [",\"output_index\":", &index.to_string(), ",\"item\":", &item];
        written.events.push(out, "response.output_item.added", &members);
        self.item = Some((index, id));
        self.delta(self.arguments.as_inside(), written, out);
    }

    /// Appends a delta, unless it is empty or the item has not begun.
    fn delta(&self, arguments: &str, written: &mut Written, out: &mut BytesMut) {
        let Some((index, id)) = self.item.as_ref().filter(|_| !arguments.is_empty()) else { return };
        let address = format!(",\"item_id\":\"{id}\",\"output_index\":{index}");
        let members = [&address, ",\"delta\":\"", arguments, "\""];
        written.events.push(out, "response.function_call_arguments.delta", &members);
    }

    fn end(self, head: &ResponseHead, status: &str, written: &mut Written, out: &mut BytesMut) {
        let Some((index, id)) = self.item else { return };
        let arguments = self.arguments.as_inside();
        let address =
            format!(",\"item_id\":\"{id}\",\"output_index\":{index},\"name\":\"{}\"", head.own_name(&self.name).1);
        let members = [&address, ",\"arguments\":\"", arguments, "\""];
        written.events.push(out, "response.function_call_arguments.done", &members);
        written.end_item(index, head.call(&id, status, &self.call_id, &self.name, arguments), out);
    }
}
