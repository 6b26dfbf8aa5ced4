//! The decoder, over any split of its input.

use super::*;
use proptest::prelude::*;

/// Data and name of all events in `chunks`.
fn events(chunks: &[&[u8]]) -> Vec<(String, Option<String>)> {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let mut decoder = Decoder::new(1 << 20);
    let mut all = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = decoder.next_event().unwrap() {
            all.push((text(&event.data), event.name.as_ref().map(text)));
        }
    }
    all
}

fn data(chunks: &[&[u8]]) -> Vec<String> {
    events(chunks).into_iter().map(|(data, _)| data).collect()
}

#[test]
fn frames_end_at_lf_crlf_and_lone_cr() {
    assert_eq!(data(&[b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\n"]), ["a", "b", "c", "d"]);
}

#[test]
fn one_space_behind_the_colon_is_dropped() {
    assert_eq!(data(&[b"data:a\n\ndata:  b\n\n"]), ["a", " b"]);
}

#[test]
fn several_data_lines_are_joined() {
    assert_eq!(data(&[b"data: {\ndata: }\n\n"]), ["{\n}"]);
}

#[test]
fn comments_ids_retries_and_unknown_fields_dispatch_nothing() {
    assert_eq!(data(&[b": hi\n\nid: 1\nretry: 5\nfoo: x\nbar\n\nevent: ping\n\ndata: a\n\n"]), ["a"]);
}

#[test]
fn an_id_takes_effect_at_the_end_of_its_block_and_stays_until_the_next() {
    let mut decoder = Decoder::new(64);
    let mut ids = |chunk: &'static [u8]| {
        decoder.push(Bytes::from_static(chunk));
        let event = decoder.next_event().unwrap().map(|event| event.data);
        (event.is_some(), decoder.last_id().map(|id| String::from_utf8_lossy(id).into_owned()), decoder.retry())
    };
    assert_eq!(ids(b"data: a\n\n"), (true, None, None));
    assert_eq!(ids(b"id: 1\n"), (false, None, None));
    assert_eq!(ids(b"data: b\n\n"), (true, Some("1".to_owned()), None));
    assert_eq!(ids(b"data: c\n\n"), (true, Some("1".to_owned()), None));
    assert_eq!(ids(b"id: 2\nretry: 5x\n\n"), (false, Some("2".to_owned()), None));
    assert_eq!(ids(b"id: 3\0\nretry: 50\n\n"), (false, Some("2".to_owned()), Some(50)));
    assert_eq!(ids(b"id\n\n"), (false, Some(String::new()), Some(50)));
}

#[test]
fn an_event_with_a_name_in_the_canonical_form_is_not_copied() {
    let chunk = Bytes::from_static(
        b"event: a b\ndata: 1\n\nevent: c\r\ndata: 2\n\nevent: \ndata: 3\n\nevent: d\nid: 1\ndata: 4\n\n",
    );
    let mut decoder = Decoder::new(64);
    decoder.push(chunk.clone());
    let first = decoder.next_event().unwrap().unwrap();
    assert_eq!((&first.data[..], first.name.as_deref()), (&b"1"[..], Some(&b"a b"[..])));
    let verbatim = first.verbatim.unwrap();
    assert_eq!((verbatim.as_ptr(), &verbatim[..]), (chunk.as_ptr(), &b"event: a b\ndata: 1\n\n"[..]));
    for (data, name) in [("2", Some("c")), ("3", None), ("4", Some("d"))] {
        let event = decoder.next_event().unwrap().unwrap();
        assert_eq!((&event.data[..], event.name.as_deref()), (data.as_bytes(), name.map(str::as_bytes)));
        assert_eq!(event.verbatim, None, "{data}");
    }
    assert_eq!(decoder.next_event(), Ok(None));
    let mut short = Decoder::new(8);
    short.push(Bytes::from_static(b"event: abcdefgh\ndata: 1\n\n"));
    assert_eq!(short.next_event(), Err(TooLong));
}

#[test]
fn an_event_name_applies_to_its_event_only() {
    let all = events(&[b"event: error\ndata: a\n\ndata: b\n\n"]);
    assert_eq!(all, [("a".to_owned(), Some("error".to_owned())), ("b".to_owned(), None)]);
}

#[test]
fn a_byte_order_mark_is_dropped_at_the_start_only() {
    assert_eq!(data(&[b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\ndata: c\n\n"]), ["a", "c"]);
}

#[test]
fn a_field_without_a_colon_is_an_empty_field() {
    assert_eq!(data(&[b"data\n\n"]), [""]);
}

#[test]
fn crlf_split_between_chunks_is_one_line_end() {
    assert_eq!(data(&[b"data: a\r", b"\n", b"data: b\r", b"\n\r", b"\n"]), ["a\nb"]);
}

#[test]
fn exact_frames_are_passed_on_without_a_copy() {
    let mut decoder = Decoder::new(64);
    let chunk = Bytes::from_static(b"data: {}\n\ndata: [DONE]\n\n");
    decoder.push(chunk.clone());
    let first = decoder.next_event().unwrap().unwrap();
    assert_eq!(first.verbatim.unwrap().as_ptr(), chunk.as_ptr());
    assert_eq!(&decoder.next_event().unwrap().unwrap().verbatim.unwrap()[..], b"data: [DONE]\n\n");
    assert_eq!(decoder.next_event(), Ok(None));
}

#[test]
fn exceeding_the_limit_is_an_error_that_stays_whatever_the_chunks() {
    let long = [b"data: ".as_slice(), &[b'x'; 100], b"\n\n"].concat();
    let mut whole = Decoder::new(64);
    whole.push(Bytes::from(long.clone()));
    assert_eq!(whole.next_event(), Err(TooLong));
    let mut pieces = Decoder::new(64);
    let failed = long.chunks(7).any(|piece| {
        pieces.push(Bytes::copy_from_slice(piece));
        pieces.next_event().is_err()
    });
    assert!(failed);
    pieces.push(Bytes::from_static(b"data: a\n\n"));
    assert_eq!(pieces.next_event(), Err(TooLong));
    let mut lines = Decoder::new(64);
    lines.push(Bytes::from(b"data: 0123456789\n".repeat(10)));
    assert_eq!(lines.next_event(), Err(TooLong));
}

#[test]
fn an_unfinished_event_is_returned_at_the_end() {
    let mut decoder = Decoder::new(64);
    decoder.push(Bytes::from_static(b"data: [DONE]"));
    assert_eq!(decoder.next_event(), Ok(None));
    assert_eq!(&decoder.finish().unwrap().unwrap().data[..], b"[DONE]");
    assert_eq!(decoder.finish(), Ok(None));
}

/// Parts of streams: well-formed and malformed ones.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zé€😀:{}\", ]{0,12}".prop_map(|text| format!("data: {text}").into_bytes()),
        1 => "(event|id|retry|data|: c|x)(: ?[a-z]{0,4})?".prop_map(String::into_bytes),
        4 => prop_oneof![Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"\r\n".to_vec()), Just(b"\n\n".to_vec())],
        1 => Just(BOM.to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in proptest::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat()),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for to in at.into_iter().chain([stream.len()]) {
            chunks.push(&stream[from..to]);
            from = to;
        }
        let bytewise: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(events(&chunks), events(&[&stream]));
        prop_assert_eq!(events(&bytewise), events(&[&stream]));
    }

    #[test]
    fn encoded_frames_are_decoded(texts in proptest::collection::vec("[^\r\n]{0,30}", 0..10)) {
        let mut out = BytesMut::new();
        for text in &texts {
            crate::wire::sse::push_frame(&mut out, text.as_bytes());
        }
        prop_assert_eq!(data(&[&out]), texts);
    }
}
