//! Bytes as they may arrive: in one piece, byte by byte, and cut anywhere.

/// So many bytes come one by one, the others faster: looking at a long input for each of its bytes takes too long.
const BYTE_BY_BYTE: usize = 256;

/// Different ways to cut `data`. The same bytes are always cut in the same ways, so that a failing input fails again.
#[must_use]
pub fn cuts(data: &[u8]) -> [Vec<&[u8]>; 3] {
    let (first, rest) = data.split_at(data.len().min(BYTE_BY_BYTE));
    [vec![data], first.chunks(1).chain(rest.chunks(16)).collect(), anywhere(data)]
}

/// Pieces of different lengths, of which most are short.
#[must_use]
pub fn anywhere(data: &[u8]) -> Vec<&[u8]> {
    let mut state = hash(data);
    let (mut pieces, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        // xorshift64: any sequence of numbers will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let most = if state & 3 == 0 { 64 } else { 8 };
        let length = usize::try_from(state >> 32).unwrap_or(0) % most + 1;
        let (piece, others) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

/// FNV-1a, never 0.
fn hash(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)) | 1
}
