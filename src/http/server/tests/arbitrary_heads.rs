//! Heads of arbitrary bytes.

use bytes::BytesMut;
use proptest::prelude::*;

use crate::http::server::request_head::{RequestHead, TargetCache};

proptest! {
    #[test]
    fn heads_with_arbitrary_fields_do_not_panic(
        line in "[A-Z]{1,6} /[a-z%?#]{0,9} HTTP/1.[01]",
        fields in proptest::collection::vec("(host|content-length|transfer-encoding|connection|expect|[a-z]{1,4}):[ -~]{0,12}", 0..8),
        cut in 0_usize..200,
    ) {
        let mut text = format!("{line}\r\n{}\r\n\r\nrest", fields.join("\r\n")).into_bytes();
        text.truncate(cut.max(8));
        let _ = RequestHead::take(&mut BytesMut::from(&text[..]), 4096, &mut TargetCache::default());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = RequestHead::take(&mut BytesMut::from(&bytes[..]), 128, &mut TargetCache::default());
    }
}
