//! Redis: one server for the tests of a process, with a prefix of its own for each test, and servers of single tests that
//! can be killed, paused and made read-only.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpSocket;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::ready;
use super::supervisor::{Job, Supervisor};
use crate::bound_socket::{ANY_PORT, bound_socket};
use crate::soon;
use crate::tls::Authority;

/// The password of [`Redis::start_with_password`]. Programs must not show it.
pub const PASSWORD: &str = "redis-secret-7d793037";

/// The server that [`Namespace::create`] uses. It ends with the process.
static SHARED: OnceCell<Redis> = OnceCell::const_new();
static NAMESPACES: AtomicUsize = AtomicUsize::new(0);

/// Names of a test in the shared server.
pub struct Namespace {
    /// The URL of the server.
    pub url: String,
    /// What the names begin with.
    pub prefix: String,
}

impl Namespace {
    /// Names that no other test uses.
    pub async fn create() -> Self {
        let server = SHARED.get_or_init(Redis::start).await;
        Self { url: server.url(), prefix: format!("test_{}", NAMESPACES.fetch_add(1, Ordering::Relaxed)) }
    }
}

/// A Redis server. It keeps data in memory only, except for [`Redis::restart`].
pub struct Redis {
    pub address: SocketAddr,
    supervisor: Supervisor,
    job: Option<Job>,
    /// Keeps the port while the server does not run.
    _port: TcpSocket,
    access: Access,
}

enum Access {
    Open,
    Password,
    Tls,
}

impl Redis {
    /// Starts a server without a password.
    pub async fn start() -> Self {
        Self::create(Access::Open, None).await
    }

    /// Starts a server that demands [`PASSWORD`].
    pub async fn start_with_password() -> Self {
        Self::create(Access::Password, None).await
    }

    /// Starts a server that accepts connections with TLS only, with a certificate of `authority` for 127.0.0.1.
    pub async fn start_with_tls(authority: &Authority) -> Self {
        Self::create(Access::Tls, Some(authority)).await
    }

    async fn create(access: Access, authority: Option<&Authority>) -> Self {
        let (supervisor, port) = (Supervisor::new("KILL"), bound_socket(ANY_PORT));
        let address = port.local_addr().unwrap();
        let (folder, number) = (supervisor.folder(), address.port());
        if let Some(authority) = authority {
            let issued = authority.issue(&["127.0.0.1"]);
            supervisor.write(&folder.join("server.crt"), &issued.cert);
            supervisor.write(&folder.join("server.key"), &issued.key);
            supervisor.write(&folder.join("ca.crt"), &authority.pem());
        }
        let of_access = match access {
            Access::Open => format!("port {number}\n"),
            Access::Password => format!("port {number}\nrequirepass {PASSWORD}\nmasterauth {PASSWORD}\n"),
            Access::Tls => format!(
                "port 0\ntls-port {number}\ntls-cert-file server.crt\ntls-key-file server.key\n\
                 tls-ca-cert-file ca.crt\ntls-auth-clients no\n"
            ),
        };
        // A replica gets its copy at once instead of after 5 s, over the connection instead of by a file.
        let fixed = "bind 127.0.0.1\nsave \"\"\nappendonly no\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n";
        let settings = format!("dir {}\n{of_access}{fixed}", folder.display());
        supervisor.write(&folder.join("redis.conf"), &settings);
        let mut server = Self { address, supervisor, job: None, _port: port, access };
        server.launch().await;
        server
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// Its URL by way of a proxy.
    pub fn url_at(&self, address: SocketAddr) -> String {
        match self.access {
            Access::Open => format!("redis://{address}"),
            Access::Password => format!("redis://:{PASSWORD}@{address}"),
            Access::Tls => format!("rediss://{address}"),
        }
    }

    /// Starts the server after [`Redis::kill`], without data; it accepts connections when this returns.
    pub async fn launch(&mut self) {
        assert!(self.job.is_none(), "it runs");
        let log = self.supervisor.folder().join("redis.log");
        let begin = std::fs::metadata(&log).map_or(0, |file| usize::try_from(file.len()).unwrap());
        let job = self.supervisor.start(&["redis-server", "redis.conf"], &log).await;
        ready(&job, &log, begin, "Ready to accept connections").await;
        self.job = Some(job);
    }

    /// Stops it and starts it again with its data.
    pub async fn restart(&mut self) {
        assert_eq!(self.command(&["SAVE"]).await, "OK");
        self.kill().await;
        self.launch().await;
        std::fs::remove_file(self.supervisor.folder().join("dump.rdb")).unwrap();
    }

    /// Kills it with SIGKILL. Its data is lost.
    pub async fn kill(&mut self) {
        self.job.take().expect("it runs").kill().await;
    }

    /// Kills it and starts it again without data.
    pub async fn restart_empty(&mut self) {
        self.kill().await;
        self.launch().await;
    }

    /// Stops it with SIGSTOP: connections stay open, also new ones, and nothing answers.
    pub fn pause(&self) {
        self.job.as_ref().expect("it runs").pause();
    }

    /// Continues after [`Redis::pause`].
    pub fn resume(&self) {
        self.job.as_ref().expect("it runs").resume();
    }

    /// Refuses writes that need memory (OOM), or accepts them again.
    pub async fn refuse_writes(&self, refuse: bool) {
        let limit = if refuse { "1" } else { "0" };
        assert_eq!(self.command(&["CONFIG", "SET", "maxmemory", limit]).await, "OK");
    }

    /// Makes it a read-only replica of `primary` (READONLY); none makes it a primary. Returns when it has the data.
    pub async fn replicate(&self, primary: Option<&Self>) {
        let (host, port) = match primary {
            Some(primary) => (primary.address.ip().to_string(), primary.address.port().to_string()),
            None => ("NO".to_owned(), "ONE".to_owned()),
        };
        assert_eq!(self.command(&["REPLICAOF", &host, &port]).await, "OK");
        if primary.is_some() {
            let linked = async || self.command(&["INFO", "replication"]).await.contains("master_link_status:up");
            crate::becomes(&true, linked).await;
        }
    }

    /// Runs a command with redis-cli, such as `["FLUSHALL"]`; returns the answer, of an error its text.
    pub async fn command(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]).current_dir(self.supervisor.folder());
        match self.access {
            Access::Open => &mut command,
            Access::Password => command.env("REDISCLI_AUTH", PASSWORD),
            Access::Tls => command.args(["--tls", "--cacert", "ca.crt"]),
        };
        let output = soon("redis-cli", command.args(words).kill_on_drop(true).output()).await.unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.job.as_ref().expect("it runs").id
    }

    /// The folder with everything of it.
    pub fn folder(&self) -> &std::path::Path {
        self.supervisor.folder()
    }
}
