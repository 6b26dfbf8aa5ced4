//! What is measured: petstream with everything on, nginx doing nothing but passing on, or the upstream itself.

mod nginx;
mod petstream;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::events::Shop;
use crate::procfs::{self, ProcessorTime};
use crate::stub::Dialect;
use crate::{Done, Failure, stub};

/// How long something may take to start.
const START: Duration = Duration::from_secs(30);

/// Between two looks at whether it still does something.
const GLANCE: Duration = Duration::from_millis(200);

/// A kind of gateway.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A build of petstream.
    Petstream { label: String, program: String },
    /// nginx, and its module of event streams where that is installed.
    Nginx { program: String, nchan: Option<String> },
    /// None: clients speak with the upstream.
    Stub,
}

/// A gateway that runs. Dropped, it is gone, and so is its folder.
pub(crate) struct Gateway {
    pub(crate) address: String,
    /// How events are read and made, where it has any.
    pub(crate) shop: Option<Shop>,
    child: Option<Child>,
    /// What ends it, where killing would leave its workers.
    stop: Option<Command>,
    folder: TempDir,
}

impl Kind {
    pub(crate) fn petstream(label: &str, program: &str) -> Done<Self> {
        let program = std::path::absolute(program)?;
        if !program.is_file() {
            return Err(format!("{}: there is no such program", program.display()).into());
        }
        Ok(Self::Petstream { label: label.to_owned(), program: program.display().to_string() })
    }

    /// nginx, if it is installed.
    pub(crate) fn nginx() -> Option<Self> {
        let path = std::env::var("PATH").unwrap_or_default();
        // /usr/sbin is not on the path of everybody.
        let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
        let program = folders.map(|folder| format!("{folder}/nginx")).find(|program| Path::new(program).is_file())?;
        let module = "/usr/lib/nginx/modules/ngx_nchan_module.so";
        let nchan = Path::new(module).is_file().then(|| module.to_owned());
        Some(Self::Nginx { program, nchan })
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Petstream { label, .. } => label,
            Self::Nginx { .. } => "nginx",
            Self::Stub => "stub",
        }
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> Option<String> {
        match self {
            Self::Petstream { program, .. } => crate::machine::version(program, "--version"),
            Self::Nginx { program, .. } => crate::machine::version(program, "-v"),
            Self::Stub => None,
        }
    }

    /// Whether it has streams of events.
    pub(crate) fn has_events(&self) -> bool {
        matches!(self, Self::Petstream { .. } | Self::Nginx { nchan: Some(_), .. })
    }

    /// Starts one in a folder of its own, in front of `upstream`.
    pub(crate) fn start(&self, upstream: &str, keys: &[String]) -> Done<Gateway> {
        let folder = TempDir::with_prefix("petstream-bench-")?;
        let started = match self {
            Self::Petstream { program, .. } => petstream::start(folder, program, upstream, keys),
            Self::Nginx { program, nchan } => nginx::start(folder, program, nchan.as_deref(), upstream),
            Self::Stub => Ok(Gateway { address: upstream.to_owned(), shop: None, child: None, stop: None, folder }),
        };
        let started = started.and_then(|gateway| gateway.quiet().map(|()| gateway));
        started.map_err(|failure| format!("{} did not start: {failure}", self.name()).into())
    }
}

impl Gateway {
    /// Its processes.
    pub(crate) fn family(&self) -> Vec<u32> {
        self.child.as_ref().map_or_else(Vec::new, |child| procfs::family(child.id()))
    }

    /// Waits until it rests: what it has to do after its start is not what it is measured by.
    fn quiet(&self) -> Done<()> {
        let (began, family) = (Instant::now(), self.family());
        let mut before = ProcessorTime::of(&family);
        while began.elapsed() < START {
            sleep(GLANCE);
            let now = ProcessorTime::of(&family);
            if now.since(before) < GLANCE / 100 {
                return Ok(());
            }
            before = now;
        }
        Err("it does not come to rest".into())
    }

    /// What it has logged, for those who look for the reason of a failure.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        let strange = log.lines().filter(|line| !line.contains("\"INFO\""));
        strange.take(20).collect::<Vec<_>>().join("\n")
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

/// The log's name in the folder.
const LOG: &str = "log";

/// Starts `command` with nothing of this program's environment, its log in a file.
fn spawn(command: &mut Command, folder: &TempDir) -> Done<Child> {
    let log = File::create(folder.path().join(LOG))?;
    command.current_dir(folder.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?)
}

/// An address that was free a moment ago.
fn free_address() -> Done<String> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string())
}

/// Waits until `address` takes connections.
fn listening(address: &str, child: &mut Child) -> Done<()> {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = child.try_wait()? {
            return Err(format!("it ended: {status}").into());
        }
        if began.elapsed() > START {
            return Err("nothing listens".into());
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// This program in another role, with which lines are exchanged. Dropped, it is gone.
pub(crate) struct Role {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Role {
    fn start(role: &str, arguments: &[&str]) -> Done<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(role).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or("no pipes")?;
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// The upstream, and where it is.
    pub(crate) fn upstream(dialect: Dialect) -> Done<(Self, String)> {
        let mut upstream = Self::start(stub::ROLE, &[dialect.name()])?;
        let address = upstream.line()?;
        Ok((upstream, address))
    }

    /// With a plan, and ready for what is to be measured.
    pub(crate) fn ready(role: &str, plan: &impl Serialize) -> Done<Self> {
        let mut clients = Self::start(role, &[])?;
        // Not as an argument: a plan with many keys is longer than those may be.
        writeln!(clients.input, "{}", serde_json::to_string(plan)?)?;
        clients.expect("ready")?;
        Ok(clients)
    }

    fn line(&mut self) -> Done<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(Failure::from("the clients, or the upstream, failed")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    pub(crate) fn expect(&mut self, word: &str) -> Done<()> {
        let line = self.line()?;
        if line == word { Ok(()) } else { Err(format!("{word} expected, not {line}").into()) }
    }

    pub(crate) fn go(&mut self) -> Done<()> {
        Ok(self.input.write_all(b"go\n")?)
    }

    /// What it saw.
    pub(crate) fn result<T: DeserializeOwned>(&mut self) -> Done<T> {
        Ok(serde_json::from_str(&self.line()?)?)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
