//! Byte-pair encoding of one pretoken.
//!
//! The encoding is defined by merges: of all neighbours in a text whose concatenation is a token, the pair with the
//! lowest number is merged first. Doing that takes more than linear time on long pretokens. This finds the same tokens
//! from left to right with the algorithm of GitHub's crate `bpe` (MIT): a sequence of tokens is the encoding of its
//! text exactly if every two neighbours are that of theirs, so the longest token that fits behind the last one is taken,
//! a shorter one where that leads to a dead end, and no position is a dead end twice.

use super::vocabulary::Vocabulary;

/// Pairs of tokens that are remembered.
const KNOWN_PAIRS: usize = 8192;
/// Shortest pretoken for which they are, bytes.
const LONG: usize = 256;

/// The memory of the encoding, used again for each pretoken: 4 bytes a token and a bit a byte of the longest one.
#[derive(Default)]
pub(super) struct Encoder {
    tokens: Vec<u32>,
    dead_ends: Vec<u64>,
    /// Whether pairs are neighbours, by hash. To find out takes microseconds for tokens of a hundred equal characters,
    /// and texts of these have the same few pairs again and again. Empty until there is a long pretoken.
    known: Vec<Option<(u32, u32, bool)>>,
}

impl Encoder {
    /// The tokens of a pretoken. Time is linear in its length.
    pub(super) fn encode(&mut self, vocabulary: &Vocabulary, pretoken: &[u8]) -> &[u32] {
        self.tokens.clear();
        if let Some(whole) = vocabulary.find(pretoken) {
            self.tokens.push(whole);
            return &self.tokens;
        }
        self.dead_ends.clear();
        self.dead_ends.resize(pretoken.len() / 64 + 1, 0);
        if pretoken.len() >= LONG && self.known.is_empty() {
            self.known = vec![None; KNOWN_PAIRS];
        }
        let (mut start, mut candidate) = (0, vocabulary.longest(pretoken));
        while let Some(token) = candidate {
            let last = self.tokens.last().copied();
            let end = start + vocabulary.len(token);
            if !self.is_dead_end(end) && last.is_none_or(|last| self.are_neighbours(vocabulary, last, token)) {
                self.tokens.push(token);
                start = end;
                candidate = vocabulary.longest(&pretoken[start..]);
            } else if let Some(shorter) = vocabulary.shorter(token) {
                candidate = Some(shorter);
            } else {
                // No token fits here, so the last one was wrong. It ends in a dead end now, so a shorter one is next.
                self.dead_ends[start / 64] |= 1 << (start % 64);
                self.tokens.pop();
                start -= last.map_or(0, |last| vocabulary.len(last));
                candidate = last;
            }
        }
        &self.tokens
    }

    fn are_neighbours(&mut self, vocabulary: &Vocabulary, left: u32, right: u32) -> bool {
        let at = (left.wrapping_mul(0x9e37_79b9) ^ right.wrapping_mul(0x85eb_ca6b)) as usize / 64 % KNOWN_PAIRS;
        let Some(known) = self.known.get_mut(at) else { return vocabulary.are_neighbours(left, right) };
        match *known {
            Some((of_left, of_right, are)) if (of_left, of_right) == (left, right) => are,
            _ => known.insert((left, right, vocabulary.are_neighbours(left, right))).2,
        }
    }

    fn is_dead_end(&self, at: usize) -> bool {
        self.dead_ends[at / 64] >> (at % 64) & 1 == 1
    }
}
