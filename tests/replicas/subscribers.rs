//! Clients of live events by way of the balancer, which reconnect with their cursor.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use test_support::event_stream::{Parser, Seen, get, seq};
use test_support::http::{Connection, Piece};
use test_support::soon;

/// Longest silence of a stream, which has a heartbeat each second: then the client connects again.
const SILENCE: Duration = Duration::from_secs(3);

/// Running subscribers.
pub(crate) struct Subscribers {
    subscribers: JoinSet<Vec<String>>,
    end: watch::Sender<Option<u64>>,
}

impl Subscribers {
    /// Starts so many, from the beginning of the log.
    pub(crate) fn start(count: usize, server: SocketAddr, key: &'static str) -> Self {
        let (end, mut subscribers) = (watch::Sender::new(None), JoinSet::new());
        for _ in 0..count {
            subscribers.spawn(subscribe(server, key, end.subscribe()));
        }
        Self { subscribers, end }
    }

    /// Waits until all have the event with this number; returns the ids of the events of each, in their order.
    pub(crate) async fn until(self, end: u64) -> Vec<Vec<String>> {
        self.end.send_replace(Some(end));
        soon("the subscribers", self.subscribers.join_all()).await
    }
}

async fn subscribe(server: SocketAddr, key: &'static str, mut end: watch::Receiver<Option<u64>>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let last = ids.last().map_or("earliest", String::as_str);
        let request = get("/api/events").header("last-event-id", last).bearer(key);
        if let Some(mut connection) = Connection::open_unless_gone(server).await {
            let answer = timeout(SILENCE, connection.begin_unless_gone(&request)).await;
            let mut answer = answer.ok().flatten();
            match answer.as_ref().map(|answer| answer.status()) {
                Some(200) => {}
                None | Some(503) => answer = None,
                Some(status) => panic!("{status}"),
            }
            let mut parser = Parser::default();
            while let Some(answer) = &mut answer {
                if end.borrow_and_update().is_some_and(|end| ids.last().is_some_and(|last| seq(last) >= end)) {
                    return ids;
                }
                let piece = tokio::select! {
                    piece = timeout(SILENCE, answer.piece()) => piece,
                    _ = end.changed() => continue,
                };
                let Ok(Piece::Data(bytes)) = piece else { break };
                ids.extend(parser.push(&bytes).into_iter().filter_map(event));
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The id of an event, which is none that the server sends of itself.
fn event(seen: Seen) -> Option<String> {
    let Seen::Message(message) = seen else { return None };
    match message.event.as_str() {
        "heartbeat" => None,
        "connected" => {
            assert_eq!(message.data["resumed"], true, "the cursor is valid on each server");
            None
        }
        "stream-reset" => panic!("a reset: {message:?}"),
        _ => Some(message.last_id),
    }
}
