//! Affinity: the requests of a conversation go to one target.

use serde_json::{Value, json};

use super::{answerer, asked, refuses, targets, until_asked};
use crate::server::Server;
use test_support::config::model;
use test_support::frames::first;
use test_support::http::{Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

const AUTO: &[&str] = &["affinity: auto"];
/// One failure ejects a target, for 100 ms.
const EJECTED: &[&str] = &["affinity: auto", "ejection: {failures: 1, base: 100ms, max: 100ms}"];

/// A server with three targets of equal weight.
async fn three([a, b, c]: &[Upstream; 3], more: &[&str]) -> Server {
    Server::start(&model(&[(a, ""), (b, ""), (c, "")], more)).await
}

/// The request of turn `turn` of the conversation that begins with `opening`.
fn turn(opening: &str, turn: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "s"}), json!({"role": "user", "content": opening})];
    for past in 0..turn {
        messages.push(json!({"role": "assistant", "content": format!("{opening} {past}")}));
        messages.push(json!({"role": "user", "content": format!("more {past}")}));
    }
    json!({"model": "m", "stream": true, "messages": messages})
}

/// Sends a request, which must succeed; returns the name of the target.
async fn ask(server: &Server, request: &Request) -> String {
    let transcript = server.ask(request).await.transcript();
    transcript.assert_contract(1, false);
    transcript.text(0)
}

async fn answerers_of(server: &Server, requests: impl IntoIterator<Item = Request>) -> String {
    let mut all = String::new();
    for request in requests {
        all.push_str(&ask(server, &request).await);
    }
    all
}

fn is_one(answerers: &str) -> bool {
    let first = &answerers[..1];
    answerers.chars().all(|one| first.contains(one))
}

fn has_all(answerers: &str) -> bool {
    ['a', 'b', 'c'].iter().all(|target| answerers.contains(*target))
}

#[tokio::test]
async fn the_turns_of_a_conversation_go_to_one_target() {
    let targets = targets().await;
    let server = three(&targets, AUTO).await;
    let mut first_turns = String::new();
    for conversation in 0..20 {
        let opening = format!("conversation {conversation}");
        let turns = answerers_of(&server, (0..4).map(|at| Request::chat(&turn(&opening, at)))).await;
        assert!(is_one(&turns), "{turns}");
        first_turns.push_str(&turns[..1]);
    }
    assert!(has_all(&first_turns), "{first_turns}");
    // Another replica, or the same one after a restart, makes the same choice.
    server.stop().await;
    let other = three(&targets, AUTO).await;
    let again = (0..20).map(|conversation| Request::chat(&turn(&format!("conversation {conversation}"), 1)));
    assert_eq!(answerers_of(&other, again).await, first_turns);
    other.stop().await;
}

#[tokio::test]
async fn the_header_and_the_members_of_the_body_name_the_session() {
    let all = targets().await;
    let server = three(&all, AUTO).await;
    let header = |session: &str, opening: &str| Request::chat(&turn(opening, 0)).header("x-session-id", session);
    let member = |name: &str, value: &str, opening: &str| {
        let mut request = turn(opening, 0);
        request[name] = value.into();
        request
    };
    for session in ["1", "2"] {
        let by_header = answerers_of(&server, (0..6).map(|at| header(session, &format!("opening {at}")))).await;
        assert!(is_one(&by_header), "{by_header}");
        for name in ["prompt_cache_key", "user", "safety_identifier"] {
            let named = (0..6).map(|at| Request::chat(&member(name, session, &format!("opening {at}"))));
            let by_member = answerers_of(&server, named).await;
            assert!(is_one(&by_member), "{name}: {by_member}");
        }
    }
    // Sessions are spread although their prompts are equal, by the header also where the body has a name.
    let by_header = answerers_of(&server, (0..20).map(|at| header(&format!("{at}"), "same"))).await;
    let by_member =
        answerers_of(&server, (0..20).map(|at| Request::chat(&member("user", &format!("{at}"), "same")))).await;
    let named_alike =
        (0..20).map(|at| Request::chat(&member("user", "1", "same")).header("x-session-id", &at.to_string()));
    let by_both = answerers_of(&server, named_alike).await;
    assert!(has_all(&by_header) && has_all(&by_member), "{by_header} {by_member}");
    assert_eq!(by_both, by_header);
    server.stop().await;
}

#[tokio::test]
async fn a_conversation_moves_while_its_target_is_ejected_and_returns() {
    let all = targets().await;
    let server = three(&all, EJECTED).await;
    let home = answerer(&server).await;
    let [target] = ["a", "b", "c"].iter().position(|name| *name == home).map(|at| [&all[at]]).unwrap();
    target.answer(refuses(500));
    let before = target.requests().len();
    let next = answerer(&server).await;
    assert_ne!(next, home, "the next target takes over");
    assert_eq!(target.requests().len(), before + 1);
    // One of these requests is the probe. Since then the conversation is at its target again.
    assert_eq!(until_asked(&server, target, before + 2).await, home);
    assert_eq!(answerer(&server).await, home);
    let others = asked(&[&all[0], &all[1], &all[2]]);
    assert_eq!(others.iter().filter(|count| **count == 0).count(), 1, "the third target got no request: {others:?}");
    server.stop().await;
}

#[tokio::test]
async fn off_and_requests_without_a_session_are_spread() {
    let equal = || (0..6).map(|_| Request::chat(&turn("same", 0)).header("x-session-id", "1"));
    let all = targets().await;
    let server = three(&all, &["affinity: off"]).await;
    assert_eq!(answerers_of(&server, equal()).await, "abcabc");
    server.stop().await;
    let server = three(&all, AUTO).await;
    let no_user_message = json!({"model": "m", "stream": true, "messages": [{"role": "assistant", "content": "x"}]});
    assert_eq!(answerers_of(&server, (0..6).map(|_| Request::chat(&no_user_message))).await, "abcabc");
    server.stop().await;
    // The default is `auto`.
    let [a, b, c] = targets().await;
    let yaml = model(&[(&a, ""), (&b, ""), (&c, "")], &[]).replace("    affinity: off\n", "");
    assert!(!yaml.contains("affinity"));
    let server = Server::start(&yaml).await;
    assert!(is_one(&answerers_of(&server, equal()).await));
    server.stop().await;
}

#[tokio::test]
async fn a_hot_session_is_spread_when_its_target_has_its_share() {
    let gate = Gate::new();
    let all = [Upstream::start([]).await, Upstream::start([]).await, Upstream::start([]).await];
    for target in &all {
        target.answer_otherwise(Script::stream().frame(&first()).wait(&gate));
    }
    let server = three(&all, AUTO).await;
    let mut connections = Vec::new();
    for _ in 0..24 {
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&Request::chat(&turn("hot", 0))).await;
        assert!(matches!(answer.piece().await, Piece::Data(_)));
        connections.push(connection);
    }
    let mut counts = asked(&[&all[0], &all[1], &all[2]]);
    counts.sort_unstable();
    // At most 5/4 of a third of 24, and four.
    assert_eq!((counts[2], counts.iter().sum::<usize>()), (14, 24), "{counts:?}");
    drop(connections);
    server.stop().await;
}
