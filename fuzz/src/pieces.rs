//! Splits of an input into pieces, as the bytes of a connection may arrive: at once, byte by byte, and at random
//! offsets.

/// The bytes that come one by one. Those behind them come 16 at a time: a read for every byte of a long input takes too
/// long.
const BYTE_BY_BYTE: usize = 256;

/// Three splits of `data`. They depend on the bytes only, so that a failing input fails again.
#[must_use]
pub fn splits(data: &[u8]) -> [Vec<&[u8]>; 3] {
    let (first, rest) = data.split_at(data.len().min(BYTE_BY_BYTE));
    [vec![data], first.chunks(1).chain(rest.chunks(16)).collect(), random_split(data)]
}

/// A split into pieces of 1 to 64 bytes, most of them short.
fn random_split(data: &[u8]) -> Vec<&[u8]> {
    let mut state = hash(data);
    let (mut pieces, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        // xorshift64: any pseudo-random sequence will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let max = if state & 3 == 0 { 64 } else { 8 };
        let length = usize::try_from(state >> 32).unwrap_or(0) % max + 1;
        let (piece, others) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

/// FNV-1a with the lowest bit set, so that it is never 0.
fn hash(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)) | 1
}
