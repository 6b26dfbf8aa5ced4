//! Splits a text into pretokens, which no token crosses.
//!
//! They are the matches of the encoding's regular expression, the first alternative that matches:
//!
//! ```text
//! [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//! [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//! \p{N}{1,3}
//!  ?[^\s\p{L}\p{N}]+[\r\n/]*
//! \s*[\r\n]+
//! \s+(?!\S)
//! \s+
//! ```
//!
//! They are matched by hand, because the automaton of the regular expression takes megabytes. The tests compare with it.

use super::table_file::{DamagedTable, TableFile};

/// What the expression distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// Everything else: punctuation, symbols, controls.
    Other = 0,
    /// `\p{Lu}\p{Lt}`
    Upper = 1,
    /// `\p{Ll}`
    Lower = 2,
    /// `\p{Lm}\p{Lo}`, which stand for either case.
    Letter = 3,
    /// `\p{M}`, which stand for either case too, but also for punctuation.
    Mark = 4,
    /// `\p{N}`
    Number = 5,
    /// `\r\n`
    LineBreak = 6,
    /// The rest of `\s`.
    Space = 7,
}

impl Class {
    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Other,
            1 => Self::Upper,
            2 => Self::Lower,
            3 => Self::Letter,
            4 => Self::Mark,
            5 => Self::Number,
            6 => Self::LineBreak,
            7 => Self::Space,
            _ => return None,
        })
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
    const fn begins_word(self) -> bool {
        matches!(self, Self::Upper | Self::Letter | Self::Mark)
    }

    /// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
    const fn continues_word(self) -> bool {
        matches!(self, Self::Lower | Self::Letter | Self::Mark)
    }

    /// `[^\r\n\p{L}\p{N}]`
    const fn precedes_word(self) -> bool {
        matches!(self, Self::Other | Self::Mark | Self::Space)
    }

    /// `[^\s\p{L}\p{N}]`
    const fn is_punctuation(self) -> bool {
        matches!(self, Self::Other | Self::Mark)
    }
}

/// Characters of a block of the table below.
const BLOCK: usize = 256;
/// Blocks of all characters.
const BLOCKS: usize = 0x11_0000 / BLOCK;

/// The class of every character: blocks, of which equal ones are kept once. About 60 KB.
pub(super) struct Classes {
    /// The position in `blocks` of each block.
    positions: Vec<u16>,
    blocks: Vec<[Class; BLOCK]>,
}

impl Classes {
    /// # Errors
    /// When the file has a class that does not exist.
    pub(super) fn new(file: &TableFile) -> Result<Self, DamagedTable> {
        let mut classes = Self { positions: Vec::with_capacity(BLOCKS), blocks: Vec::new() };
        let mut ranges = file.ranges().peekable();
        let (mut class, mut character) = (Class::Other, 0_u32);
        for _ in 0..BLOCKS {
            let mut block = [class; BLOCK];
            let next_block = character + BLOCK as u32;
            // Most blocks have no range that begins in them.
            while let Some((first, number)) = ranges.next_if(|(first, _)| *first < next_block) {
                class = Class::of(number).ok_or(DamagedTable)?;
                let at = first.checked_sub(character).ok_or(DamagedTable)? as usize;
                block[at..].fill(class);
            }
            character = next_block;
            // The last blocks first: most equal ones are neighbours.
            let known = classes.blocks.iter().rposition(|other| *other == block);
            let position = known.unwrap_or(classes.blocks.len());
            classes.positions.push(u16::try_from(position).map_err(|_| DamagedTable)?);
            if known.is_none() {
                classes.blocks.push(block);
            }
        }
        if ranges.next().is_none() { Ok(classes) } else { Err(DamagedTable) }
    }

    fn of(&self, character: char) -> Class {
        let character = character as usize;
        self.blocks[usize::from(self.positions[character / BLOCK])][character % BLOCK]
    }

    /// The pretokens of `text`; concatenated, they are `text`.
    pub(super) const fn pretokens<'a>(&'a self, text: &'a str) -> Pretokens<'a> {
        Pretokens { classes: self, rest: text }
    }
}

