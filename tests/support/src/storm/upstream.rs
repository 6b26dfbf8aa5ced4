//! An upstream that takes its orders from the requests themselves, writes down what it attempt, and can go away and come
//! back on the same port.

mod connection;
mod content;
mod player;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::storm::attempts::{AttemptId, AttemptLog};
use connection::Connection;

/// Longest queue of connections that nobody has accepted yet.
const BACKLOG: u32 = 1024;

/// One upstream.
pub struct Upstream {
    /// Where it listens, while it does.
    pub address: SocketAddr,
    /// Keeps the port while nobody listens: connections are refused meanwhile, and nobody else can get it.
    _place: TcpSocket,
    attempt_log: Arc<AttemptLog>,
    /// Moves when all connections are to be torn.
    storm: watch::Sender<u64>,
    accepting: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Begins to listen.
    pub async fn start(attempt_log: &Arc<AttemptLog>) -> Self {
        let place = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = place.local_addr().unwrap();
        let storm = watch::Sender::new(0);
        let mut upstream =
            Self { address, _place: place, attempt_log: Arc::clone(attempt_log), storm, accepting: None };
        upstream.come_back();
        upstream
    }

    /// Listens no longer; with `tearing`, resets every connection too, as when its machine dies.
    pub async fn go_away(&mut self, tearing: bool) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Until then the port may be listening still.
            let _ = accepting.await;
        }
        if tearing {
            self.storm.send_modify(|storms| *storms += 1);
        }
    }

    /// Listens again.
    pub fn come_back(&mut self) {
        let listener = socket(self.address).listen(BACKLOG).unwrap();
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

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn accept(listener: TcpListener, attempt_log: Arc<AttemptLog>, storm: watch::Sender<u64>) {
    let place = listener.local_addr().unwrap().to_string();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio::spawn(attend(tcp, place.clone(), Arc::clone(&attempt_log), storm.subscribe()));
    }
}

/// One connection to its end, whatever that is.
async fn attend(tcp: TcpStream, place: String, attempt_log: Arc<AttemptLog>, mut storm: watch::Receiver<u64>) {
    tcp.set_nodelay(true).unwrap();
    // std Mutex: never held across .await
    let last: Mutex<Option<AttemptId>> = Mutex::default();
    let attempt_id = || *last.lock().unwrap_or_else(PoisonError::into_inner);
    let mut line = Connection::new(tcp);
    tokio::select! {
        () = serve(&mut line, &place, &attempt_log, &last) => {}
        _ = storm.changed() => {
            // Written down first: from the reset on, all that was not read is lost, of an answer that is over too.
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

/// Answers requests until somebody closes.
async fn serve(line: &mut Connection, place: &str, attempt_log: &AttemptLog, last: &Mutex<Option<AttemptId>>) {
    while let Some(request) = line.request().await {
        if line.is_deserted() {
            // Given up before it was read: the next attempt may have been written down already.
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

/// Makes the close that follows a reset.
fn reset(tcp: &TcpStream) {
    SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}
