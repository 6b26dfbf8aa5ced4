//! Tokens of OpenAI's `o200k_base` encoding: counting them, and splitting text into them.
//!
//! The encoding is 1 MB of the binary and takes memory once [`Tokenizer::load`] has been called:
//!
//! | file | contents |
//! |---|---|
//! | `table_file.rs` | `o200k_base.bin`, the tokens and the classes of characters |
//! | `pretokens.rs` | text -> pretokens, about words, which no token crosses |
//! | `vocabulary.rs` | the tables that find tokens |
//! | `encoder.rs` | pretoken -> tokens |

mod encoder;
mod pretokens;
mod table_file;
mod vocabulary;

use std::sync::OnceLock;

use self::encoder::Encoder;
use self::pretokens::Classes;
pub use self::table_file::DamagedTable;
use self::table_file::TableFile;
use self::vocabulary::Vocabulary;

/// The tables are constant, so that all servers of a process share them.
static TABLES: OnceLock<Result<Tables, DamagedTable>> = OnceLock::new();

struct Tables {
    classes: Classes,
    vocabulary: Vocabulary,
}

/// Counts and splits by the tables in memory.
#[derive(Clone, Copy)]
pub struct Tokenizer(&'static Tables);

/// A part of a text that can be sent by itself: one token, or several where a character spans tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text; never empty.
    pub text: String,
    /// The number of its tokens, at least 1.
    pub tokens: u32,
}

impl Tokenizer {
    /// The tokenizer, which the first call in a process loads: that blocks for about 100 ms, as do calls meanwhile, and
    /// takes 10 MB from then on.
    ///
    /// # Errors
    /// When the table in the binary is damaged.
    pub fn load() -> Result<Self, DamagedTable> {
        TABLES.get_or_init(Tables::read).as_ref().map(Self).map_err(|damaged| *damaged)
    }

    /// The tokenizer, if it is loaded.
    #[must_use]
    pub fn loaded() -> Option<Self> {
        TABLES.get()?.as_ref().ok().map(Self)
    }

    /// The exact number of tokens of `text`. Linear in the length: about 30 ms a mebibyte of prose, and less than a
    /// second a mebibyte of any text.
    ///
    /// ```
    /// let tokenizer = petstream::wire::tokens::Tokenizer::load().unwrap();
    /// assert_eq!(tokenizer.count("hello world"), 2);
    /// ```
    #[must_use]
    pub fn count(self, text: &str) -> u32 {
        let mut encoder = Encoder::default();
        let counts = self.0.classes.pretokens(text).map(|one| encoder.encode(&self.0.vocabulary, one.as_bytes()).len());
        u32::try_from(counts.sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Splits `text` into pieces. Their texts concatenated are `text`, and the sum of their tokens is [`Self::count`].
    ///
    /// ```
    /// let tokenizer = petstream::wire::tokens::Tokenizer::load().unwrap();
    /// let pieces = tokenizer.split("hello world");
    /// assert_eq!([&*pieces[0].text, &*pieces[1].text], ["hello", " world"]);
    /// ```
    #[must_use]
    pub fn split(self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let (mut start, mut end, mut tokens) = (0, 0, 0);
        self.each_token(text, |token| {
            end += self.0.vocabulary.len(token);
            tokens += 1;
            if text.is_char_boundary(end) {
                pieces.push(Piece { text: text[start..end].to_owned(), tokens });
                (start, tokens) = (end, 0);
            }
        });
        pieces
    }

    fn each_token(self, text: &str, mut take: impl FnMut(u32)) {
        let mut encoder = Encoder::default();
        for pretoken in self.0.classes.pretokens(text) {
            encoder.encode(&self.0.vocabulary, pretoken.as_bytes()).iter().for_each(|token| take(*token));
        }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokenizer")
    }
}

impl Tables {
    fn read() -> Result<Self, DamagedTable> {
        let file = TableFile::read()?;
        Ok(Self { classes: Classes::new(&file)?, vocabulary: Vocabulary::new(file)? })
    }
}

#[cfg(test)]
mod tests;
