//! PgBouncer in transaction mode in front of a cluster.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

use super::postgres::{Cluster, OWNER, PASSWORD};
use super::ready;
use super::supervisor::{Job, Supervisor};
use crate::bound_socket::{ANY_PORT, bound_socket};

/// A PgBouncer. A connection has a server connection for the time of a transaction.
pub struct PgBouncer {
    pub address: SocketAddr,
    supervisor: Supervisor,
    job: Option<Job>,
    /// Keeps the port while it does not run.
    _port: TcpSocket,
}

impl PgBouncer {
    /// Starts one in front of `cluster`, with this many server connections per database.
    pub async fn start(cluster: &Cluster, connections: usize) -> Self {
        Self::start_at(cluster.address, connections).await
    }

    /// As [`PgBouncer::start`], in front of the server or the proxy at this address.
    pub async fn start_at(server: SocketAddr, connections: usize) -> Self {
        let (supervisor, port) = (Supervisor::new("KILL"), bound_socket(ANY_PORT));
        let address = port.local_addr().unwrap();
        let (number, server) = (address.port(), server.port());
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {number}\nunix_socket_dir =\nauth_type = plain\nauth_file = users.txt\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nignore_startup_parameters = extra_float_digits\n"
        );
        supervisor.write(&supervisor.folder().join("pgbouncer.ini"), &settings);
        supervisor.write(&supervisor.folder().join("users.txt"), &format!("\"{OWNER}\" \"{PASSWORD}\"\n"));
        let mut bouncer = Self { address, supervisor, job: None, _port: port };
        bouncer.launch().await;
        bouncer
    }

    async fn launch(&mut self) {
        let log = self.supervisor.folder().join("pgbouncer.log");
        let begin = std::fs::metadata(&log).map_or(0, |file| usize::try_from(file.len()).unwrap());
        // Debian's is outside of the path of users.
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| std::path::Path::new(path).exists());
        let job = self.supervisor.start(&[program.unwrap_or("pgbouncer"), "pgbouncer.ini"], &log).await;
        ready(&job, &log, begin, "process up").await;
        self.job = Some(job);
    }

    /// Kills it and starts it again: every connection through it is lost.
    pub async fn restart(&mut self) {
        self.job.take().expect("it runs").kill().await;
        self.launch().await;
    }

    /// The URL of a database of the cluster by way of it.
    pub fn url(&self, cluster: &Cluster, database: &str) -> String {
        cluster.url_at(self.address, database)
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
