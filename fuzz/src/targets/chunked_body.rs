//! Chunked bodies. One decoder reads those of clients and of upstreams.

use petstream::http::fuzzing::{ChunksEnd, read_chunks};

use crate::pieces::splits;
use crate::reference::chunked::{self, End};

/// Below the decoder's limits for lines and trailers, which the reference does not have.
const MAX_INPUT: usize = 4 * 1024;

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    if data.len() > MAX_INPUT {
        return;
    }
    let (body, end) = chunked::read(data);
    let end = match end {
        End::Broken => ChunksEnd::Broken,
        End::More => ChunksEnd::More,
        End::Ended(left) => ChunksEnd::Ended(left),
    };
    for pieces in splits(data) {
        let read = read_chunks(&pieces);
        assert_eq!(read.1, end, "the end, in {} pieces", pieces.len());
        assert_eq!(read.0, body, "the body, in {} pieces", pieces.len());
    }
}
