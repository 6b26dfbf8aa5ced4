//! The tokens of the encoding, and the tables that find them: about 10 MB.

use super::table_file::{DamagedTable, TableFile};

/// Longest token, bytes.
const MAX_TOKEN_LEN: usize = 128;
/// log2 of the slots of a hash table: 2.6 for each token, so that a search reads one or two.
const SLOT_BITS: u32 = 19;
const SLOTS: usize = 1 << SLOT_BITS;
/// log2 of the bits that mark prefixes: about 14 for each, so that one in fourteen marks is wrong.
const PREFIX_BITS: u32 = 23;
/// An empty slot; no shorter token.
const NONE: u32 = u32::MAX;
/// An odd number with bits in no pattern: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// All tokens. A token is its number, which is also its rank: lower ones are merged first.
pub(super) struct Vocabulary {
    /// The texts, one behind the other.
    bytes: Vec<u8>,
    /// Where each text begins, and the end of the last.
    starts: Vec<u32>,
    /// Text -> token: a hash table with open addressing.
    by_text: Slots,
    /// A set of the prefixes of all texts, by hash, with false positives: it ends the search of the longest token.
    prefixes: Vec<u64>,
    /// The longest token that is a proper prefix of each, or `NONE`.
    shorter: Vec<u32>,
    /// The two tokens that each is merged from; itself twice for a single byte.
    halves: Vec<(u32, u32)>,
    /// Halves -> token: a hash table as above.
    by_halves: Slots,
}

/// Tokens by hash, with open addressing: a token is in the first free slot behind that of its hash.
struct Slots(Vec<u32>);

impl Slots {
    fn new() -> Self {
        Self(vec![NONE; SLOTS])
    }

    fn insert(&mut self, hash: u64, token: u32) {
        let mut at = slot(hash);
        while self.0[at] != NONE {
            at = (at + 1) % SLOTS;
        }
        self.0[at] = token;
    }

    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = slot(hash);
        loop {
            let token = self.0[at];
            if token == NONE || is(token) {
                return (token != NONE).then_some(token);
            }
            at = (at + 1) % SLOTS;
        }
    }
}

impl Vocabulary {
    /// Builds the tables. Takes about 80 ms.
    ///
    /// # Errors
    /// When the file does not describe an encoding.
    pub(super) fn new(file: TableFile) -> Result<Self, DamagedTable> {
        let count = file.token_lens().len();
        // Half of the slots stay free, so that every search ends.
        if count > SLOTS / 2 {
            return Err(DamagedTable);
        }
        let mut starts = Vec::with_capacity(count + 1);
        let mut end = 0_u32;
        starts.push(end);
        for &len in file.token_lens() {
            if len == 0 || usize::from(len) > MAX_TOKEN_LEN {
                return Err(DamagedTable);
            }
            end += u32::from(len);
            starts.push(end);
        }
        if file.texts_len() != end as usize {
            return Err(DamagedTable);
        }
        let left_lens = file.left_lens().to_vec();
        let mut vocabulary = Self {
            bytes: file.into_texts(),
            starts,
            by_text: Slots::new(),
            prefixes: vec![0; 1 << (PREFIX_BITS - 6)],
            shorter: Vec::with_capacity(count),
            halves: Vec::with_capacity(count),
            by_halves: Slots::new(),
        };
        vocabulary.index_texts();
        vocabulary.index_halves(&left_lens)?;
        Ok(vocabulary)
    }

    /// Fills `by_text`, `prefixes` and then `shorter`.
    fn index_texts(&mut self) {
        for token in self.tokens() {
            let mut hash = 0;
            for at in self.range(token) {
                hash = extended(hash, self.bytes[at]);
                let (word, bit) = prefix_bit(hash);
                self.prefixes[word] |= bit;
            }
            self.by_text.insert(hash, token);
        }
        for token in self.tokens() {
            let text = self.text(token);
            let shorter = self.longest(&text[..text.len() - 1]).unwrap_or(NONE);
            self.shorter.push(shorter);
        }
    }

