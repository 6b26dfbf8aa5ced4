//! `petstream serve`: the server.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use petstream::app::{self, AppError, Running};
use petstream::config::{Config, Sources, load};
use petstream::telemetry::{self, Flush};
use tokio::time::{Instant, timeout};

use super::signals::Signals;
use super::{Failure, said};

/// Files that the server needs beside its connections: the database's, listeners, the log.
const OWN_FILES: u64 = 64;
/// How long the end may take once a further signal asked for it: error frames have a second to reach their clients, and
/// usage records three to reach the database.
const LAST_STEPS: Duration = Duration::from_secs(10);

pub(super) fn serve(sources: &Sources) -> Result<(), Failure> {
    let mut loaded = load(sources).map_err(Failure::Configuration)?;
    let log = telemetry::init(loaded.config.log_format);
    if let Some(file) = &loaded.file {
        tracing::info!(file = %file.display(), "configuration read");
    }
    for warning in &loaded.warnings {
        tracing::warn!("configuration: {warning}");
    }
    let sockets = if loaded.config.models.is_empty() { 1 } else { 2 };
    loaded.config.limits.connections = raise_open_files(loaded.config.limits.connections, sockets);
    block(loaded.config).map_err(|problem| fault(problem, log))
}

/// Serves to the end.
fn block(config: Config) -> Result<(), String> {
    // Connections are served on threads of their own; this one accepts them and looks after everything else.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no threads for the server: {error}"))?;
    let served = runtime.block_on(run(config));
    // A look-up that still hangs in the system's resolver must not hold the process.
    runtime.shutdown_background();
    served.map_err(|error| error.to_string())
}

/// Says what went wrong by way of the log, if there is one: behind its lines, and without waiting for ever for somebody
/// who does not read.
fn fault(problem: String, log: Option<Flush>) -> Failure {
    let Some(log) = log else { return Failure::Fault(problem) };
    log.say(&said(&problem));
    Failure::Told
}

async fn run(config: Config) -> Result<(), AppError> {
    // Before anything can be asked of us, so that no signal is lost.
    let signals = Signals::catch();
    let page = config.page;
    let running = app::start(config).await?;
    tracing::info!("listening on http://{}", running.address);
    if let Some(secret) = &running.first_key {
        introduce(running.address, secret, page);
    }
    match signals {
        Ok(mut signals) => {
            let name = signals.next().await;
            wind_down(running, name, signals).await;
        }
        Err(error) => {
            tracing::warn!(%error, "signals can't be heard: only SIGKILL ends this server");
            running.stopped().await;
        }
    }
    Ok(())
}

/// Lets running requests end, within the drain; a further signal ends them at once, each with its error frame and its
/// record.
async fn wind_down(running: Running, name: &'static str, mut signals: Signals) {
    let first = Instant::now();
    tracing::info!(signal = name, "shutting down; a further signal, after more than a second, ends at once");
    running.stop();
    let shutdown = running.shutdown().clone();
    let mut stopped = pin!(running.stopped());
    let again = tokio::select! {
        () = &mut stopped => return tracing::info!("stopped"),
        again = signals.next_other(first) => again,
    };
    tracing::warn!(signal = again, "ending at once");
    shutdown.skip_drain.raise();
    match timeout(LAST_STEPS, stopped).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_elapsed) => tracing::error!("ended although something still runs"),
    }
}

/// Shows the first key, once, and what to do with it. On stdout: stderr is the log, and a secret is not for logs.
fn introduce(address: SocketAddr, secret: &str, page: bool) {
    let host = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::from([127, 0, 0, 1]), address.port()),
        _ => address,
    };
    // A closed stdout is nobody's fault here; the key can be replaced with `petstream keys create`.
    let _ = write!(
        std::io::stdout(),
        "\nA first API key was made, since there was none. It is shown only now:\n\n  {secret}\n\nTry it:\n\n  curl -N \
         http://{host}/v1/chat/completions -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' -d \
         '{{\"model\":\"petstore-ai\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"List available \
         pets\"}}]}}'\n\n"
    );
    if page {
        let _ = write!(std::io::stdout(), "Or open http://{host}/ in a browser, and sign in with it.\n\n");
    }
    let _ = std::io::stdout().flush();
}

/// Raises the limit of open files to what so many connections take; gives how many there is room for. A proxied stream
/// takes two sockets, one on either side.
fn raise_open_files(connections: usize, sockets: u64) -> usize {
    let wanted = (connections as u64).saturating_mul(sockets).saturating_add(OWN_FILES);
    let got = rlimit::increase_nofile_limit(wanted).unwrap_or(0);
    if got >= wanted {
        return connections;
    }
    let room = usize::try_from(got.saturating_sub(OWN_FILES) / sockets).unwrap_or(usize::MAX).max(1);
    tracing::warn!(
        open_files = got,
        "at most {room} connections at once, and not {connections}: raise the limit of open files (ulimit -n)"
    );
    room
}
