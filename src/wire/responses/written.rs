//! What is written of a stream, and what is kept of it.

use bytes::BytesMut;

use super::frames::Events;
use crate::wire::translation::Array;

/// What is written, and what is kept of it.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) events: Events,
    pub(super) has_begun: bool,
    /// The items by their `output_index`; none for one that is open.
    pub(super) items: Vec<Option<String>>,
    /// The bytes of texts, arguments and names.
    pub(super) kept: usize,
}

impl Written {
    /// The index of a new item.
    pub(super) fn begin_item(&mut self) -> usize {
        self.items.push(None);
        self.items.len() - 1
    }

    /// Appends the end of an item.
    pub(super) fn end_item(&mut self, index: usize, item: String, out: &mut BytesMut) {
        let members = [",\"output_index\":", &index.to_string(), ",\"item\":", &item];
        self.events.push(out, "response.output_item.done", &members);
        if let Some(place) = self.items.get_mut(index) {
            *place = Some(item);
        }
    }

    /// The items that are complete, as a JSON array.
    pub(super) fn output(&self) -> String {
        let mut output = Array::default();
        self.items.iter().flatten().for_each(|item| output.push(item));
        output.finish()
    }
}
