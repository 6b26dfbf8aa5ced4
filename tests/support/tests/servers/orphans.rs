//! No server outlives the process of the tests.

use std::path::Path;
use std::process::Stdio;

use test_support::servers::is_running;
use test_support::servers::pgbouncer::PgBouncer;
use test_support::servers::postgres::{Cluster, Database};
use test_support::servers::redis::Redis;
use test_support::{becomes, soon};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Set in the process that is killed.
const HOLDS: &str = "HOLDS_SERVERS";
/// Begins the line that this process prints when its servers run.
const LINE: &str = "servers:";

/// Starts servers, prints their ids and folders, and waits to be killed.
async fn hold_servers() {
    let database = Database::create().await;
    let cluster = Cluster::start(&[]).await;
    let (paused, redis) = (Redis::start().await, Redis::start().await);
    let bouncer = PgBouncer::start(&cluster, 1).await;
    paused.pause();
    let ids = [cluster.id(), paused.id(), redis.id(), bouncer.id()].map(|id| id.to_string());
    let folders = [cluster.folder(), paused.folder(), redis.folder(), bouncer.folder()];
    let folders = folders.map(|folder| folder.display().to_string());
    println!("\n{LINE} {} {} {}", ids.join(" "), folders.join(" "), database.url);
    std::future::pending().await
}

#[tokio::test]
async fn a_killed_test_leaves_no_server_and_no_folder() {
    if std::env::var_os(HOLDS).is_some() {
        return hold_servers().await;
    }
    for signal in ["KILL", "ABRT", "INT"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", "orphans::a_killed_test_leaves_no_server_and_no_folder"]);
        command.env(HOLDS, "1").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it runs");
                if let Some(servers) = line.strip_prefix(LINE) {
                    return servers.to_owned();
                }
            }
        };
        let line = soon("servers to run", line).await;
        let words: Vec<&str> = line.split_whitespace().collect();
        let ids: Vec<u32> = words[..4].iter().map(|word| word.parse().unwrap()).collect();
        let folders: Vec<&Path> = words[4..8].iter().map(Path::new).collect();
        assert!(ids.iter().all(|id| is_running(*id)) && folders.iter().all(|folder| folder.is_dir()), "{line}");
        let sent = Command::new("kill").args(["-s", signal, &child.id().unwrap().to_string()]).status().await.unwrap();
        assert!(sent.success());
        soon("the end of the process", child.wait()).await.unwrap();
        becomes(&(0, 0), async || {
            tokio::task::yield_now().await;
            let running = ids.iter().filter(|id| is_running(**id)).count();
            (running, folders.iter().filter(|folder| folder.exists()).count())
        })
        .await;
        // Nor the cluster that tests share.
        let address = words[8].rsplit_once('@').unwrap().1.split('/').next().unwrap();
        becomes(&true, async || tokio::net::TcpStream::connect(address).await.is_err()).await;
    }
}
