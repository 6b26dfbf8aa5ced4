//! Chunked bodies, of clients and of upstreams alike: one decoder reads both.

use petstream::http::fuzzing::{ChunksEnd, read_chunks};

use crate::pieces::cuts;
use crate::reference::chunked::{self, End};

/// Shorter than the longest line and the longest trailers, which the reference does not know.
const MAX_INPUT: usize = 4 * 1024;

/// Tries one input.
///
/// # Panics
/// Where something is wrong.
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
    for pieces in cuts(data) {
        let read = read_chunks(&pieces);
        assert_eq!(read.1, end, "behind {} pieces", pieces.len());
        assert_eq!(read.0, body, "in {} pieces", pieces.len());
    }
}
