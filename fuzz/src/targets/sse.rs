//! Event streams against the algorithm of the HTML standard.

use bytes::Bytes;
use petstream::wire::sse::{Decoder, TooLong};

use crate::pieces::cuts;
use crate::reference::event_stream::{self, Event, Stream};

/// Longer than any input.
const NO_LIMIT: usize = 1 << 20;
/// A limit that inputs reach.
const LIMIT: usize = 24;

/// Tries one input.
///
/// # Panics
/// Where something is wrong.
pub fn run(data: &[u8]) {
    let expected = event_stream::read(data);
    for pieces in cuts(data) {
        let (read, end) = decode(&pieces, NO_LIMIT);
        assert_eq!(end, Ok(()));
        assert_eq!(read, expected, "in {} pieces", pieces.len());
        let (read, end) = decode(&pieces, LIMIT);
        assert!(expected.events.starts_with(&read.events), "with a limit: {:?}", read.events);
        assert!(read.events.iter().all(|event| event.data.len() <= LIMIT), "longer than the limit: {:?}", read.events);
        assert!(end.is_err() || read == expected, "with a limit that was not reached: {read:?}");
    }
}

fn decode(pieces: &[&[u8]], limit: usize) -> (Stream, Result<(), TooLong>) {
    let mut decoder = Decoder::new(limit);
    let mut stream = Stream::default();
    let mut end = Ok(());
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next_event() {
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert!(end.is_ok(), "an event behind the error");
                    if let Some(verbatim) = &event.verbatim {
                        assert_eq!(verbatim[..], [b"data: ", &event.data[..], b"\n\n"].concat());
                    }
                    stream.events.push(Event {
                        data: event.data.to_vec(),
                        name: event.name.map(|name| name.to_vec()),
                        last_id: decoder.last_id().map(<[u8]>::to_vec),
                    });
                }
                Err(too_long) => {
                    end = Err(too_long);
                    break;
                }
            }
        }
    }
    stream.last_id = decoder.last_id().map(<[u8]>::to_vec);
    stream.retry = decoder.retry();
    (stream, end)
}
