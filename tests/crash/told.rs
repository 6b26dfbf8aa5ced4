//! One crash, without chance: an event that was committed and that nobody had been told of yet.

use petstream::petstore::log::{EventLog, NewEvent};
use petstream::store::Store;
use petstream::wire::event::Kind;

use crate::program::Folder;
use crate::source::{Ending, Seen, Stream, get};

#[tokio::test]
async fn what_was_committed_and_not_told_is_told_after_the_crash() {
    let folder = Folder::with("auth: none\nevents: {retry: 100ms}\n");
    let program = folder.start().await;
    let (greeting, mut stream) = Stream::greeted(program.address, get("/api/events")).await;
    let cursor = greeting.connected.last_id;
    // By another process, as far as the server can tell: nothing rings its bell, and it looks by itself once a second.
    let store = Store::open(&folder.database()).await.unwrap();
    let event = NewEvent { kind: Kind::OrderCreated, id: "x".into(), version: 1, resource: None, old: None, new: None };
    EventLog::new(store.clone()).append_alone(&[event]).await.unwrap();
    program.kill().await;
    store.close().await;
    let (told, ending) = stream.rest().await;
    assert_eq!(ending, Ending::Cut);
    let told = told.iter().filter(|seen| matches!(seen, Seen::Message(message) if message.event == "order-created"));
    let told = told.count();

    let program = folder.start().await;
    // A machine that is very busy may have let the server look in between: then it is not told again.
    let next = if told == 0 { cursor } else { format!("{}.1", cursor.split('.').next().unwrap()) };
    let (greeting, mut stream) =
        Stream::greeted(program.address, get("/api/events").header("last-event-id", &next)).await;
    assert_eq!(greeting.connected.data["resumed"], true);
    if told == 0 {
        let missed = stream.message().await;
        assert_eq!((missed.event.as_str(), missed.seq(), missed.prev()), ("order-created", 1, 0));
    }
    drop(stream);
    program.stop().await;
}