    /// Fills `halves` and `by_halves` from the length of each left half, 0 for a single byte.
    fn index_halves(&mut self, left_lens: &[u8]) -> Result<(), DamagedTable> {
        for (token, &left_len) in self.tokens().zip(left_lens) {
            if left_len == 0 {
                self.halves.push((token, token));
                continue;
            }
            let (left, right) = self.text(token).split_at_checked(left_len.into()).ok_or(DamagedTable)?;
            let left = self.find(left).ok_or(DamagedTable)?;
            let right = self.find(right).ok_or(DamagedTable)?;
            // Halves come before their whole, which `are_neighbours` relies on to end.
            if left >= token || right >= token {
                return Err(DamagedTable);
            }
            self.halves.push((left, right));
            self.by_halves.insert(hash_of_halves(left, right), token);
        }
        if self.halves.len() == self.starts.len() - 1 { Ok(()) } else { Err(DamagedTable) }
    }

    /// All tokens.
    fn tokens(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.starts.len() - 1).unwrap_or(NONE)
    }

    fn range(&self, token: u32) -> std::ops::Range<usize> {
        let token = token as usize;
        self.starts[token] as usize..self.starts[token + 1] as usize
    }

    /// The text of a token. Its bytes need not be UTF-8.
    pub(super) fn text(&self, token: u32) -> &[u8] {
        &self.bytes[self.range(token)]
    }

    /// The length of a token's text, bytes.
    pub(super) fn len(&self, token: u32) -> usize {
        self.range(token).len()
    }

    /// The token with exactly this text.
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        if text.len() > MAX_TOKEN_LEN {
            return None;
        }
        self.find_hashed(text.iter().fold(0, |hash, &byte| extended(hash, byte)), text)
    }

    fn find_hashed(&self, hash: u64, text: &[u8]) -> Option<u32> {
        self.by_text.find(hash, |token| self.text(token) == text)
    }

    /// The longest token that `text` begins with; none if `text` is empty.
    pub(super) fn longest(&self, text: &[u8]) -> Option<u32> {
        let mut hashes = [0; MAX_TOKEN_LEN];
        let (mut hash, mut len) = (0, 0);
        for (&byte, kept) in text.iter().zip(&mut hashes) {
            hash = extended(hash, byte);
            let (word, bit) = prefix_bit(hash);
            if self.prefixes[word] & bit == 0 {
                break;
            }
            *kept = hash;
            len += 1;
        }
        (1..=len).rev().find_map(|len| self.find_hashed(hashes[len - 1], &text[..len]))
    }

    /// The longest token that is a proper prefix of a token.
    pub(super) fn shorter(&self, token: u32) -> Option<u32> {
        Some(self.shorter[token as usize]).filter(|shorter| *shorter != NONE)
    }

    /// Whether the encoding of the two texts together is these two tokens: no merge of a lower rank crosses their
    /// border. Undoes the merges of both sides, the last one first, and looks whether the two at the border would have
    /// been merged before.
    pub(super) fn are_neighbours(&self, mut left: u32, mut right: u32) -> bool {
        let mut limit = u32::MAX;
        loop {
            if self.merged(left, right).is_some_and(|merged| merged < limit) {
                return false;
            }
            // Of equal ranks the left one is merged first, so its limit is one less.
            let (of_left, of_right) = (self.halves[left as usize].1, self.halves[right as usize].0);
            let (left_is_byte, right_is_byte) = (of_left == left, of_right == right);
            if !left_is_byte && (left > right || right_is_byte) {
                (limit, left) = (left, of_left);
            } else if right_is_byte {
                return true;
            } else {
                (limit, right) = (right + 1, of_right);
            }
        }
    }

    fn merged(&self, left: u32, right: u32) -> Option<u32> {
        self.by_halves.find(hash_of_halves(left, right), |token| self.halves[token as usize] == (left, right))
    }
}

/// The hash of a text and one more byte.
fn extended(hash: u64, byte: u8) -> u64 {
    (hash.rotate_left(5) ^ u64::from(byte) ^ 0x100).wrapping_mul(FACTOR)
}

fn hash_of_halves(left: u32, right: u32) -> u64 {
    (u64::from(left) << 32 | u64::from(right)).wrapping_mul(FACTOR).rotate_left(29).wrapping_mul(FACTOR)
}

fn slot(hash: u64) -> usize {
    usize::try_from(hash >> (64 - SLOT_BITS)).unwrap_or_default()
}

/// The word of `prefixes` for a hash, and its bit in it.
fn prefix_bit(hash: u64) -> (usize, u64) {
    let at = hash >> (64 - PREFIX_BITS);
    (usize::try_from(at / 64).unwrap_or_default(), 1 << (at % 64))
}