/// Iterates over the pretokens of a text. Takes linear time: a match reads few more characters than it takes, or leaves
/// them to the next match.
pub(super) struct Pretokens<'a> {
    classes: &'a Classes,
    rest: &'a str,
}

impl<'a> Iterator for Pretokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let first = self.rest.chars().next()?;
        let (pretoken, rest) = self.rest.split_at(self.end(first));
        self.rest = rest;
        Some(pretoken)
    }
}

impl Pretokens<'_> {
    /// Where the match ends that begins with `first`, the first character of the rest.
    fn end(&self, first: char) -> usize {
        let (class, second) = (self.classes.of(first), first.len_utf8());
        // Of the same alternative, the match with a character before the word comes first.
        let starts = [class.precedes_word().then_some(second), Some(0)];
        let word = |find: fn(&Self, usize) -> Option<usize>| {
            starts.into_iter().flatten().find_map(|start| find(self, start)).map(|end| end + self.contraction(end))
        };
        if let Some(end) = word(Self::word).or_else(|| word(Self::capitals)) {
            return end;
        }
        if class == Class::Number {
            return self.run(0, |_, class| class == Class::Number, 3);
        }
        let start = if first == ' ' { second } else { 0 };
        let end = self.run(start, |_, class| class.is_punctuation(), usize::MAX);
        if end > start {
            return self.run(end, |character, _| matches!(character, '\r' | '\n' | '/'), usize::MAX);
        }
        self.spaces()
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` from `start` on.
    fn word(&self, start: usize) -> Option<usize> {
        // Where the last character of the first part ends that can also be the second part.
        let mut last = None;
        let mut at = start;
        for character in self.rest[start..].chars() {
            let class = self.classes.of(character);
            if !class.begins_word() {
                break;
            }
            at += character.len_utf8();
            if class.continues_word() {
                last = Some(at);
            }
        }
        let end = self.run(at, |_, class| class.continues_word(), usize::MAX);
        if end > at { Some(end) } else { last }
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` from `start` on, where `word` does not match: then
    /// nothing is left to the second part.
    fn capitals(&self, start: usize) -> Option<usize> {
        let end = self.run(start, |_, class| class.begins_word(), usize::MAX);
        (end > start).then_some(end)
    }

    /// The length of `(?i:'s|'t|'re|'ve|'m|'ll|'d)?` at `start`.
    fn contraction(&self, start: usize) -> usize {
        let Some(rest) = self.rest[start..].strip_prefix('\'') else { return 0 };
        let mut characters = rest.chars();
        let first = characters.next();
        match (first, characters.next()) {
            // Ignoring case, the long s is an s.
            (Some('s' | 'S' | 't' | 'T' | 'm' | 'M' | 'd' | 'D' | 'ſ'), _) => 1 + first.map_or(0, char::len_utf8),
            (Some('r' | 'R' | 'v' | 'V'), Some('e' | 'E')) | (Some('l' | 'L'), Some('l' | 'L')) => 3,
            _ => 0,
        }
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`
    fn spaces(&self) -> usize {
        let mut characters = self.rest.char_indices();
        let (mut behind_break, mut last, mut end) = (None, 0, self.rest.len());
        for (at, character) in characters.by_ref() {
            match self.classes.of(character) {
                Class::LineBreak => behind_break = Some(at + 1),
                Class::Space => {}
                _ => {
                    end = at;
                    break;
                }
            }
            last = at;
        }
        match behind_break {
            Some(end) => end,
            // The last space is left to the word behind it.
            None if end < self.rest.len() && last > 0 => last,
            None => end,
        }
    }

    /// Where the characters from `start` on end that `belongs` accepts, at most `most`.
    fn run(&self, start: usize, belongs: impl Fn(char, Class) -> bool, most: usize) -> usize {
        let run = self.rest[start..].chars().take(most).take_while(|one| belongs(*one, self.classes.of(*one)));
        start + run.map(char::len_utf8).sum::<usize>()
    }
}
