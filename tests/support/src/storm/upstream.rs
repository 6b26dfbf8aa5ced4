//! An upstream that plays the plan in each request, records its attempts, and can stop and resume listening on its
//! port.

mod connection;
mod content;
mod player;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bound_socket::{ANY_PORT, bound_socket};
use crate::storm::attempts::{AttemptId, AttemptLog};
use connection::Connection;

/// Length of the accept queue.
const BACKLOG: u32 = 1024;

/// An upstream.
pub struct Upstream {
    /// Its address, whether it listens or not.
    pub address: SocketAddr,
    /// Bound to the port without listening: connections are refused while it is away, and no other process gets the
    /// port.
    _place: TcpSocket,
    attempt_log: Arc<AttemptLog>,
    /// Changes when all connections are to be reset.
    storm: watch::Sender<u64>,
    accepting: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Begins to listen.
    pub async fn start(attempt_log: &Arc<AttemptLog>) -> Self {
        let place = bound_socket(ANY_PORT);
        let address = place.local_addr().unwrap();
        let storm = watch::Sender::new(0);
        let mut upstream =
            Self { address, _place: place, attempt_log: Arc::clone(attempt_log), storm, accepting: None };
        upstream.come_back();
        upstream
    }

    /// Stops to listen; with `tearing`, resets every connection too, as a crash would.
    pub async fn go_away(&mut self, tearing: bool) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The listener is closed once the task has ended.
            let _ = accepting.await;
        }
        if tearing {
            self.storm.send_modify(|storms| *storms += 1);
        }
    }

    /// Listens again.
    pub fn come_back(&mut self) {
        let listener = bound_socket(self.address).listen(BACKLOG).unwrap();
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.attempt_log), self.storm.clone())));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, attempt_log: Arc<AttemptLog>, storm: watch::Sender<u64>) {
    let place = listener.local_addr().unwrap().to_string();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio::spawn(attend(tcp, place.clone(), Arc::clone(&attempt_log), storm.subscribe()));
    }
}

/// Serves one connection to its end.
async fn attend(tcp: TcpStream, place: String, attempt_log: Arc<AttemptLog>, mut storm: watch::Receiver<u64>) {
    tcp.set_nodelay(true).unwrap();
    // std Mutex: never held across .await
    let last: Mutex<Option<AttemptId>> = Mutex::default();
    let attempt_id = || *last.lock().unwrap_or_else(PoisonError::into_inner);
    let mut line = Connection::new(tcp);
    tokio::select! {
        () = serve(&mut line, &place, &attempt_log, &last) => {}
        _ = storm.changed() => {
            // Recorded before the reset, which discards unread bytes, even those of a complete answer.
            if let Some(attempt_id) = attempt_id() {
                attempt_log.note(attempt_id, |attempt| attempt.disturbed = true);
            }
            reset(&line.tcp);
        }
    }
    drop(line);
    if let Some(attempt_id) = attempt_id() {
        attempt_log.note(attempt_id, |attempt| attempt.over = true);
    }
}

/// Answers requests until one side closes.
async fn serve(line: &mut Connection, place: &str, attempt_log: &AttemptLog, last: &Mutex<Option<AttemptId>>) {
    while let Some(request) = line.request().await {
        if line.is_closed_by_client() {
            // Abandoned before it was read: the next attempt may be recorded already.
            return;
        }
        let (attempt_id, script) = attempt_log.begin(request.id, place, &request.scripts);
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt_id);
        let kept = player::answer(line, attempt_log, attempt_id, &script, &request).await;
        if kept.is_none() {
            return;
        }
        attempt_log.note(attempt_id, |attempt| attempt.over = true);
    }
}

/// Turns the close that follows into a reset.
fn reset(tcp: &TcpStream) {
    SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}
