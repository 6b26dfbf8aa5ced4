//! Ejection: a target that keeps failing gets no requests for a while, then one probe.

use std::time::{Duration, Instant};

use super::{answerer, answerers, asked, refuses, says, stream, targets, until_asked};
use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::config::model;
use test_support::frames::{first, last, text};
use test_support::http::Piece;
use test_support::upstream::{Gate, Script, Upstream};

/// Two targets; the first is preferred.
async fn preferring(a: &Upstream, b: &Upstream, ejection: &str) -> Server {
    let ejection = format!("ejection: {{{ejection}}}");
    Server::start(&model(&[(a, "priority: 0"), (b, "priority: 1")], &[&ejection])).await
}

#[tokio::test]
async fn exactly_the_configured_failures_in_a_row_eject() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 3, base: 1h, max: 1h").await;
    let torn = Script::new().write("HTTP/1.1 200 OK\r\ncontent-").close();
    for script in [refuses(500), refuses(500), says("a"), refuses(500), torn, refuses(503)] {
        a.answer(script);
    }
    assert_eq!(answerers(&server, 6).await, "bbabbb");
    assert_eq!(asked(&[&a, &b]), [6, 5]);
    // Three in a row: it is ejected.
    assert_eq!(answerers(&server, 3).await, "bbb");
    assert_eq!(asked(&[&a, &b]), [6, 8]);
    server.stop().await;
}

#[tokio::test]
async fn a_cut_stream_counts_as_a_failure() {
    let gate = Gate::new();
    let [a, b] = targets().await;
    a.answer(Script::stream().frame(&first()).wait(&gate).close());
    let server = preferring(&a, &b, "failures: 1, base: 1h, max: 1h").await;
    let mut connection = server.connect().await;
    let mut broken = connection.ask(&stream()).await;
    assert!(matches!(broken.piece().await, Piece::Data(_)));
    gate.open();
    broken.body().await;
    assert_eq!(answerer(&server).await, "b");
    server.stop().await;
}

#[tokio::test]
async fn cut_streams_in_a_row_count_as_failures() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 2, base: 1h, max: 1h").await;
    for _ in 0..2 {
        a.answer(Script::stream().frame(&first()).frame(&text("half")).close());
        let broken = server.ask(&stream()).await.transcript();
        assert!(matches!(broken.ending, Ending::Failed(_)), "{broken:#?}");
    }
    assert_eq!(answerers(&server, 2).await, "bb", "each of its last two answers was a failure");
    server.stop().await;
}

#[tokio::test]
async fn a_target_that_cuts_every_stream_is_ejected() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 3, base: 1h, max: 1h").await;
    let opens = || Script::stream().frame(&first()).frame(&text("half"));
    let breaks =
        [opens().close(), opens().end(), opens().frame("{\"error\":{\"message\":\"Gone.\",\"code\":500}}").end()];
    for script in breaks {
        a.answer(script);
        let broken = server.ask(&stream()).await.transcript();
        assert!(matches!(broken.ending, Ending::Failed(_)), "{broken:#?}");
    }
    assert_eq!(answerers(&server, 3).await, "bbb");
    assert_eq!(asked(&[&a, &b]), [3, 3]);
    server.stop().await;
}

