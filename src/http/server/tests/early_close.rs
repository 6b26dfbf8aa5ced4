//! Clients that close their side of the connection, with and without bytes behind the request.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::connect_with;
use super::*;
use crate::time::TaskTimer;

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A service whose first response waits for the sender. Its polls are counted.
fn waiting_service()
-> (impl FnMut(Request<RequestBody>) -> ServiceFuture + Unpin + Send + 'static, oneshot::Sender<()>, Arc<AtomicUsize>) {
    let (respond, awaited) = oneshot::channel::<()>();
    let (mut awaited, polls) = (Some(awaited), Arc::<AtomicUsize>::default());
    let counter = Arc::clone(&polls);
    let service = move |_| -> ServiceFuture {
        let (mut awaited, counter) = (awaited.take(), Arc::clone(&counter));
        Box::pin(std::future::poll_fn(move |cx| {
            counter.fetch_add(1, Ordering::Relaxed);
            let Some(awaited) = &mut awaited else { return Poll::Ready(Ok(Response::new(Body::from("<next>")))) };
            Pin::new(awaited).poll(cx).map(|_| Ok(Response::new(Body::from("<over>"))))
        }))
    };
    (service, respond, polls)
}

#[tokio::test]
async fn a_half_closed_client_gets_all_its_responses_and_causes_no_polls_while_it_waits() {
    for behind in ["", "\r\n\r\n", GET] {
        let (service, respond, polls) = waiting_service();
        let mut client = connect_with(OPTIONS, false, TaskTimer::default(), service).await;
        client.send(&format!("{GET}{behind}")).await;
        client.tcp.shutdown().await.unwrap();
        while polls.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // A task that wakes itself would be polled at each of these.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        let polls = polls.load(Ordering::Relaxed);
        assert!(polls < 10, "{polls} polls");
        respond.send(()).unwrap();
        assert!(client.until(">").await.ends_with("<over>"));
        if behind == GET {
            assert!(client.until(">").await.ends_with("<next>"));
        }
        assert_eq!(client.rest().await, "");
        client.served.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_detected_behind_any_number_of_bytes() {
    for behind in [String::new(), "\r\n".into(), GET.into(), GET.repeat(2_000), "x".repeat(1 << 20)] {
        let (service, _respond, _) = waiting_service();
        let mut client = connect_with(OPTIONS, true, TaskTimer::default(), service).await;
        client.send(&format!("{GET}{behind}")).await;
        client.tcp.shutdown().await.unwrap();
        assert!(client.served.await.unwrap().is_err(), "{} bytes behind", behind.len());
    }
}

#[tokio::test]
async fn pipelined_requests_beyond_the_read_ahead_limit_wait_in_the_kernel_and_are_served() {
    let count = 10_000;
    let (service, respond, _) = waiting_service();
    let mut client = connect_with(OPTIONS, false, TaskTimer::default(), service).await;
    let (mut reader, mut writer) = client.tcp.split();
    let all = GET.repeat(count);
    let sending = async {
        writer.write_all(all.as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut text = String::new();
    respond.send(()).unwrap();
    tokio::join!(sending, async { tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut text).await.unwrap() });
    assert_eq!((text.matches("<over>").count(), text.matches("<next>").count()), (1, count - 1));
}

#[tokio::test]
async fn bytes_beyond_the_read_ahead_limit_are_discarded_if_the_response_ends_with_the_client() {
    let (service, respond, polls) = waiting_service();
    let mut client = connect_with(OPTIONS, true, TaskTimer::default(), service).await;
    client.send(&format!("{GET}{}", GET.repeat(2_000))).await;
    while polls.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // More than the buffers of the sockets hold: the client can send it only if the server reads it.
    client.send(&"x".repeat(8 << 20)).await;
    respond.send(()).unwrap();
    let response = client.until(">").await;
    assert!(response.contains("connection: close\r\n") && response.ends_with("<over>"), "{response}");
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
}
