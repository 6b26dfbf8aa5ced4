//! The command line: what was asked for, and the exit code that tells how it went.
//!
//! Answers go to stdout, everything said about them to stderr.

mod check;
mod epoch;
mod events;
mod keys;
mod restore;
mod serve;
mod signals;
mod usage;

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use petstream::config::{ConfigError, DEFAULT_FILE, Flags, ForKeys, Sources, load_for_keys};

/// Wrong usage or configuration, as in sysexits.h.
const USAGE: u8 = 64;
/// Anything that failed although it was asked for rightly.
const FAULT: u8 = 1;

/// An OpenAI-compatible streaming chat-completions proxy with a live pet store.
#[derive(Parser)]
#[command(name = "petstream", version, after_help = ENVIRONMENT)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

const ENVIRONMENT: &str = "\
Environment (flags beat it, it beats the file):
  PETSTREAM_LISTEN, PETSTREAM_CONFIG, PETSTREAM_DATABASE
                      as --listen, --config, --database
  PETSTREAM_API_KEY   one or several API keys, separated by commas
  OPENAI_BASE_URL, OPENAI_API_KEY
                      the upstream of every model that has no entry in the file;
                      with the key alone it is https://api.openai.com/v1
  RUST_LOG            what is logged; info unless set";

#[derive(Args)]
struct Options {
    /// Configuration file; petstream.yaml in the working folder is read if it is there
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDR", global = true)]
    listen: Option<String>,
    /// sqlite:PATH or sqlite::memory: [default: sqlite:petstream.db]
    #[arg(long, value_name = "URL", global = true)]
    database: Option<String>,
    /// auto (text on a terminal, JSON otherwise), text or json [default: auto]
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (what happens without a command)
    Serve,
    /// Read the configuration and report every mistake in it at once
    Check,
    /// Print the commented default configuration file
    Config,
    /// Make, list and revoke API keys, also while the server runs
    #[command(subcommand)]
    Keys(keys::Command),
    /// Sum up what requests used, also while the server runs
    Usage(usage::Command),
    /// Print a server's events as they happen, one line of JSON each
    Events(events::Command),
    /// The name of the log of events
    #[command(subcommand)]
    Epoch(epoch::Command),
    /// Put a backup in the place of the database, while no server runs
    Restore(restore::Command),
}

/// Why a command did not succeed.
enum Failure {
    /// What was asked for, or the configuration, is wrong.
    Usage(String),
    /// Everything that is wrong with the configuration.
    Configuration(Vec<ConfigError>),
    /// Something else went wrong.
    Fault(String),
    /// So it did, and it has been said what.
    Told,
}

/// Does what the command line asks for.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors. There is nobody to tell if printing fails.
            let _ = error.print();
            return if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    match sources(cli.options).and_then(|sources| dispatch(cli.command, &sources)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: Option<Command>, sources: &Sources) -> Result<(), Failure> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(sources),
        Command::Check => check::check(sources),
        Command::Config => answer(DEFAULT_FILE),
        Command::Keys(command) => keys::run(command, sources),
        Command::Usage(command) => usage::run(&command, sources),
        Command::Events(command) => events::run(command, sources),
        Command::Epoch(command) => epoch::run(&command, sources),
        Command::Restore(command) => restore::run(&command, sources),
    }
}

/// Flags, environment and working folder of this process.
fn sources(options: Options) -> Result<Sources, Failure> {
    let Options { config, listen, database, log_format } = options;
    let folder = std::env::current_dir()
        .map_err(|error| Failure::Fault(format!("the working folder can't be found: {error}")))?;
    // What is no Unicode is kept, so that it is refused where it matters and not silently ignored.
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment: HashMap<_, _> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    Ok(Sources { flags: Flags { config, listen, database, log_format }, environment, folder })
}

/// The database, which must be a file: one in memory is a running server's own.
fn database_file(sources: &Sources) -> Result<String, Failure> {
    let ForKeys { database, .. } = load_for_keys(sources).map_err(Failure::Configuration)?;
    in_a_file(&database)?;
    Ok(database)
}

fn in_a_file(database: &str) -> Result<(), Failure> {
    if !database.starts_with("sqlite::memory:") {
        return Ok(());
    }
    let problem = "a database in memory is the server's own; name its file with --database sqlite:PATH";
    Err(Failure::Usage(problem.to_owned()))
}

fn fault(error: impl std::fmt::Display) -> Failure {
    Failure::Fault(error.to_string())
}

impl Failure {
    fn report(self) -> ExitCode {
        match self {
            Self::Usage(problem) => {
                note(&said(&problem));
                ExitCode::from(USAGE)
            }
            Self::Configuration(errors) => {
                errors.iter().for_each(|error| note(&error.to_string()));
                let count = match errors.len() {
                    1 => "1 error".to_owned(),
                    count => format!("{count} errors"),
                };
                note(&format!("petstream: the configuration has {count}"));
                ExitCode::from(USAGE)
            }
            Self::Fault(problem) => {
                note(&said(&problem));
                ExitCode::from(FAULT)
            }
            Self::Told => ExitCode::from(FAULT),
        }
    }
}

/// Writes `text` to stdout. A reader who has seen enough and went away is no error.
fn answer(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Fault(format!("stdout: {error}"))),
        _ => Ok(()),
    }
}

/// A problem as it is said on stderr.
fn said(problem: &str) -> String {
    format!("petstream: {problem}")
}

/// Writes a line to stderr; there is nobody to tell if that fails.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
