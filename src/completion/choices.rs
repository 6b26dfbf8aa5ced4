//! The choices of a stream: which have begun and ended, and which chunks have to wait for others.

use crate::wire::chunk::{ChoiceSet, ChoiceShape, DecodedChunk, Repair};
use crate::wire::sse::Event;

/// Most chunks that are held back until the choices before theirs have begun.
const MAX_HELD: usize = 256;
/// Most bytes of them.
const MAX_HELD_BYTES: usize = 256 * 1024;

/// The state of a stream's choices. SDKs append each choice to a list when its first chunk comes, so choices must
/// begin in the order of their index; upstreams generate them side by side and begin them in any order. A chunk that
/// comes too early is held back, within bounds; none is lost.
#[derive(Default)]
pub(super) struct Choices {
    /// Number of choices that the client requested.
    wanted: u64,
    /// Whether the first delta of a choice has a role.
    has_roles: bool,
    /// Choices that came from the upstream.
    seen: ChoiceSet,
    finished: ChoiceSet,
    /// Choices that were sent to the client.
    begun: ChoiceSet,
    ended: ChoiceSet,
    held: Vec<(Event, DecodedChunk)>,
    held_bytes: usize,
    /// The choices of the chunks that are held back.
    waiting: ChoiceSet,
    /// The bounds were reached: from here on chunks go as they come.
    is_overfull: bool,
}

impl Choices {
    pub(super) fn new(wanted: u64, shape: ChoiceShape) -> Self {
        Self { wanted, has_roles: shape != ChoiceShape::Text, ..Self::default() }
    }

    /// A chunk came from the upstream.
    pub(super) fn note(&mut self, facts: &DecodedChunk) {
        self.seen = self.seen.union(facts.seen);
        self.finished = self.finished.union(facts.finished);
    }

    /// The choices that have begun and not finished; the first one if no chunk has named any.
    pub(super) fn unfinished(&self) -> ChoiceSet {
        if self.seen.is_empty() { ChoiceSet::first(1) } else { self.seen.difference(self.finished) }
    }

    pub(super) fn all_finished(&self) -> bool {
        self.seen.difference(self.finished).is_empty() && u64::from(self.finished.len()) >= self.wanted
    }

    /// Whether no choice has ended.
    pub(super) const fn none_finished(&self) -> bool {
        self.finished.is_empty()
    }

    /// Whether a chunk comes too early.
    pub(super) fn must_wait(&self, facts: &DecodedChunk) -> bool {
        if self.wanted <= 1 || self.is_overfull {
            return false;
        }
        let new = facts.seen.difference(self.begun);
        let before = ChoiceSet::first(u64::from(new.end()).min(self.wanted));
        let missing = before.difference(self.begun).difference(facts.seen);
        !missing.is_empty() || !facts.seen.intersection(self.waiting).is_empty()
    }

    /// Holds a chunk back; true if a bound is reached with it.
    pub(super) fn hold(&mut self, event: Event, facts: DecodedChunk) -> bool {
        self.waiting = self.waiting.union(facts.seen);
        self.held_bytes += event.data.len();
        self.held.push((event, facts));
        self.is_overfull = self.held.len() >= MAX_HELD || self.held_bytes > MAX_HELD_BYTES;
        self.is_overfull
    }

    /// Takes the chunks that are held back, in order.
    pub(super) fn take_held(&mut self) -> Vec<(Event, DecodedChunk)> {
        (self.held_bytes, self.waiting) = (0, ChoiceSet::default());
        std::mem::take(&mut self.held)
    }

    pub(super) const fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether a chunk has usage and nothing else that its client needs. If usage is on every chunk (`running`), this
    /// holds only for chunks behind the end of their choice.
    pub(super) fn is_only_usage(&self, facts: &DecodedChunk, running: bool) -> bool {
        let DecodedChunk { seen, finished, tokens, .. } = *facts;
        let old = tokens == 0 && seen.difference(self.begun).is_empty() && finished.difference(self.ended).is_empty();
        old && (seen.is_empty() || !running || seen.difference(self.ended).is_empty())
    }

