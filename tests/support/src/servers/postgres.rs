//! PostgreSQL: one cluster for the tests of a process, with a database for each test, and clusters of single tests that
//! can be killed, paused, replicated and promoted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpSocket;
use tokio::sync::OnceCell;

use super::supervisor::{Job, Supervisor};
use crate::bound_socket::{ANY_PORT, bound_socket};
use crate::soon;
use crate::tls::Authority;

/// The password of both roles. Programs must not show it.
pub const PASSWORD: &str = "pg-secret-5d41402a";
/// The role that owns the databases. It has no further rights.
pub(super) const OWNER: &str = "petstream";
/// The superuser.
const ADMIN: &str = "admin";

/// The cluster that [`Database::create`] uses. It ends with the process.
static SHARED: OnceCell<Cluster> = OnceCell::const_new();
/// Databases that are not used any more, the oldest first.
// std Mutex: never held across .await
static UNUSED: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// Databases that are unused for a while, so that what a test left running has ended before one is used again.
const RESTING: usize = 8;

/// The cluster of all tests: a lost machine may damage it.
const FAST: &[(&str, &str)] =
    &[("fsync", "off"), ("full_page_writes", "off"), ("max_connections", "400"), ("autovacuum", "off")];

/// A PostgreSQL server with its data.
pub struct Cluster {
    pub address: SocketAddr,
    supervisor: Supervisor,
    job: Option<Job>,
    /// Keeps the port while the server does not run.
    _port: TcpSocket,
    programs: PathBuf,
    /// Parameters of its URLs.
    parameters: String,
}

/// An empty database of the shared cluster. When dropped it is left to a later test: to clear one takes a tenth of the
/// time to create and to remove one.
pub struct Database {
    pub url: String,
    name: String,
}

impl Database {
    /// Creates an empty database.
    pub async fn create() -> Self {
        let cluster = SHARED.get_or_init(|| Cluster::start(FAST)).await;
        let unused = {
            let mut unused = unused();
            if unused.len() > RESTING { unused.pop_front() } else { None }
        };
        let name = match unused {
            Some(name) => cluster.clear(name).await,
            None => {
                let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
                cluster.create_database(&name).await;
                name
            }
        };
        Self { url: cluster.url(&name), name }
    }

    /// Its URL by way of a proxy.
    pub fn url_at(&self, address: SocketAddr) -> String {
        url(OWNER, address, &self.name, "")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        unused().push_back(std::mem::take(&mut self.name));
    }
}

