//! Selection of targets: weights, requests in flight, priorities.

use super::{answerers, asked, refuses, says, stream, targets};
use crate::server::Server;
use test_support::becomes;
use test_support::config::model;
use test_support::frames::{first, last};
use test_support::http::{Connection, Piece};
use test_support::upstream::{Gate, Script, Upstream};

#[tokio::test]
async fn equal_targets_take_turns() {
    let [a, b, c] = targets().await;
    let server = Server::start(&model(&[(&a, ""), (&b, ""), (&c, "")], &[])).await;
    assert_eq!(answerers(&server, 7).await, "abcabca");
    server.stop().await;
}

#[tokio::test]
async fn weights_are_respected_and_spread() {
    let [a, b] = targets().await;
    let server = Server::start(&model(&[(&a, "weight: 3"), (&b, "weight: 1")], &[])).await;
    assert_eq!(answerers(&server, 8).await, "aabaaaba");
    server.stop().await;

    let [a, b, c] = targets().await;
    let server = Server::start(&model(&[(&a, "weight: 5"), (&b, ""), (&c, "")], &[])).await;
    assert_eq!(answerers(&server, 14).await, "aabacaaaabacaa");
    server.stop().await;
}

/// Opens a stream at the selected target, and holds it.
async fn held(server: &Server) -> Connection {
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));
    connection
}

#[tokio::test]
async fn the_target_with_the_fewest_requests_per_weight_is_selected() {
    let never = Gate::new();
    let hold = || Script::stream().frame(&first()).wait(&never);
    let a = Upstream::start([hold(), hold()]).await;
    let b = Upstream::start([hold()]).await;
    let server = Server::start(&model(&[(&a, "weight: 2"), (&b, "weight: 1")], &[])).await;
    let mut connections = Vec::new();
    for expected in [[1, 0], [1, 1], [2, 1]] {
        connections.push(held(&server).await);
        assert_eq!(asked(&[&a, &b]), expected);
    }
    // Two streams for weight 2, one for weight 1. When that one has ended, its target is selected next.
    connections.remove(1).reset();
    b.await_closed().await;
    a.answer_otherwise(says("a"));
    b.answer_otherwise(says("b"));
    becomes(&"b".to_owned(), async || answerers(&server, 1).await).await;
    assert_eq!(answerers(&server, 3).await, "bbb", "the other target is busy");
    drop(connections);
    server.stop().await;
}

#[tokio::test]
async fn a_target_is_busy_until_its_stream_has_ended() {
    let gate = Gate::new();
    let [a, b] = targets().await;
    a.answer(says("a"));
    a.answer(Script::stream().frame(&first()).wait(&gate).frame(&last("stop")).frame("[DONE]").end());
    let server = Server::start(&model(&[(&a, ""), (&b, "")], &[])).await;
    assert_eq!(answerers(&server, 2).await, "ab");
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));
    assert_eq!(answerers(&server, 4).await, "bbbb");
    gate.open();
    answer.body().await;
    assert!(answerers(&server, 2).await.contains('a'));
    server.stop().await;
}

#[tokio::test]
async fn lower_priorities_are_unused_while_higher_ones_serve() {
    let [a, b, c] = targets().await;
    let yaml = model(&[(&c, "priority: 7"), (&a, "priority: 0"), (&b, "priority: 3")], &[]);
    let server = Server::start(&yaml).await;
    assert_eq!(answerers(&server, 3).await, "aaa");
    a.answer(refuses(500));
    assert_eq!(answerers(&server, 2).await, "ba");
    a.answer(refuses(500));
    b.answer(refuses(500));
    assert_eq!(answerers(&server, 2).await, "ca");
    assert_eq!(asked(&[&a, &b, &c]), [7, 2, 1]);
    server.stop().await;
}

#[tokio::test]
async fn lower_priorities_are_tried_only_after_all_targets_of_a_priority_have_failed() {
    let [a, b, c] = targets().await;
    let yaml = model(&[(&a, "priority: 1"), (&b, "priority: 1"), (&c, "priority: 2, weight: 1000")], &[]);
    let server = Server::start(&yaml).await;
    a.answer(refuses(500));
    assert_eq!(answerers(&server, 1).await, "b");
    assert_eq!(asked(&[&a, &b, &c]), [1, 1, 0]);
    server.stop().await;
}
