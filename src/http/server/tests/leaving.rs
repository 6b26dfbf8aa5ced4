//! Clients that end their side of a connection, with bytes behind their request and without.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::connect_with;
use super::*;
use crate::time::TaskTimer;

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Answers when it is told to, and counts how often it was looked at.
fn waits()
-> (impl FnMut(Request<RequestBody>) -> Answer + Unpin + Send + 'static, oneshot::Sender<()>, Arc<AtomicUsize>) {
    let (tell, told) = oneshot::channel::<()>();
    let (mut told, looks) = (Some(told), Arc::<AtomicUsize>::default());
    let looked = Arc::clone(&looks);
    let service = move |_| -> Answer {
        let (mut told, looked) = (told.take(), Arc::clone(&looked));
        Box::pin(std::future::poll_fn(move |cx| {
            looked.fetch_add(1, Ordering::Relaxed);
            let Some(told) = &mut told else { return Poll::Ready(Ok(Response::new(Body::from("<next>")))) };
            Pin::new(told).poll(cx).map(|_| Ok(Response::new(Body::from("<over>"))))
        }))
    };
    (service, tell, looks)
}

#[tokio::test]
async fn a_half_closed_client_gets_all_its_answers_and_costs_nothing_while_it_waits() {
    for behind in ["", "\r\n\r\n", GET] {
        let (service, tell, looks) = waits();
        let mut client = connect_with(TERMS, false, TaskTimer::default(), service).await;
        client.send(&format!("{GET}{behind}")).await;
        client.tcp.shutdown().await.unwrap();
        while looks.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // A task that woke itself would be polled at each of these.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        let looks = looks.load(Ordering::Relaxed);
        assert!(looks < 10, "{looks} looks");
        tell.send(()).unwrap();
        assert!(client.until(">").await.ends_with("<over>"));
        if behind == GET {
            assert!(client.until(">").await.ends_with("<next>"));
        }
        assert_eq!(client.rest().await, "");
        client.served.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_behind_any_number_of_bytes() {
    for behind in [String::new(), "\r\n".into(), GET.into(), GET.repeat(2_000), "x".repeat(1 << 20)] {
        let (service, _tell, _) = waits();
        let mut client = connect_with(TERMS, true, TaskTimer::default(), service).await;
        client.send(&format!("{GET}{behind}")).await;
        client.tcp.shutdown().await.unwrap();
        assert!(client.served.await.unwrap().is_err(), "{} bytes behind", behind.len());
    }
}

#[tokio::test]
async fn what_a_client_sends_ahead_of_time_waits_in_the_kernel_beyond_a_bound_and_is_answered_all_the_same() {
    let count = 10_000;
    let (service, tell, _) = waits();
    let mut client = connect_with(TERMS, false, TaskTimer::default(), service).await;
    let (mut reader, mut writer) = client.tcp.split();
    let all = GET.repeat(count);
    let sending = async {
        writer.write_all(all.as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut text = String::new();
    tell.send(()).unwrap();
    tokio::join!(sending, async { tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut text).await.unwrap() });
    assert_eq!((text.matches("<over>").count(), text.matches("<next>").count()), (1, count - 1));
}

#[tokio::test]
async fn more_than_is_kept_behind_a_long_answer_is_thrown_away_and_the_connection_closed_behind_it() {
    let (service, tell, looks) = waits();
    let mut client = connect_with(TERMS, true, TaskTimer::default(), service).await;
    client.send(&format!("{GET}{}", GET.repeat(2_000))).await;
    while looks.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // More than the sockets' buffers hold: it has gone only when it was read.
    client.send(&"x".repeat(8 << 20)).await;
    tell.send(()).unwrap();
    let answer = client.until(">").await;
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("<over>"), "{answer}");
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
}
