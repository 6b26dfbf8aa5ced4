//! Indexes for the tool calls of upstreams that send none. Without them SDKs fail or lose calls.

/// The longest `id` of a tool call that is compared, bytes. A longer one counts as absent.
const MAX_ID: usize = 256;

/// The tool calls of one stream, counted for each choice.
#[derive(Debug, Default)]
pub(crate) struct ToolCallNumbering(Vec<Calls>);

/// The tool calls of one choice.
#[derive(Debug)]
struct Calls {
    choice: u64,
    count: u64,
    last_id: String,
}

impl ToolCallNumbering {
    /// The index of a tool call of `choice` that has none. A call without `id`, or with the `id` of the last one,
    /// continues the last one.
    pub(super) fn number(&mut self, choice: u64, id: Option<&str>) -> u64 {
        let at = self.0.iter().position(|calls| calls.choice == choice).unwrap_or_else(|| {
            self.0.push(Calls { choice, count: 0, last_id: String::new() });
            self.0.len() - 1
        });
        let calls = &mut self.0[at];
        let id = id.filter(|id| id.len() <= MAX_ID);
        if calls.count == 0 || id.is_some_and(|id| id != calls.last_id) {
            calls.count += 1;
            calls.last_id = id.unwrap_or_default().to_owned();
        }
        calls.count - 1
    }
}
