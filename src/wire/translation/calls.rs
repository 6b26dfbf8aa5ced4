//! Numbers for the tool calls of upstreams that send none.

use super::chat_answer::ToolCallDelta;

/// The largest number of tool calls in one answer.
pub(in crate::wire) const MAX_CALLS: u64 = 128;

/// Numbers the tool calls of one answer.
#[derive(Clone, Debug, Default)]
pub(in crate::wire) struct CallNumbers {
    count: u64,
    last_id: String,
}

impl CallNumbers {
    /// The number of the call that a part belongs to: its own, or else, for a part without `id` or with that of the
    /// last one, the last one's. None beyond [`MAX_CALLS`].
    pub(in crate::wire) fn number(&mut self, call: &ToolCallDelta<'_>) -> Option<u64> {
        let number = match call.index {
            Some(index) => index,
            None if self.count > 0 && call.id.is_none_or(|id| id == self.last_id) => self.count - 1,
            None => self.count,
        };
        if number >= MAX_CALLS {
            return None;
        }
        self.count = self.count.max(number + 1);
        if let Some(id) = call.id.filter(|id| *id != self.last_id) {
            id.clone_into(&mut self.last_id);
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_a_number_are_told_apart_by_their_ids() {
        let mut numbers = CallNumbers::default();
        let mut number = |index, id| numbers.number(&ToolCallDelta { index, id, ..ToolCallDelta::default() });
        assert_eq!([number(None, Some("a")), number(None, None), number(None, Some("b"))], [Some(0), Some(0), Some(1)]);
        assert_eq!([number(None, Some("b")), number(Some(0), None), number(None, None)], [Some(1), Some(0), Some(1)]);
        assert_eq!([number(Some(127), None), number(Some(128), None)], [Some(127), None]);
    }
}