#[tokio::test]
async fn a_complete_stream_resets_the_count_of_failures() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 2, base: 1h, max: 1h").await;
    for _ in 0..2 {
        a.answer(Script::stream().frame(&first()).frame(&text("half")).close());
        assert!(matches!(server.ask(&stream()).await.transcript().ending, Ending::Failed(_)));
        assert_eq!(answerer(&server).await, "a");
    }
    assert_eq!(asked(&[&a, &b]), [4, 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_target_that_refuses_the_configuration_is_ejected_and_clients_get_answers() {
    for status in [302, 401, 402, 403, 404, 405, 407, 410, 421, 424, 425, 451] {
        let [a, b] = targets().await;
        let server = preferring(&a, &b, "failures: 2, base: 1h, max: 1h").await;
        a.answer_otherwise(refuses(status));
        assert_eq!(answerers(&server, 4).await, "bbbb");
        assert_eq!(asked(&[&a, &b]), [2, 4]);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_no_failure_of_the_target() {
    let never = Gate::new();
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 1, base: 1h, max: 1h").await;
    for script in [Script::new().wait(&never), Script::stream().frame(&first()).wait(&never)] {
        a.answer(script);
        let before = a.requests().len();
        let mut connection = server.connect().await;
        connection.send(&stream()).await;
        a.request(before + 1).await;
        connection.reset();
        a.await_closed().await;
        assert_eq!(answerer(&server).await, "a");
        a.close_idle().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn no_number_of_failures_ejects_where_that_is_switched_off() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 0").await;
    for _ in 0..8 {
        a.answer(refuses(500));
    }
    assert_eq!(answerers(&server, 9).await, "bbbbbbbba");
    server.stop().await;
}

#[tokio::test]
async fn one_request_probes_while_others_use_another_target() {
    let gate = Gate::new();
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 1, base: 300ms").await;
    let ejected = Instant::now();
    a.answer(refuses(500));
    assert_eq!(answerer(&server).await, "b");
    // The probe is not decided before its first event.
    a.answer(Script::stream().wait(&gate).frame(&first()).frame(&text("a")).frame(&last("stop")).frame("[DONE]").end());
    let others = async {
        a.request(2).await;
        assert!(ejected.elapsed() >= Duration::from_millis(300));
        assert_eq!(answerers(&server, 4).await, "bbbb");
        assert_eq!(a.requests().len(), 2, "one probe at a time");
        gate.open();
    };
    let (who, ()) = tokio::join!(until_asked(&server, &a, 2), others);
    assert_eq!(who, "a");
    // It is healthy again, with its failures reset.
    assert_eq!(answerers(&server, 3).await, "aaa");
    server.stop().await;
}

#[tokio::test]
async fn the_first_event_of_a_probe_brings_the_target_back_although_its_stream_goes_on() {
    let gate = Gate::new();
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 1, base: 100ms").await;
    a.answer(refuses(500));
    assert_eq!(answerer(&server).await, "b");
    a.answer(Script::stream().frame(&first()).wait(&gate).frame(&text("a")).frame(&last("stop")).frame("[DONE]").end());
    let mut connection;
    let mut probe = loop {
        connection = server.connect().await;
        connection.send(&stream()).await;
        tokio::select! {
            _ = a.request(2) => break connection.answer().await,
            answer = connection.answer() => assert_eq!(answer.status(), 200),
        }
    };
    assert!(matches!(probe.piece().await, Piece::Data(_)));
    assert_eq!(answerers(&server, 3).await, "aaa");
    gate.open();
    probe.body().await;
    server.stop().await;
}

#[tokio::test]
async fn among_equals_the_target_to_probe_is_tried_first() {
    let [a, b] = targets().await;
    let server =
        Server::start(&model(&[(&a, ""), (&b, "weight: 1000")], &["ejection: {failures: 1, base: 1ms}"])).await;
    // By its weight, it gets one of a thousand requests.
    b.answer(refuses(500));
    a.answer_otherwise(refuses(500));
    assert_eq!(server.ask(&stream()).await.status, 502);
    a.answer_otherwise(says("a"));
    b.answer_otherwise(says("b"));
    until_asked(&server, &a, 2).await;
    assert!(b.requests().len() < 100, "{}", b.requests().len());
    server.stop().await;
}

#[tokio::test]
async fn a_probe_that_fails_is_answered_elsewhere_and_the_time_doubles() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 1, base: 200ms, max: 400ms").await;
    for _ in 0..4 {
        a.answer(refuses(500));
    }
    for count in 1..=4 {
        assert_eq!(until_asked(&server, &a, count).await, "b");
    }
    assert_eq!(until_asked(&server, &a, 5).await, "a");
    let asked = a.requests();
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (pause, least) in pauses.iter().zip([200, 400, 400, 400]) {
        assert!(*pause >= Duration::from_millis(least), "asked too soon: {pauses:?}");
    }
    // After a success the ejection time is the base again.
    a.answer(refuses(500));
    assert_eq!(answerer(&server).await, "b");
    until_asked(&server, &a, 7).await;
    server.stop().await;
}

#[tokio::test]
async fn a_probe_whose_client_leaves_is_followed_by_another() {
    let never = Gate::new();
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 1, base: 100ms").await;
    a.answer(refuses(500));
    assert_eq!(answerer(&server).await, "b");
    a.answer(Script::new().wait(&never));
    let probe = loop {
        let mut connection = server.connect().await;
        connection.send(&stream()).await;
        tokio::select! {
            _ = a.request(2) => break connection,
            answer = connection.answer() => assert_eq!(answer.status(), 200),
        }
    };
    assert_eq!(answerer(&server).await, "b", "others pass by");
    probe.reset();
    assert_eq!(until_asked(&server, &a, 3).await, "a");
    server.stop().await;
}

#[tokio::test]
async fn a_models_only_target_is_never_ejected() {
    let a = Upstream::start((0..6).map(|_| refuses(500))).await;
    let server = Server::start(&model(&[(&a, "")], &["ejection: {failures: 1}"])).await;
    for _ in 0..6 {
        assert_eq!(server.ask(&stream()).await.error(502)["code"], "upstream_error");
    }
    a.answer(says("a"));
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(a.requests().len(), 7);
    server.stop().await;
}

#[tokio::test]
async fn with_all_targets_ejected_the_first_to_return_is_tried() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 1, base: 1h, max: 1h").await;
    // The second one is ejected in the first request, after the first one.
    a.answer(refuses(500));
    b.answer(refuses(500));
    assert_eq!(server.ask(&stream()).await.status, 502);
    assert_eq!(asked(&[&a, &b]), [1, 1]);
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(answerers(&server, 2).await, "aa", "it is well again");
    server.stop().await;
}

#[tokio::test]
async fn with_all_targets_ejected_only_a_failure_is_a_503() {
    let [a, b] = targets().await;
    let server = preferring(&a, &b, "failures: 1, base: 1h, max: 1h").await;
    a.answer(refuses(500));
    b.answer(refuses(500));
    assert_eq!(server.ask(&stream()).await.status, 502);
    a.answer(refuses(500));
    let whole = server.ask(&stream()).await;
    assert_eq!(whole.error(503)["code"], "server_is_overloaded");
    let seconds: u64 = whole.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(asked(&[&a, &b]), [2, 1], "one try, and no storm");
    // A refusal of the request itself is an answer, and passed on.
    a.answer(refuses(400));
    assert_eq!(server.ask(&stream()).await.status, 400);
    assert_eq!(answerer(&server).await, "a", "and who refuses is well");
    server.stop().await;
}
