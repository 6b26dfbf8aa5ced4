//! The arguments of the command line. The doc comments are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::{copy, epoch, events, healthcheck, keys, man, restore, usage};

/// An OpenAI-compatible streaming chat-completions proxy with a live pet store.
#[derive(Parser)]
#[command(name = "petstream", version, after_help = ENVIRONMENT)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) options: Options,
}

const ENVIRONMENT: &str = "\
Environment (flags beat it, it beats the file):
  PETSTREAM_LISTEN, PETSTREAM_CONFIG, PETSTREAM_DATABASE, PETSTREAM_REDIS
                      as --listen, --config, --database, --redis
  PETSTREAM_API_KEY   one or several API keys, separated by commas
  OPENAI_BASE_URL, OPENAI_API_KEY
                      the upstream of every model that has no entry in the file;
                      with the key alone it is https://api.openai.com/v1
  RUST_LOG            what is logged; info unless set";

#[derive(Args)]
pub(super) struct Options {
    /// Configuration file; petstream.yaml in the working folder is read if it is there
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDR", global = true)]
    pub(super) listen: Option<String>,
    /// sqlite:PATH, sqlite::memory: or postgres://USER:PASSWORD@HOST/DATABASE [default: sqlite:petstream.db]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) database: Option<String>,
    /// redis:// or rediss:// of what several replicas share; a password is better in PETSTREAM_REDIS [default: none]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) redis: Option<String>,
    /// auto (text on a terminal, JSON otherwise), text or json [default: auto]
    #[arg(long, value_name = "FORMAT", global = true)]
    pub(super) log_format: Option<String>,
    /// Print the first API key that the server makes, also where stdout is no terminal
    #[arg(long, global = true)]
    pub(super) print_key: bool,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the server (what happens without a command)
    Serve,
    /// Read the configuration and report every mistake in it at once
    Check,
    /// Make the running server read its configuration again
    Reload,
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
    /// Create or update the tables of the database, as every start of a server does
    Migrate,
    /// Move the store from a file to Postgres, while no server runs
    Copy(copy::Command),
    /// Put a backup in the place of the database, while no server runs
    Restore(restore::Command),
    /// Ask the server of this configuration whether it is ready: exit code 0, or 1 with the reason
    Healthcheck(healthcheck::Command),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a manual page in roff: petstream man | man -l -
    Man(man::Command),
}
