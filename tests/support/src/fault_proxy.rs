//! A TCP proxy in front of one server, whose fault can be changed at run time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::bound_socket::{ANY_PORT, bound_socket};
use crate::http::find;
use crate::soon;

/// What the proxy does. It applies to open and to new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fault {
    /// Nothing: everything is forwarded.
    #[default]
    None,
    /// New connections are refused, as on a port without a listener. Open ones go on.
    Refuse,
    /// Nothing is forwarded; connections stay open. What was sent is forwarded afterwards.
    Stall,
    /// Nothing is forwarded in this direction.
    StallTo(Side),
    /// Each piece is forwarded after this time, in both directions.
    Delay(Duration),
    /// A connection is reset after so many further bytes in this direction.
    CutAfter(Side, usize),
    /// The first connection whose client sends these bytes is reset instead of forwarding them. Ends the fault.
    LoseRequest(&'static [u8]),
    /// As [`Fault::LoseRequest`], but they are forwarded, and the connection is reset when the server answers.
    LoseAnswer(&'static [u8]),
}

/// A side of the proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    Server,
    Client,
}

/// A running proxy. Dropping it closes its connections.
pub struct FaultProxy {
    pub address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
    /// Keeps the port while connections are refused.
    _port: TcpSocket,
}

struct State {
    fault: watch::Sender<Fault>,
    server: watch::Sender<SocketAddr>,
    /// Whether new connections are accepted.
    listens: watch::Sender<bool>,
    /// The number of commands to reset all connections.
    resets: watch::Sender<usize>,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// The reason why a connection is reset.
struct Cut;

impl From<io::Error> for Cut {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl FaultProxy {
    /// Starts one in front of `server`.
    pub async fn start(server: SocketAddr) -> Self {
        let port = bound_socket(ANY_PORT);
        let address = port.local_addr().unwrap();
        let state = Arc::new(State {
            fault: watch::Sender::new(Fault::None),
            server: watch::Sender::new(server),
            listens: watch::Sender::new(false),
            resets: watch::Sender::new(0),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(address, Arc::clone(&state)));
        let proxy = Self { address, state, accepting, _port: port };
        proxy.set(Fault::None).await;
        proxy
    }

    /// Changes the fault. Returns when new connections are refused or accepted accordingly.
    pub async fn set(&self, fault: Fault) {
        self.state.fault.send_replace(fault);
        let mut listens = self.state.listens.subscribe();
        soon("the proxy to follow", listens.wait_for(|listens| *listens == (fault != Fault::Refuse))).await.unwrap();
    }

    /// The current fault: [`Fault::None`] after one that ends by itself.
    pub fn fault(&self) -> Fault {
        *self.state.fault.borrow()
    }

    /// Waits until a fault has ended by itself.
    pub async fn fault_is_over(&self) {
        soon("the fault to occur", self.state.fault.subscribe().wait_for(|fault| *fault == Fault::None)).await.unwrap();
    }

    /// Sends later connections to another server.
    pub fn redirect(&self, server: SocketAddr) {
        self.state.server.send_replace(server);
    }

    /// Resets all open connections.
    pub fn reset(&self) {
        self.state.resets.send_modify(|resets| *resets += 1);
    }

    /// The number of connections that were accepted.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// The number of connections that are open.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections, except while they are refused.
async fn accept(address: SocketAddr, state: Arc<State>) {
    let mut fault = state.fault.subscribe();
    // Aborted when this task is.
    let mut connections = JoinSet::new();
    let refuses = |fault: &Fault| *fault == Fault::Refuse;
    loop {
        let listener: TcpListener = bound_socket(address).listen(1_024).unwrap();
        state.listens.send_replace(true);
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((client, _)) = accepted else { continue };
                    state.accepted.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connection(client, Arc::clone(&state)));
                }
                Some(_) = connections.join_next() => {}
                Ok(_) = fault.wait_for(refuses) => break,
            }
        }
        drop(listener);
        state.listens.send_replace(false);
        if fault.wait_for(|fault| !refuses(fault)).await.is_err() {
            return;
        }
    }
}

/// Serves one connection to its end.
async fn connection(mut client: TcpStream, state: Arc<State>) {
    let address = *state.server.borrow();
    let Ok(mut server) = TcpStream::connect(address).await else { return };
    // Without a listener, the kernel may assign the target port to this socket, which then connects to itself.
    if server.local_addr().is_ok_and(|own| own == address) {
        return;
    }
    state.open.fetch_add(1, Ordering::Relaxed);
    let mut resets = state.resets.subscribe();
    let ended = tokio::select! {
        ended = forward(&mut client, &mut server, &state) => ended.is_ok(),
        _ = resets.changed() => false,
    };
    if !ended {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
    state.open.fetch_sub(1, Ordering::Relaxed);
}

/// Forwards both directions to their ends.
async fn forward(client: &mut TcpStream, server: &mut TcpStream, state: &State) -> Result<(), Cut> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // Whether the next bytes of the server are an answer to lose.
    let lose = AtomicBool::new(false);
    tokio::try_join!(
        Pump { to: Side::Server, state, lose: &lose }.run(from_client, to_server),
        Pump { to: Side::Client, state, lose: &lose }.run(from_server, to_client),
    )?;
    Ok(())
}

/// One direction of a connection.
struct Pump<'a> {
    to: Side,
    state: &'a State,
    lose: &'a AtomicBool,
}

impl Pump<'_> {
    async fn run(self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Cut> {
        let mut fault = self.state.fault.subscribe();
        let mut buffer = vec![0; 16 * 1_024];
        // Bytes since the fault was set.
        let (mut since, mut count) = (Fault::None, 0);
        loop {
            self.passes(&mut fault).await?;
            let read = from.read(&mut buffer).await?;
            let mut piece = &buffer[..read];
            let now = self.passes(&mut fault).await?;
            if piece.is_empty() {
                to.shutdown().await?;
                return Ok(());
            }
            if self.to == Side::Client && self.lose.load(Ordering::Relaxed) {
                self.state.fault.send_replace(Fault::None);
                return Err(Cut);
            }
            if now != since {
                (since, count) = (now, 0);
            }
            match now {
                Fault::Delay(time) => tokio::time::sleep(time).await,
                Fault::CutAfter(side, most) if side == self.to => {
                    piece = &piece[..piece.len().min(most - count)];
                    count += piece.len();
                }
                Fault::LoseRequest(bytes) if self.to == Side::Server && find(piece, bytes).is_some() => {
                    self.state.fault.send_replace(Fault::None);
                    return Err(Cut);
                }
                Fault::LoseAnswer(bytes) if self.to == Side::Server && find(piece, bytes).is_some() => {
                    self.lose.store(true, Ordering::Relaxed);
                }
                _ => {}
            }
            to.write_all(piece).await?;
            if matches!(now, Fault::CutAfter(side, most) if side == self.to && count == most) {
                return Err(Cut);
            }
        }
    }

    /// Waits until nothing stalls this direction; returns the fault.
    async fn passes(&self, fault: &mut watch::Receiver<Fault>) -> Result<Fault, Cut> {
        let passes = |fault: &Fault| *fault != Fault::Stall && *fault != Fault::StallTo(self.to);
        fault.wait_for(passes).await.map(|fault| *fault).map_err(|_closed| Cut)
    }
}
