//! The timer that a connection shares with its service.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use http::Response;
use tokio::time::Instant;

use super::client::{Answer, TERMS, connect_with};
use crate::http::server::ConnectionOptions;
use crate::time::{TaskTimer, timeout_at};

#[tokio::test]
async fn a_service_is_polled_when_its_timeouts_on_the_connections_timer_are_up() {
    let ms = Duration::from_millis;
    // Also when the timer expires earlier, for the head of the request.
    for (first_head, longest) in [(TERMS.first_head, ms(30)), (ms(500), ms(600))] {
        let timer = TaskTimer::default();
        let of_connection = timer.clone();
        let service = move |_| -> Answer {
            let timer = timer.clone();
            Box::pin(async move {
                for time in [ms(1), longest, ms(2)] {
                    let never = pin!(std::future::pending::<()>());
                    assert_eq!(timeout_at(&timer, Instant::now() + time, never).await, None);
                }
                Ok(Response::new(Body::from("<over>")))
            })
        };
        let options = ConnectionOptions { first_head, ..TERMS };
        let mut client = connect_with(options, false, of_connection, service).await;
        client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(client.until(">").await.ends_with("<over>"));
    }
}
