//! The kinds of gateways: how to find and to start each.

use std::path::Path;

use tempfile::TempDir;

use super::gateway::Gateway;
use super::{nginx, petstream};
use crate::engines::{Engine, SharedEngines};
use crate::machine::program_version;
use crate::result::Result;
use crate::tls::Certificate;

/// A kind of gateway.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A build of petstream.
    Petstream { label: String, program: String, engines: Option<SharedEngines>, servers: usize },
    /// nginx; with its module nchan, which serves event streams, where that is installed.
    Nginx { program: String, nchan: Option<String> },
    /// No gateway: clients connect to the upstream.
    Stub,
}

impl Kind {
    pub(crate) fn petstream(label: &str, program: &str) -> Result<Self> {
        let program = std::path::absolute(program)?;
        if !program.is_file() {
            return Err(format!("{}: there is no such program", program.display()).into());
        }
        let (label, program) = (label.to_owned(), program.display().to_string());
        Ok(Self::Petstream { label, program, engines: None, servers: 1 })
    }

    /// The same gateway on this engine, whose name is added to its own; `engines` where it is shared.
    pub(crate) fn on_engine(self, engine: Engine, engines: Option<SharedEngines>) -> Self {
        match self {
            Self::Petstream { label, program, .. } => {
                Self::Petstream { label: label + engine.suffix(), program, engines, servers: engine.servers() }
            }
            other => other,
        }
    }

    /// nginx, if it is installed.
    pub(crate) fn nginx() -> Option<Self> {
        let path = std::env::var("PATH").unwrap_or_default();
        // Debian installs nginx there, which is not in the PATH of all users.
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

    /// The path of the program.
    pub(crate) fn program(&self) -> Option<&str> {
        match self {
            Self::Petstream { program, .. } | Self::Nginx { program, .. } => Some(program),
            Self::Stub => None,
        }
    }

    /// Whether it is one server, which completions and the workload without clients are measured with.
    pub(crate) fn is_single(&self) -> bool {
        !matches!(self, Self::Petstream { servers: 2.., .. })
    }

    /// Whether it has the store, which commands change.
    pub(crate) fn has_store(&self) -> bool {
        matches!(self, Self::Petstream { .. })
    }

    /// Whether it has the local model.
    pub(crate) fn has_local_model(&self) -> bool {
        matches!(self, Self::Petstream { .. })
    }

    /// The first line that the program prints about its version.
    pub(crate) fn version(&self) -> Option<String> {
        match self {
            Self::Petstream { program, .. } => program_version(program, "--version"),
            Self::Nginx { program, .. } => program_version(program, "-v"),
            Self::Stub => None,
        }
    }

    /// Whether it serves live events.
    pub(crate) fn has_events(&self) -> bool {
        matches!(self, Self::Petstream { .. } | Self::Nginx { nchan: Some(_), .. })
    }

    /// Starts a gateway in front of `upstream`, in a temporary folder, and waits until it is idle. With a certificate, its
    /// clients speak TLS.
    pub(crate) fn start(&self, upstream: &str, keys: &[String], tls: Option<&Certificate>) -> Result<Gateway> {
        let folder = TempDir::with_prefix("petstream-bench-")?;
        tls.map_or(Ok(()), |certificate| certificate.write(folder.path()))?;
        let started = match self {
            Self::Petstream { program, engines, servers, .. } => {
                let state = engines.as_ref().map(SharedEngines::configuration).unwrap_or_default();
                let mut first = petstream::start(folder, program, (upstream, &state), keys, tls)?;
                let further = (1..*servers).map(|_| {
                    let folder = TempDir::with_prefix("petstream-bench-")?;
                    petstream::start(folder, program, (upstream, &state), keys, tls)
                });
                first.replicas = further.collect::<Result<_>>()?;
                Ok(first)
            }
            Self::Nginx { program, nchan } => nginx::start(folder, program, nchan.as_deref(), upstream, tls),
            Self::Stub => Ok(Gateway::none(upstream, folder)),
        };
        let started = started.and_then(|gateway| gateway.await_idle().map(|()| gateway));
        started.map_err(|failure| format!("{} did not start: {failure}", self.name()).into())
    }
}
