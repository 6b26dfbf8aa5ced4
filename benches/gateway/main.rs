//! What it costs to stand between clients and an upstream: petstream with everything on, nginx as a plain relay, and
//! nothing at all, one after the other under the same load; and the same for live events, beside nchan.
//!
//! Three processes share the machine: the upstream ([`stub`]), what is measured ([`gateways`]), and the clients
//! ([`load`], [`listeners`]), which check each stream that they read. This program is also those two itself, started
//! anew with another first argument, so that what they use is not counted as anybody else's. See [`options`] for what
//! can be chosen, and [`report`] for what comes out.

mod chat;
mod clock;
mod events;
mod gateways;
mod http;
mod listeners;
mod load;
mod machine;
mod options;
mod procfs;
mod report;
mod run;
mod samples;
mod stub;
mod table;
mod transcript;
mod workload;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use serde::de::DeserializeOwned;

/// Whatever went wrong, in words for the one who runs this.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
/// What came of something that can go wrong.
pub(crate) type Done<T> = Result<T, Failure>;

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some(stub::ROLE) => stub::run(),
        Some(load::ROLE) => load::run(),
        Some(listeners::ROLE) => listeners::run(),
        _ => run::run(&options::Options::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// One thread for everything: the machine's cores are for what is measured.
pub(crate) fn runtime() -> Done<tokio::runtime::Runtime> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Writes a line to stdout, at once.
pub(crate) fn say(line: &str) -> Done<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Reads the plan: the first line of stdin.
pub(crate) fn plan<T: DeserializeOwned>() -> Done<T> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Says that what is to be measured can begin, and waits until it may.
pub(crate) fn ready() -> Done<()> {
    say("ready")?;
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line)? {
        0 => Err("the benchmark is gone".into()),
        _ => Ok(()),
    }
}
