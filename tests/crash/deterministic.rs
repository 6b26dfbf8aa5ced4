//! Crashes without randomness: an event that was committed but not delivered, and `petstream events tail` across
//! crashes.

use std::process::Stdio;

use petstream::store::Store;
use petstream::store::event_log::{EventLog, NewEvent};
use petstream::wire::event::EventKind;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use test_support::event_stream::{Ending, Seen, Stream, get};
use test_support::http::Request;
use test_support::program::{Folder, executable, quiet_port};
use test_support::soon;

#[tokio::test]
async fn an_event_committed_before_a_crash_is_delivered_after_it() {
    let (folder, database) = Folder::with_database("auth: none\nevents: {retry: 100ms}\n").await;
    let program = folder.start().await;
    let (greeting, mut stream) = Stream::greeted(program.address, get("/api/events")).await;
    let cursor = greeting.connected.last_id;
    // Written by another connection: the server gets no notification, and finds it by its poll once a second.
    let store = Store::open(database.url()).await.unwrap();
    let event =
        NewEvent { kind: EventKind::OrderCreated, id: "x".into(), version: 1, resource: None, old: None, new: None };
    EventLog::new(store.clone()).append_alone(&[event]).await.unwrap();
    program.kill().await;
    store.close().await;
    let (told, ending) = stream.rest().await;
    assert_eq!(ending, Ending::Cut);
    let told = told.iter().filter(|seen| matches!(seen, Seen::Message(message) if message.event == "order-created"));
    let told = told.count();

    let program = folder.start().await;
    // On a busy machine the server may have found it already: then it is not delivered again.
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

#[tokio::test]
async fn tailing_events_continues_after_the_last_line_through_crashes() {
    const CRASHES: usize = 3;
    let (folder, _database) = Folder::with_database("auth: none\nevents: {retry: 100ms}\n").await;
    let address = quiet_port();
    let mut program = folder.start_on(address).await;
    let url = format!("http://{address}");
    let mut command = folder.command(&executable());
    command.args(["events", "--topics", "pets", "--from", "earliest", "--url", &url]).stderr(Stdio::null());
    let mut reader = command.spawn().unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    let pet = json!({"species": "CAT", "name": "Tom", "breed": "Siamese", "ageMonths": 3, "size": "SMALL",
        "color": "grey", "price": "1.00"});
    let create = Request::new("POST", "/api/pets").header("content-type", "application/json").body(pet.to_string());
    let mut made = Vec::new();
    let mut printed: Vec<Value> = Vec::new();
    for crash in 0..=CRASHES {
        // The last event is committed just before the crash, and most likely read after it.
        for _ in 0..5 {
            let answer = program.ask(&create).await;
            assert_eq!(answer.status, 201);
            made.push(answer.json());
        }
        if crash < CRASHES {
            program.kill().await;
            program = folder.start_on(address).await;
        }
        while printed.len() < made.len() {
            let line = soon("a line", lines.next_line()).await.unwrap().expect("it never ends by itself");
            printed.push(serde_json::from_str(&line).unwrap());
        }
    }
    let told: Vec<_> = printed.iter().map(|line| line["data"]["resource"].clone()).collect();
    assert_eq!(told, made, "each once, in order");
    let prev = printed.iter().skip(1).map(|line| line["data"]["prev"].as_u64().unwrap());
    let before = printed.iter().map(|line| test_support::event_stream::seq(line["id"].as_str().unwrap()));
    assert!(prev.eq(before.take(printed.len() - 1)), "{printed:?}");
    reader.kill().await.unwrap();
    program.stop().await;
}
