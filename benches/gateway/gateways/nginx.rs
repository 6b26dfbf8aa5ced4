//! nginx as a plain relay: no authentication, no accounting, no log, and the settings that make it fast. With nchan it
//! serves event streams too.

use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::gateway::{Gateway, await_answer, free_address, spawn};
use crate::event_api::EventApi;
use crate::result::Result;

pub(super) fn start(folder: TempDir, program: &str, nchan: Option<&str>, upstream: &str) -> Result<Gateway> {
    let address = free_address()?;
    let path = folder.path().display().to_string();
    std::fs::write(folder.path().join("nginx.conf"), configuration(&path, &address, nchan, upstream))?;
    let command = || {
        let mut command = Command::new(program);
        command.args(["-p", &path, "-c", "nginx.conf", "-e", super::gateway::LOG]);
        command
    };
    let began = Instant::now();
    let mut child = spawn(&mut command(), &folder)?;
    let ready = await_answer(&address, &mut child, began);
    let mut stop = command();
    stop.args(["-s", "stop"]).stderr(std::process::Stdio::null());
    let event_api = nchan.map(|_| EventApi::nchan());
    let mut gateway = Gateway::started(address, folder, child);
    (gateway.event_api, gateway.stop) = (event_api, Some(stop));
    gateway.when(ready)
}

fn configuration(path: &str, address: &str, nchan: Option<&str>, upstream: &str) -> String {
    let module = nchan.map_or_else(String::new, |module| format!("load_module {module};"));
    let events = nchan.map_or("", |_| {
        "location = /events { nchan_subscriber eventsource; nchan_channel_id pets; \
                              nchan_subscriber_first_message newest; }
         location = /publish { nchan_publisher; nchan_channel_id pets; \
                               nchan_message_buffer_length 100; nchan_message_timeout 1m; }"
    });
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {path}/{kind};"))
        .join(" ");
    format!(
        "{module}
daemon off;
pid {path}/pid;
error_log {path}/log warn;
worker_processes auto;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    {temporary}
    tcp_nodelay on;
    keepalive_timeout 75s;
    keepalive_requests 100000000;
    upstream stub {{
        server {upstream};
        keepalive 2048;
        keepalive_requests 100000000;
    }}
    server {{
        listen {address} backlog=4096;
        location / {{
            proxy_pass http://stub;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_read_timeout 120s;
        }}
        {events}
    }}
}}
"
    )
}