fn unused() -> MutexGuard<'static, VecDeque<String>> {
    UNUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Starts a cluster with these settings beside the defaults.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::create(settings, None, &[]).await
    }

    /// As [`Cluster::start`], with the smallest files of the write-ahead log: of 1 MiB.
    pub async fn start_with_short_files(settings: &[(&str, &str)]) -> Self {
        Self::create(settings, None, &["--wal-segsize=1"]).await
    }

    /// Starts a cluster that accepts connections with TLS only. Its URLs verify the certificate of `authority`.
    pub async fn start_with_tls(authority: &Authority) -> Self {
        Self::create(&[("ssl", "on")], Some(authority), &[]).await
    }

    async fn create(settings: &[(&str, &str)], authority: Option<&Authority>, flags: &[&str]) -> Self {
        let (supervisor, programs) = (Supervisor::new("QUIT"), programs());
        let (data, password) = (supervisor.folder().join("data"), supervisor.folder().join("password"));
        supervisor.write(&password, PASSWORD);
        // Texts are compared by the rules of English: a query that needs another order must say so.
        let initdb = [programs.join("initdb"), "--no-sync".into(), "-U".into(), ADMIN.into()];
        let place = ["--pwfile".into(), password, "-D".into(), data.clone()];
        let locale = ["-E", "UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en"].map(PathBuf::from);
        let command: Vec<&str> =
            initdb.iter().chain(&place).chain(&locale).map(|word| word.to_str().unwrap()).collect();
        supervisor.run(&[&command, flags].concat()).await;

        let host = if authority.is_some() { "hostssl" } else { "host" };
        // Cleartext passwords, on loopback: SCRAM takes 4,096 hashes for each connection.
        let access = ["all", "replication"].map(|what| format!("{host} {what} all 127.0.0.1/32 password\n"));
        supervisor.write(&data.join("pg_hba.conf"), &access.concat());
        let parameters = authority.map(|authority| use_certificate(&supervisor, &data, authority)).unwrap_or_default();
        let settings = settings.iter().map(|(name, value)| format!("{name} = '{value}'\n"));
        let fixed = "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nshared_buffers = '16MB'\n";
        supervisor.write(&data.join("postgresql.conf"), &(fixed.to_owned() + &settings.collect::<String>()));

        let mut cluster = Self::of(supervisor, programs, parameters);
        cluster.launch().await;
        cluster.psql(&format!("CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'")).await;
        cluster
    }

    fn of(supervisor: Supervisor, programs: PathBuf, parameters: String) -> Self {
        let port = bound_socket(ANY_PORT);
        let address = port.local_addr().unwrap();
        Self { address, supervisor, job: None, _port: port, programs, parameters }
    }

    /// Starts the server after [`Cluster::shut_down`] or [`Cluster::kill`]; it accepts connections when this returns.
    pub async fn launch(&mut self) {
        assert!(self.job.is_none(), "it runs");
        let log = self.supervisor.folder().join("postgres.log");
        let begin = std::fs::metadata(&log).map_or(0, |file| usize::try_from(file.len()).unwrap());
        let (program, port) = (self.programs.join("postgres"), self.address.port().to_string());
        let data = self.supervisor.folder().join("data");
        let command = [program.to_str().unwrap(), "-D", data.to_str().unwrap(), "-p", &port];
        let job = self.supervisor.start(&command, &log).await;
        super::ready(&job, &log, begin, "ready to accept").await;
        self.job = Some(job);
    }

    /// Stops it as for a restart: transactions are rolled back and connections closed.
    pub async fn shut_down(&mut self) {
        let mut job = self.job.take().expect("it runs");
        job.signal("INT");
        assert_eq!(job.ended().await, 0);
    }

    /// Stops it and starts it again.
    pub async fn restart(&mut self) {
        self.shut_down().await;
        self.launch().await;
    }

    /// Kills all its processes with SIGKILL. What was committed is there after [`Cluster::launch`].
    pub async fn kill(&mut self) {
        self.job.take().expect("it runs").kill().await;
    }

    /// Stops all its processes with SIGSTOP: connections stay open, also new ones, and nothing answers.
    pub fn pause(&self) {
        self.job.as_ref().expect("it runs").pause();
    }

    /// Continues after [`Cluster::pause`].
    pub fn resume(&self) {
        self.job.as_ref().expect("it runs").resume();
    }

    /// Lets no file grow beyond so many bytes, for its running processes and for those that they start. A write that would
    /// exceed it is cut as on a full disk. None ends it.
    pub fn limit_files(&self, bytes: Option<usize>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        self.supervisor.limit_files(self.job.as_ref().expect("it runs"), &limit);
    }

    /// Starts a standby, which has a copy of the data and receives every further commit.
    pub async fn standby(&self) -> Self {
        let (supervisor, programs) = (Supervisor::new("QUIT"), self.programs.clone());
        let data = supervisor.folder().join("data");
        let (program, from) = (programs.join("pg_basebackup"), url(ADMIN, self.address, "postgres", &self.parameters));
        let begin = [program.to_str().unwrap(), "-D", data.to_str().unwrap(), "-d", &from];
        supervisor.run(&[&begin[..], &["-c", "fast", "-X", "stream", "--no-sync", "-R"]].concat()).await;
        let mut standby = Self::of(supervisor, programs, self.parameters.clone());
        standby.launch().await;
        self.becomes("1", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").await;
        standby
    }

    /// Makes this standby receive nothing more: it will lack what is committed afterwards.
    pub async fn cut_off(&self) {
        self.psql("ALTER SYSTEM SET primary_conninfo = ''").await;
        self.psql("SELECT pg_reload_conf()").await;
        self.becomes("0", "SELECT count(*) FROM pg_stat_wal_receiver").await;
    }

    /// Makes this standby a primary, on a new timeline.
    pub async fn promote(&self) {
        assert_eq!(self.psql("SELECT pg_promote()").await, "t");
    }

    /// Creates an empty database; returns its URL.
    pub async fn create_database(&self, name: &str) -> String {
        self.psql(&format!("CREATE DATABASE {name} OWNER {OWNER}")).await;
        self.url(name)
    }

    /// The URL of a database, for its owner.
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.address, database)
    }

    /// As [`Cluster::url`], by way of a proxy or at another server with the same data.
    pub fn url_at(&self, address: SocketAddr, database: &str) -> String {
        url(OWNER, address, database, &self.parameters)
    }

    /// Removes everything from a database, also connections; returns its name.
    async fn clear(&self, name: String) -> String {
        let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity";
        let end = format!("{end} WHERE datname = current_database() AND pid <> pg_backend_pid()");
        self.psql_in(&name, &format!("{end}; DROP OWNED BY {OWNER} CASCADE")).await;
        name
    }

    /// Runs statements with psql as the superuser, outside of the databases of tests; returns its output.
    pub async fn psql(&self, sql: &str) -> String {
        self.psql_in("postgres", sql).await
    }

    async fn psql_in(&self, database: &str, sql: &str) -> String {
        let mut command = tokio::process::Command::from(self.client("psql"));
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]).kill_on_drop(true);
        let output = soon("psql", command.output()).await.unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Waits until a query of the superuser returns this text.
    pub async fn becomes(&self, expected: &str, sql: &str) {
        crate::becomes(&expected.to_owned(), async || self.psql(sql).await).await;
    }

    /// A client program for this cluster, as the superuser.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env("PGPASSWORD", PASSWORD).env("PGCONNECT_TIMEOUT", "5").stdin(Stdio::null());
        command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string(), "-U", ADMIN]);
        command
    }

    /// The id of its first process.
    pub fn id(&self) -> u32 {
        self.job.as_ref().expect("it runs").id
    }

    /// The folder with everything of it.
    pub fn folder(&self) -> &Path {
        self.supervisor.folder()
    }
}

/// Has the server use a certificate of `authority`; returns the parameters of URLs that verify it.
fn use_certificate(supervisor: &Supervisor, data: &Path, authority: &Authority) -> String {
    let issued = authority.issue(&["127.0.0.1"]);
    supervisor.write(&data.join("server.crt"), &issued.cert);
    supervisor.write(&data.join("server.key"), &issued.key);
    format!("?sslmode=verify-full&sslrootcert={}", authority.file().display())
}

fn url(role: &str, address: SocketAddr, database: &str, parameters: &str) -> String {
    format!("postgres://{role}:{PASSWORD}@{address}/{database}{parameters}")
}

/// The folder of the newest PostgreSQL: Debian keeps each major version in a folder of its own, outside of the path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let debian = versions.max().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = debian.into_iter().chain(std::env::split_paths(&path));
    let found = folders.find(|folder| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).exists()));
    found.expect("PostgreSQL: install Debian's postgresql, or run tests/run, which does")
}
