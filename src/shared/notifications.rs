//! Commit notifications: after a commit, a replica publishes that the log has grown, and the others read it at once.
//!
//! A notification is a hint. The log is read once a second without any, so one that is lost costs a second, and one that
//! is doubled or wrong costs a read. A message is the name of the sender and the number of its last event, such as
//! `5f0c1d3a9b8e7f60 42`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Msg, cmd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::redis::{Received, Redis, Subscriber};
use super::replica_id::ReplicaId;

/// Shortest time between two messages of a replica, and between two reads of the log because of others' messages.
const INTERVAL: Duration = Duration::from_millis(20);
/// Longest message that is looked at, bytes: a name, a blank, a number.
const MAX_MESSAGE_LEN: usize = ReplicaId::LEN + 1 + 20;

/// Publishes and receives commit notifications; clones share what is measured.
#[derive(Clone)]
pub struct CommitNotifications {
    redis: Redis,
    own: ReplicaId,
    meter: Arc<dyn NotificationMeter>,
    /// The last message of this replica, and when it was sent.
    // std Mutex: never held across .await
    sent: Arc<Mutex<Option<(u64, Instant)>>>,
}

/// Receives what happens, for metrics.
pub trait NotificationMeter: Send + Sync + 'static {
    /// A message was published.
    fn sent(&self);
    /// A message of another replica has arrived.
    fn received(&self);
    /// A message that is none has arrived.
    fn invalid(&self);
    /// This replica has received its own message so long after it had sent it.
    fn delay(&self, time: Duration);
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    /// From this replica, with this number.
    Own(u64),
    /// From another one.
    Foreign,
    /// Not a message.
    Invalid,
}

impl CommitNotifications {
    /// Those of the replicas that use this Redis with the same prefix; `own` is this one.
    #[must_use]
    pub fn new(redis: Redis, own: ReplicaId, meter: Arc<dyn NotificationMeter>) -> Self {
        Self { redis, own, meter, sent: Arc::default() }
    }

    /// Publishes the number of the last event whenever `commits` has a new one, at most 50 times a second, until its
    /// sender is dropped. What can't be published is left out.
    pub async fn publish(self, mut commits: watch::Receiver<u64>) {
        let channel = self.channel();
        let mut last = *commits.borrow_and_update();
        while commits.changed().await.is_ok() {
            let number = *commits.borrow_and_update();
            // It also changes, without a new number, when another replica has committed.
            if number == last {
                continue;
            }
            last = number;
            *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, Instant::now()));
            let message = format!("{} {number}", self.own);
            if self.redis.call::<()>(cmd("PUBLISH").arg(&channel).arg(message)).await.is_ok() {
                self.meter.sent();
            }
            sleep(INTERVAL).await;
        }
    }

    /// Calls `wake` when another replica has committed, at most 50 times a second, and when messages may have been
    /// missed. Without end.
    pub async fn receive(self, wake: impl Fn()) {
        let mut subscriber = Subscriber::new(self.redis.clone(), self.channel());
        loop {
            let mut is_news = match subscriber.next().await {
                Received::Connected => true,
                Received::Message(message) => self.take(&message),
            };
            // Those that have arrived meanwhile need no wake-up of their own.
            while let Some(message) = subscriber.arrived() {
                is_news |= self.take(&message);
            }
            if is_news {
                wake();
                sleep(INTERVAL).await;
            }
        }
    }

    /// Measures a message; returns whether another replica has sent it.
    fn take(&self, message: &Msg) -> bool {
        match parse(message.get_payload_bytes(), &self.own) {
            Message::Own(number) => {
                let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, at)) = sent.filter(|(last, _)| *last == number) {
                    self.meter.delay(at.elapsed());
                }
                return false;
            }
            Message::Foreign => self.meter.received(),
            Message::Invalid => {
                self.meter.invalid();
                return false;
            }
        }
        true
    }

    fn channel(&self) -> String {
        self.redis.key("commits")
    }
}

fn parse(message: &[u8], own: &ReplicaId) -> Message {
    let text = Some(message).filter(|message| message.len() <= MAX_MESSAGE_LEN);
    let read = || {
        let (name, number) = std::str::from_utf8(text?).ok()?.split_once(' ')?;
        Some((ReplicaId::parse(name)?, number.parse::<u64>().ok()?))
    };
    match read() {
        Some((name, number)) if name == *own => Message::Own(number),
        Some(_) => Message::Foreign,
        None => Message::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_a_sender_and_a_number() {
        let (own, other) = (ReplicaId::random(), ReplicaId::random());
        let parse = |text: &str| parse(text.as_bytes(), &own);
        assert_eq!(parse(&format!("{own} 42")), Message::Own(42));
        assert_eq!(parse(&format!("{other} {}", u64::MAX)), Message::Foreign);
        for wrong in ["", "42", "x 42", &*format!("{other} -1"), &*format!("{other} {}0", u64::MAX), &"9".repeat(1_000)]
        {
            assert_eq!(parse(wrong), Message::Invalid, "{wrong}");
        }
        assert_eq!(super::parse(&[0xff; 20], &own), Message::Invalid);
    }
}
