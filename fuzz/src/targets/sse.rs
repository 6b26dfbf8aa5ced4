//! The decoder of event streams, compared with the algorithm of the HTML standard.

use bytes::Bytes;
use petstream::wire::sse::{Decoder, TooLong};

use crate::pieces::splits;
use crate::reference::event_stream::{self, Event, Stream};

/// Above the length of any input.
const NO_LIMIT: usize = 1 << 20;
/// A limit that inputs exceed.
const LIMIT: usize = 24;

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let expected = event_stream::read(data);
    for pieces in splits(data) {
        let (read, end) = decode(&pieces, NO_LIMIT);
        assert_eq!(end, Ok(()));
        assert_eq!(read, expected, "in {} pieces", pieces.len());
        let (read, end) = decode(&pieces, LIMIT);
        assert!(expected.events.starts_with(&read.events), "with a limit: {:?}", read.events);
        assert!(read.events.iter().all(|event| event.data.len() <= LIMIT), "longer than the limit: {:?}", read.events);
        assert!(end.is_err() || read == expected, "within the limit: {read:?}");
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
                    assert!(end.is_ok(), "an event after the error");
                    if let Some(verbatim) = &event.verbatim {
                        let name = event.name.as_ref().map(|name| [b"event: ", &name[..], b"\n"].concat());
                        let data = [b"data: ", &event.data[..], b"\n\n"].concat();
                        assert_eq!(verbatim[..], [name.unwrap_or_default(), data].concat());
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
