//! The events of a stream about itself: `connected`, `stream-reset`, `heartbeat`.

use bytes::BytesMut;
use jiff::Timestamp;
use serde::Serialize;

use crate::events::{Reset, Start};
use crate::wire::event::{Topic, Topics};
use crate::wire::event_frame::ControlFrame;

use crate::api::public_path::PublicPath;

#[derive(Serialize)]
struct Connected<'a> {
    status: &'static str,
    resumed: bool,
    epoch: &'a str,
    head: u64,
}

#[derive(Serialize)]
struct StreamReset<'a> {
    reason: &'static str,
    epoch: &'a str,
    oldest: u64,
    head: u64,
    /// URLs to read the present state from, since changes may have been missed; null if the topics have none.
    snapshot: Option<String>,
}

#[derive(Serialize)]
struct Heartbeat {
    time: String,
}

/// The first event of every stream. Its id is where the stream starts, unless a reset follows: if the stream broke
/// before the reset, the client would reconnect with an id that hides what it has missed.
pub(super) fn connected(out: &mut BytesMut, start: &Start) {
    let epoch = start.from.epoch.as_str();
    let data = json(&Connected { status: "connected", resumed: start.resumed, epoch, head: start.head });
    let id = start.reset.is_none().then_some(&start.from);
    ControlFrame { name: "connected", id, data: &data }.push(out);
}

pub(super) fn stream_reset(out: &mut BytesMut, reset: &Reset, topics: Topics, public_path: &PublicPath) {
    let data = reset_json(reset, topics, public_path);
    ControlFrame { name: "stream-reset", id: Some(&reset.cursor), data: &data }.push(out);
}

/// The data of a `stream-reset`.
pub(super) fn reset_json(reset: &Reset, topics: Topics, public_path: &PublicPath) -> String {
    let Reset { reason, oldest, cursor } = reset;
    let (epoch, head) = (cursor.epoch.as_str(), cursor.seq);
    let snapshot = snapshot(topics).map(|path| public_path.of(path));
    json(&StreamReset { reason: reason.name(), epoch, oldest: *oldest, head, snapshot })
}

/// A comment, which keeps proxies from closing the connection, and an event, which a page can observe.
pub(super) fn heartbeat(out: &mut BytesMut, now: Timestamp) {
    out.extend_from_slice(b": keep-alive\n\n");
    ControlFrame { name: "heartbeat", id: None, data: &json(&Heartbeat { time: format!("{now:.3}") }) }.push(out);
}

/// URLs of the present state of the resources of `topics`.
fn snapshot(topics: Topics) -> Option<&'static str> {
    let paths = [(Topic::Pets, "/api/pets"), (Topic::Orders, "/api/orders"), (Topic::Inventory, "/api/inventory")];
    paths.into_iter().find(|(topic, _)| topics.contains(*topic)).map(|(_, path)| path)
}

/// Plain structures, whose serialization does not fail.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::ResetReason;

    #[test]
    fn a_stream_that_begins_with_a_reset_has_its_id_only_there() {
        let cursor = "e.7".parse().unwrap();
        let reset = Reset { reason: ResetReason::TooOld, oldest: 5, cursor };
        let start = Start { from: reset.cursor.clone(), head: 7, resumed: false, reset: Some(reset.clone()) };
        let mut out = BytesMut::new();
        connected(&mut out, &start);
        stream_reset(&mut out, &reset, Topics::ALL, &PublicPath::new("/shop/"));
        let expected = "event: connected\ndata: {\"status\":\"connected\",\"resumed\":false,\"epoch\":\"e\",\"head\":7}\n\n\
                        id: e.7\nevent: stream-reset\ndata: {\"reason\":\"too-old\",\"epoch\":\"e\",\"oldest\":5,\
                        \"head\":7,\"snapshot\":\"/shop/api/pets\"}\n\n";
        assert_eq!(out, expected.as_bytes());
        let mut out = BytesMut::new();
        connected(&mut out, &Start { reset: None, ..start });
        assert!(out.starts_with(b"id: e.7\nevent: connected\n"));
    }

    #[test]
    fn the_snapshot_is_that_of_the_topics() {
        let of = |topics: &[Topic]| snapshot(topics.iter().copied().collect());
        assert_eq!(of(&Topic::ALL), Some("/api/pets"));
        assert_eq!(of(&[Topic::Inventory, Topic::Orders]), Some("/api/orders"));
        assert_eq!(of(&[Topic::Inventory]), Some("/api/inventory"));
        assert_eq!(of(&[Topic::Notifications]), None);
    }
}
