//! Benchmark of gateways between clients and an upstream. Petstream with every feature on, nginx as a plain relay and
//! no gateway at all are measured one after the other under the same load; for live events, petstream and nchan.
//!
//! Three processes share the machine: the upstream ([`upstream`]), the gateway ([`gateways`]) and the clients
//! ([`clients`], [`subscribers`] or [`writers`]), which check every stream that they read. Upstream and clients are this program
//! started again in another [`Role`], so that their processor time is not counted as the gateway's. [`options`] lists
//! the command line, [`report`] the output.

mod clients;
mod clock;
mod commands;
mod completions;
mod engines;
mod event_api;
mod events;
mod gateways;
mod http;
mod machine;
mod options;
mod procfs;
mod report;
mod rest;
mod result;
mod run;
mod samples;
mod stream_check;
mod subscribers;
mod surface;
mod table;
mod tls;
mod upstream;
mod worker;
mod workload;
mod writers;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use options::Options;
use worker::Role;

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref().and_then(Role::from_argument) {
        Some(Role::Upstream) => upstream::run(),
        Some(Role::Clients) => clients::run(),
        Some(Role::Subscribers) => subscribers::run(),
        Some(Role::Writers) => writers::run(),
        None => run::run(&Options::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}