    /// Whether all choices of a chunk have ended before it.
    pub(super) fn is_over(&self, facts: &DecodedChunk) -> bool {
        facts.seen.difference(self.ended).is_empty()
    }

    /// The changes that a chunk needs before it goes to the client.
    pub(super) fn repair(&self, facts: &DecodedChunk, hide_usage: bool) -> Repair {
        let without_role = facts.seen.difference(self.begun).difference(facts.roles);
        Repair {
            cut_usage: hide_usage && (facts.null_usage || facts.has_usage),
            cut_error: facts.null_error,
            add_choices: !facts.has_choices,
            cut_role: facts.roles.intersection(self.begun),
            add_role: if self.has_roles { without_role } else { ChoiceSet::default() },
            fix_finish_reason: facts.nonstandard_finish,
            number_tool_calls: facts.tool_call_without_index,
        }
    }

    /// A chunk goes to the client.
    pub(super) fn passed(&mut self, facts: &DecodedChunk) {
        self.begun = self.begun.union(facts.seen);
        self.ended = self.ended.union(facts.finished);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn facts(index: u64) -> DecodedChunk {
        DecodedChunk { has_choices: true, seen: [index].into_iter().collect(), tokens: 1, ..DecodedChunk::default() }
    }

    fn event(size: usize) -> Event {
        Event { data: Bytes::from(vec![b'x'; size]), name: None, verbatim: None }
    }

    /// Passes chunks of these choices on. Returns choice and position of arrival (kept as the size of the event) in
    /// the order of output.
    fn through(wanted: u64, arrivals: &[u64]) -> Vec<(u64, usize)> {
        let mut choices = Choices::new(wanted, ChoiceShape::Delta);
        let mut out = Vec::new();
        for (place, index) in arrivals.iter().enumerate() {
            if choices.must_wait(&facts(*index)) {
                if choices.hold(event(place), facts(*index)) {
                    out.extend(choices.take_held().iter().map(|(event, facts)| (first_of(facts), event.data.len())));
                }
                continue;
            }
            choices.passed(&facts(*index));
            out.push((*index, place));
            loop {
                let before = choices.held();
                for (event, facts) in choices.take_held() {
                    if choices.must_wait(&facts) {
                        choices.hold(event, facts);
                    } else {
                        choices.passed(&facts);
                        out.push((first_of(&facts), event.data.len()));
                    }
                }
                if choices.held() == before || choices.held() == 0 {
                    break;
                }
            }
        }
        out.extend(choices.take_held().iter().map(|(event, facts)| (first_of(facts), event.data.len())));
        out
    }

    fn first_of(facts: &DecodedChunk) -> u64 {
        facts.seen.iter().next().unwrap()
    }

    #[test]
    fn choices_begin_in_the_order_of_their_index() {
        assert_eq!(through(2, &[1, 0, 1, 0]), [(0, 1), (1, 0), (1, 2), (0, 3)]);
        assert_eq!(through(3, &[2, 1, 2, 0, 1]), [(0, 3), (1, 1), (2, 0), (2, 2), (1, 4)]);
        assert_eq!(through(1, &[1, 0]), [(1, 0), (0, 1)], "with one wanted, chunks go as they come");
        assert_eq!(
            through(2, &[1, 1, 1]),
            [(1, 0), (1, 1), (1, 2)],
            "held chunks whose turn never comes go out at the end"
        );
    }

    proptest! {
        #[test]
        fn no_chunk_is_lost_and_each_choice_keeps_its_order(
            wanted in 1_u64..5, arrivals in proptest::collection::vec(0_u64..5, 0..400),
        ) {
            let out = through(wanted, &arrivals);
            prop_assert_eq!(out.len(), arrivals.len());
            for choice in 0..5 {
                let places: Vec<_> = out.iter().filter(|(index, _)| *index == choice).map(|(_, place)| *place).collect();
                prop_assert!(places.is_sorted(), "{places:?}");
                prop_assert!(places.iter().all(|place| arrivals[*place] == choice));
            }
        }
    }
}
