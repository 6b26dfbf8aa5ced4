//! Reads the current state from lists, page by page.

use std::net::SocketAddr;

use petstream::wire::event::{Topic, Topics};
use serde_json::Value;

use crate::history::List;
use crate::shared_state::SharedState;
use test_support::http::{Connection, Request};

/// The list that holds the state of a topic.
pub(crate) const fn path(topic: Topic) -> Option<&'static str> {
    match topic {
        Topic::Pets => Some("/api/pets"),
        Topic::Orders => Some("/api/orders"),
        Topic::Inventory => Some("/api/inventory"),
        Topic::Notifications => None,
    }
}

/// Reads the lists of `topics` in pages of `limit`. Starts again at the first page when the server is killed
/// meanwhile.
pub(crate) async fn read(shared: &SharedState, topics: Topics, limit: usize) -> Vec<List> {
    loop {
        if let Some(lists) = attempt(&mut shared.connect().await, topics, limit).await {
            return lists;
        }
    }
}

/// Reads the lists of `topics` from one server, which runs.
pub(crate) async fn read_at(server: SocketAddr, topics: Topics, limit: usize) -> Vec<List> {
    attempt(&mut Connection::open(server).await, topics, limit).await.expect("the server runs")
}

async fn attempt(connection: &mut Connection, topics: Topics, limit: usize) -> Option<Vec<List>> {
    let mut lists = Vec::new();
    for topic in topics.iter() {
        if let Some(path) = path(topic) {
            lists.push(list(connection, topic, path, limit).await?);
        }
    }
    Some(lists)
}

async fn list(connection: &mut Connection, topic: Topic, path: &str, limit: usize) -> Option<List> {
    if topic == Topic::Inventory {
        let mut counts = get(connection, path).await?;
        let cursor = counts.as_object_mut().unwrap().shift_remove("cursor").unwrap();
        return Some(List { topic, cursor: cursor.as_str().unwrap().to_owned(), pages: 1, resources: vec![counts] });
    }
    let mut list = List { topic, cursor: String::new(), pages: 0, resources: Vec::new() };
    let mut next = Some(format!("{path}?limit={limit}"));
    while let Some(path) = next {
        let mut page = get(connection, &path).await?;
        let cursor = page["cursor"].as_str().unwrap();
        if list.pages == 0 {
            cursor.clone_into(&mut list.cursor);
        }
        assert_eq!(cursor, list.cursor, "later pages repeat the first one's");
        list.pages += 1;
        next = page["next"].as_str().map(str::to_owned);
        list.resources.append(page["data"].as_array_mut().unwrap());
    }
    Some(list)
}

async fn get(connection: &mut Connection, path: &str) -> Option<Value> {
    let answer = connection.ask_unless_gone(&Request::new("GET", path)).await?;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    Some(answer.json())
}
