//! Request heads: the same decision and the same fields as the reference, in any split of the input.

use petstream::http::fuzzing::{HeadRead, read_head};

use crate::pieces::splits;
use crate::reference::request_head::{self, Head, Outcome};

/// The longest head that is accepted, bytes.
const MAX_HEAD: usize = 1024;

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let expected = request_head::read(data);
    let empty_lines = data.len() - without_empty_lines(data).len();
    for pieces in splits(data) {
        let read = read_head(&pieces, MAX_HEAD);
        match &expected {
            Outcome::Head(head) if head.end - empty_lines <= MAX_HEAD => {
                let Ok(Some(read)) = read else { panic!("rejected: {read:?} instead of {head:?}") };
                assert_same(&read, head, data.len());
            }
            Outcome::Head(_) | Outcome::EngineRefusal => assert!(read.is_err(), "not rejected: {read:?}"),
            Outcome::More => assert!(!matches!(read, Ok(Some(_))), "an incomplete head was accepted: {read:?}"),
        }
    }
}

fn without_empty_lines(mut data: &[u8]) -> &[u8] {
    while let Some(rest) = data.strip_prefix(b"\r\n").or_else(|| data.strip_prefix(b"\n")) {
        data = rest;
    }
    data
}

fn assert_same(read: &HeadRead, head: &Head, length: usize) {
    assert_eq!(read.method.as_str(), head.method);
    assert_eq!(Ok(&read.target), head.target.parse().as_ref().map_err(|_| ()));
    assert_eq!(
        (read.is_http_11, read.length, read.keep_alive, read.expects_continue),
        (head.is_new, head.length, head.keeps, head.waits)
    );
    assert_eq!(read.left, length - head.end, "bytes behind the head");
    // A header map keeps the order of the values of one name only.
    let sorted = |fields: &[(String, Vec<u8>)]| {
        let mut fields = fields.to_vec();
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        fields
    };
    assert_eq!(sorted(&read.fields), sorted(&head.fields));
}
