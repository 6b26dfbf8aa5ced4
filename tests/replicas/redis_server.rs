//! A Redis server of a single test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use test_support::becomes;
use test_support::tls::Authority;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The password of [`Redis::start_with_password`]. Programs must not show it.
pub(crate) const PASSWORD: &str = "redis-secret-7d793037";

/// A Redis server, which keeps data in memory only. Dropping it kills the process.
pub(crate) struct Redis {
    pub(crate) address: SocketAddr,
    options: Vec<String>,
    password: bool,
    tls: bool,
    child: Child,
    folder: TempDir,
}

impl Redis {
    /// Starts a server without a password.
    pub(crate) async fn start() -> Self {
        Self::create(false, None).await
    }

    /// Starts a server that demands [`PASSWORD`].
    pub(crate) async fn start_with_password() -> Self {
        Self::create(true, None).await
    }

    /// Starts a server that accepts connections with TLS only, with a certificate of `authority` for 127.0.0.1.
    pub(crate) async fn start_with_tls(authority: &Authority) -> Self {
        Self::create(false, Some(authority)).await
    }

    async fn create(password: bool, authority: Option<&Authority>) -> Self {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let (folder, port) = (TempDir::new().unwrap(), address.port().to_string());
        let mut options = vec!["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        if password {
            options.extend(["--requirepass", PASSWORD]);
        }
        if let Some(authority) = authority {
            let issued = authority.issue(&["127.0.0.1"]);
            std::fs::write(folder.path().join("server.crt"), &issued.cert).unwrap();
            std::fs::write(folder.path().join("server.key"), &issued.key).unwrap();
            std::fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
            options.extend(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            options.extend(["--tls-cert-file", "server.crt", "--tls-key-file", "server.key"]);
            options.extend(["--tls-ca-cert-file", "ca.crt"]);
        } else {
            options.extend(["--port", &port]);
        }
        let options: Vec<_> = options.into_iter().map(str::to_owned).collect();
        let child = spawn(&options, &folder);
        let server = Self { address, options, password, tls: authority.is_some(), child, folder };
        server.accepts_connections().await;
        server
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        match (self.password, self.tls) {
            (true, _) => format!("redis://:{PASSWORD}@{}", self.address),
            (_, true) => format!("rediss://{}", self.address),
            _ => format!("redis://{}", self.address),
        }
    }

    /// Stops it with SIGSTOP: connections stay open, also new ones, and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Continues after [`Redis::pause`].
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Kills it with SIGKILL. Its data is lost.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts the server after [`Redis::kill`], without data; it accepts connections when this returns.
    pub(crate) async fn launch(&mut self) {
        self.child = spawn(&self.options, &self.folder);
        self.accepts_connections().await;
    }

    /// Refuses writes that need memory (OOM), or accepts them again.
    pub(crate) async fn refuse_writes(&self, refuse: bool) {
        let limit = if refuse { "1" } else { "0" };
        assert_eq!(self.command(&["CONFIG", "SET", "maxmemory", limit]).await, "OK");
    }

    /// Runs a command with redis-cli; returns the answer, of an error its text.
    pub(crate) async fn command(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.address.port().to_string()]).args(words).current_dir(self.folder.path());
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    async fn accepts_connections(&self) {
        becomes(&true, async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            TcpStream::connect(self.address).await.is_ok()
        })
        .await;
    }
}

fn spawn(options: &[String], folder: &TempDir) -> Child {
    let mut command = Command::new("redis-server");
    command.args(options).current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("redis-server, of Debian's package of the same name")
}
