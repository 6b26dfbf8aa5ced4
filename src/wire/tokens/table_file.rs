//! The file with the encoding, `o200k_base.bin`: 1 MB, part of the binary.
//!
//! It is a zlib stream of these sections, numbers little-endian:
//!
//! | bytes | contents |
//! |---|---|
//! | 4 | the number of ranges of characters |
//! | 4 each | the first character of a range, times 256, plus the class of its characters (`pretokens.rs`); ascending |
//! | 4 | the number of tokens |
//! | 1 each | the length of a token's text, by rank |
//! | 1 each | the length of the left one of the two tokens that it is merged from, 0 for a single byte |
//! | rest | the texts |
//!
//! The data are those of OpenAI's tiktoken (MIT). `tests.rs` makes the file from the crate bpe-openai, and proves that
//! the committed one is the same.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

static COMPRESSED: &[u8] = include_bytes!("o200k_base.bin");

/// Room for the decompressed file, bytes; it may have no more. More than it needs costs nothing until it is used.
const MAX_LEN: usize = 2 * 1024 * 1024;

/// The file that is part of the binary does not describe an encoding. Tests prove that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedTable;

impl std::fmt::Display for DamagedTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the tokenizer's table in the binary is damaged")
    }
}

impl std::error::Error for DamagedTable {}

/// The decompressed file.
pub(super) struct TableFile {
    contents: Vec<u8>,
    /// Where the ranges end, in bytes.
    ranges_end: usize,
    tokens: usize,
}

impl TableFile {
    /// Decompresses the file. Takes about 10 ms.
    ///
    /// # Errors
    /// When it is not such a file.
    pub(super) fn read() -> Result<Self, DamagedTable> {
        let mut contents = Vec::with_capacity(MAX_LEN);
        ZlibDecoder::new(COMPRESSED).take(MAX_LEN as u64).read_to_end(&mut contents).map_err(|_| DamagedTable)?;
        Self::of(contents).ok_or(DamagedTable)
    }

    fn of(contents: Vec<u8>) -> Option<Self> {
        let ranges = number(&contents, 0)?;
        let ranges_end = ranges.checked_mul(4)?.checked_add(4)?;
        let tokens = number(&contents, ranges_end)?;
        let texts = tokens.checked_mul(2)?.checked_add(ranges_end + 4)?;
        (texts <= contents.len()).then_some(Self { contents, ranges_end, tokens })
    }

    /// The first character of each range, and the class of its characters.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u32, u8)> {
        let (ranges, _) = self.contents[4..self.ranges_end].as_chunks();
        ranges.iter().map(|range| (u32::from_le_bytes(*range) >> 8, range[0]))
    }

    /// The length of each token's text, bytes.
    pub(super) fn token_lens(&self) -> &[u8] {
        &self.contents[self.ranges_end + 4..][..self.tokens]
    }

    /// The length of each token's left half, bytes; 0 for a single byte.
    pub(super) fn left_lens(&self) -> &[u8] {
        &self.contents[self.ranges_end + 4 + self.tokens..][..self.tokens]
    }

    /// The length of the texts, bytes.
    pub(super) fn texts_len(&self) -> usize {
        self.contents.len() - self.ranges_end - 4 - 2 * self.tokens
    }

    /// The texts, one behind the other.
    pub(super) fn into_texts(mut self) -> Vec<u8> {
        self.contents.drain(..self.ranges_end + 4 + 2 * self.tokens);
        self.contents
    }
}

/// The number at a position.
fn number(contents: &[u8], at: usize) -> Option<usize> {
    let bytes = contents.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}
