//! The timer that a connection shares with its service.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use http::Response;
use tokio::time::Instant;

use super::client::{OPTIONS, ServiceFuture, connect_with};
use crate::http::server::ConnectionOptions;
use crate::time::{TaskTimer, timeout_at};

#[tokio::test]
async fn a_service_is_polled_when_its_timeouts_on_the_shared_timer_expire() {
    let ms = Duration::from_millis;
    // Also if the timer expires before, for the head of the request.
    for (first_head, longest) in [(OPTIONS.first_head, ms(30)), (ms(500), ms(600))] {
        let timer = TaskTimer::default();
        let connection_timer = timer.clone();
        let service = move |_| -> ServiceFuture {
            let timer = timer.clone();
            Box::pin(async move {
                for time in [ms(1), longest, ms(2)] {
                    let never = pin!(std::future::pending::<()>());
                    assert_eq!(timeout_at(&timer, Instant::now() + time, never).await, None);
                }
                Ok(Response::new(Body::from("<over>")))
            })
        };
        let options = ConnectionOptions { first_head, ..OPTIONS };
        let mut client = connect_with(options, false, connection_timer, service).await;
        client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(client.until(">").await.ends_with("<over>"));
    }
}
