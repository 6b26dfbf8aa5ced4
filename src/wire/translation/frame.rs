//! Events with a name.

use bytes::BytesMut;

/// Appends an event with a name. Its data is JSON in parts, none of which has a line end.
pub(in crate::wire) fn push_event(out: &mut BytesMut, name: &str, data: &[&str]) {
    let length = data.iter().map(|part| part.len()).sum::<usize>() + name.len() + 16;
    out.reserve(length);
    for part in ["event: ", name, "\ndata: "].iter().chain(data).chain(&["\n\n"]) {
        out.extend_from_slice(part.as_bytes());
    }
}
