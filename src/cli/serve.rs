//! `petstream serve`: runs the server until a signal ends it.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use petstream::app::{self, AppError, InheritedSockets, ListenerAddress, Reloader, Running};
use petstream::config::{Loaded, Sources, load};
use petstream::telemetry::{self, Flush};
use sd_notify::NotifyState;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::failure::{Failure, message};
use super::signals::{HUP, Signals};
use super::systemd;

/// File descriptors that the server needs beside its connections: database, listeners, log.
const RESERVED_FILES: u64 = 64;
/// How long the server may take to end after a second signal: error frames have a second to reach their clients, usage
/// records three to reach the database.
const END_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn serve(sources: &Sources) -> Result<(), Failure> {
    // First: it changes the environment, which no other thread may read meanwhile.
    let inherited = InheritedSockets::from_environment();
    let mut loaded = load(sources).map_err(Failure::Configuration)?;
    let log = telemetry::init(loaded.config.log_format);
    if let Some(file) = &loaded.file {
        tracing::info!(file = %file.display(), "configuration read");
    }
    for warning in &loaded.warnings {
        tracing::warn!("configuration: {warning}");
    }
    let sockets = if loaded.config.models.is_empty() { 1 } else { 2 };
    let max_connections = raise_open_files(loaded.config.limits.connections, sockets);
    loaded.config.print_key |= io::stdout().is_terminal();
    serve_until_stopped(loaded, sources, max_connections, inherited).map_err(|problem| report(problem, log))
}

fn serve_until_stopped(
    loaded: Loaded,
    sources: &Sources,
    max_connections: usize,
    inherited: InheritedSockets,
) -> Result<(), String> {
    // Connections are served by worker threads; this one accepts them and runs the background tasks.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no threads for the server: {error}"))?;
    let served = runtime.block_on(run(loaded, sources.clone(), max_connections, inherited));
    // A name lookup that still blocks in the system's resolver must not hold the process.
    runtime.shutdown_background();
    served.map_err(|error| error.to_string())
}

/// Reports a failure through the log, if there is one: after its lines, and without waiting for a reader of stderr that
/// has stopped.
fn report(problem: String, log: Option<Flush>) -> Failure {
    let Some(log) = log else { return Failure::Fault(problem) };
    log.write_line(&message(&problem));
    Failure::Reported
}

async fn run(
    loaded: Loaded,
    sources: Sources,
    max_connections: usize,
    inherited: InheritedSockets,
) -> Result<(), AppError> {
    // Before the server accepts connections, so that no signal is lost.
    let signals = Signals::catch();
    let page = loaded.config.page;
    let running = app::start_loaded(loaded, sources, max_connections, inherited).await?;
    for address in &running.addresses {
        tracing::info!("listening on {address}");
    }
    if let Some(secret) = &running.first_key
        && let Err(error) = print_first_key(&running.addresses, secret, page)
    {
        tracing::error!(%error, "the first API key can't be printed; `petstream keys create` makes another one");
    }
    systemd::notify(&[NotifyState::Ready]);
    match signals {
        Ok(mut signals) => {
            let name = serve_until_signal(&mut signals, running.reloader()).await;
            shut_down(running, name, signals).await;
        }
        Err(error) => {
            tracing::warn!(%error, "signals can't be handled: only SIGKILL ends this server");
            running.stopped().await;
        }
    }
    Ok(())
}

/// Reloads at each HUP, until a signal that ends the server; returns its name. Those that arrive during a reload are
/// one: they ask for the same.
async fn serve_until_signal(signals: &mut Signals, reloader: &Reloader) -> &'static str {
    let asked = Notify::new();
    let reloads = async {
        loop {
            asked.notified().await;
            systemd::notify_reloading();
            reloader.reload("SIGHUP").await;
            systemd::notify(&[NotifyState::Ready]);
        }
    };
    let ended = async {
        loop {
            match signals.next().await {
                HUP => asked.notify_one(),
                name => break name,
            }
        }
    };
    tokio::select! {
        name = ended => name,
        // Never ends.
        () = reloads => HUP,
    }
}

/// Drains running requests; a second signal ends them at once, each with its error frame and its usage record.
async fn shut_down(running: Running, name: &'static str, mut signals: Signals) {
    let first = Instant::now();
    tracing::info!(signal = name, "shutting down; a further signal, after more than a second, ends at once");
    systemd::notify(&[NotifyState::Stopping]);
    running.stop();
    let shutdown = running.shutdown().clone();
    let mut stopped = pin!(running.stopped());
    let again = tokio::select! {
        () = &mut stopped => return tracing::info!("stopped"),
        again = signals.next_after(first) => again,
    };
    tracing::warn!(signal = again, "ending at once");
    shutdown.skip_drain.raise();
    match timeout(END_TIMEOUT, stopped).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_elapsed) => tracing::error!("ended although something still runs"),
    }
}

/// Prints the first key and how to use it. On stdout: stderr is the log, which must not contain secrets.
fn print_first_key(addresses: &[ListenerAddress], secret: &str, page: bool) -> io::Result<()> {
    let (curl, url) = addresses.first().map_or_else(Default::default, reachable);
    let mut stdout = io::stdout().lock();
    write!(
        stdout,
        "\nA first API key was made, since there was none. It is shown only now:\n\n  {secret}\n\nTry it:\n\n  curl -N \
         {curl}/v1/chat/completions -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' -d \
         '{{\"model\":\"petstore-ai\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"List available \
         pets\"}}]}}'\n\n"
    )?;
    if page && !url.is_empty() {
        write!(stdout, "Or open {url}/ in a browser, and sign in with it.\n\n")?;
    }
    stdout.flush()
}

/// The arguments of curl that reach a listener from this machine, and its URL for a browser; that is empty where there
/// is none.
fn reachable(address: &ListenerAddress) -> (String, String) {
    let ListenerAddress::Tcp { address, tls } = address else {
        let path = address.to_string();
        return (format!("--unix-socket {} http://localhost", path.trim_start_matches("unix:")), String::new());
    };
    let host = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::from([127, 0, 0, 1]), address.port()),
        _ => *address,
    };
    let url = format!("{}://{host}", if *tls { "https" } else { "http" });
    (url.clone(), url)
}

/// Raises the limit of open files to what `connections` need (a proxied stream takes a socket to the client and one to
/// the upstream, which a reload may add); returns the number of connections that are possible at so many sockets each.
fn raise_open_files(connections: usize, sockets: u64) -> usize {
    let needed = |sockets| (connections as u64).saturating_mul(sockets).saturating_add(RESERVED_FILES);
    let got = rlimit::increase_nofile_limit(needed(2)).unwrap_or(0);
    let wanted = needed(sockets);
    if got >= wanted {
        return connections;
    }
    let room = usize::try_from(got.saturating_sub(RESERVED_FILES) / sockets).unwrap_or(usize::MAX).max(1);
    tracing::warn!(
        open_files = got,
        "at most {room} connections at once, and not {connections}: raise the limit of open files (ulimit -n)"
    );
    room
}
