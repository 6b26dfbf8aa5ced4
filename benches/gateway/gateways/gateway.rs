//! A running gateway, and what it takes to start one.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tempfile::TempDir;

use crate::event_api::EventApi;
use crate::procfs::{self, ProcessorTime};
use crate::result::Result;
use crate::tls::{self, Certificate};

/// Longest time until a gateway listens, and until it is idle.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval of the samples by which an idle gateway is detected.
const IDLE_INTERVAL: Duration = Duration::from_millis(200);

/// A running gateway. Dropping it stops the process and removes its folder.
pub(crate) struct Gateway {
    pub(crate) address: String,
    /// From the start of the program to its first answer; zero where there is no gateway.
    pub(crate) ready: Duration,
    /// The certificate, as PEM, where clients speak TLS with it.
    pub(crate) certificate: Option<String>,
    /// How live events are read and published, where the gateway serves them.
    pub(crate) event_api: Option<EventApi>,
    /// Further servers on the same state.
    pub(super) replicas: Vec<Self>,
    /// None where clients connect to the upstream.
    pub(super) child: Option<Child>,
    /// The command that stops the gateway, where killing `child` would leave its workers behind.
    pub(super) stop: Option<Command>,
    pub(super) folder: TempDir,
}

impl Gateway {
    /// Stands for no gateway: its address is that of the upstream.
    pub(super) fn none(upstream: &str, folder: TempDir) -> Self {
        let (address, ready) = (upstream.to_owned(), Duration::ZERO);
        let (replicas, child) = (Vec::new(), None);
        Self { address, ready, certificate: None, event_api: None, replicas, child, stop: None, folder }
    }

    pub(super) fn started(address: String, certificate: Option<&Certificate>, folder: TempDir, child: Child) -> Self {
        let certificate = certificate.map(|certificate| certificate.pem.clone());
        let (ready, child) = (Duration::ZERO, Some(child));
        Self { address, ready, certificate, event_api: None, replicas: Vec::new(), child, stop: None, folder }
    }

    /// Waits until it answers. The error has the log.
    pub(super) fn when_ready(mut self, began: Instant) -> Result<Self> {
        self.ready = self.await_answer(began).map_err(|failure| format!("{failure}\n{}", self.log()))?;
        Ok(self)
    }

    /// Waits until it answers; returns the time since `began`.
    fn await_answer(&mut self, began: Instant) -> Result<Duration> {
        let tls = self.certificate.as_deref().map(tls::client_config).transpose()?;
        while let Err(failure) = answers(&self.address, tls.as_ref()) {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()).transpose()? {
                return Err(format!("it ended: {status}").into());
            }
            if began.elapsed() > START_TIMEOUT {
                return Err(format!("it does not answer: {failure}").into());
            }
            sleep(Duration::from_millis(1));
        }
        Ok(began.elapsed())
    }

    /// The addresses of all servers.
    pub(crate) fn addresses(&self) -> Vec<String> {
        std::iter::once(self).chain(&self.replicas).map(|server| server.address.clone()).collect()
    }

    /// The process ids of all servers and their descendants; empty where there is no gateway.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let servers = std::iter::once(self).chain(&self.replicas);
        servers.filter_map(|server| server.child.as_ref()).flat_map(|child| procfs::process_tree(child.id())).collect()
    }

    /// Waits until the gateway uses next to no processor time, so that work of its start is not measured.
    pub(super) fn await_idle(&self) -> Result<()> {
        let (began, processes) = (Instant::now(), self.processes());
        let mut before = ProcessorTime::of(&processes);
        while began.elapsed() < START_TIMEOUT {
            sleep(IDLE_INTERVAL);
            let now = ProcessorTime::of(&processes);
            if now.since(before) < IDLE_INTERVAL / 100 {
                return Ok(());
            }
            before = now;
        }
        Err("it does not become idle".into())
    }

    /// The first lines of the log that are not informational, to show with a failure.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        let lines = log.lines().filter(|line| !line.contains("\"INFO\""));
        lines.take(20).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(stop) = &mut self.stop {
            let _ = stop.status();
        } else if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }
}

/// The name of the log in the gateway's folder.
pub(super) const LOG: &str = "log";

/// Starts `command` in `folder` with an empty environment except for PATH; stderr goes to the log.
pub(super) fn spawn(command: &mut Command, folder: &TempDir) -> Result<Child> {
    let log = File::create(folder.path().join(LOG))?;
    command.current_dir(folder.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?)
}

/// A free address of loopback.
pub(super) fn free_address() -> Result<String> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string())
}

/// Whether `address` answers a request, with whatever status.
fn answers(address: &str, tls: Option<&Arc<ClientConfig>>) -> Result<()> {
    let tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(START_TIMEOUT))?;
    match tls {
        None => ask(tcp, address),
        Some(config) => {
            let session = ClientConnection::new(Arc::clone(config), tls::server_name()?)?;
            ask(StreamOwned::new(session, tcp), address)
        }
    }
}

fn ask(mut server: impl Read + Write, address: &str) -> Result<()> {
    write!(server, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    if server.read(&mut [0; 64])? == 0 { Err("no answer".into()) } else { Ok(()) }
}
