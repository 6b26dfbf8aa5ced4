//! nginx as a plain relay: no authentication, no accounting, no log, and the settings that make it fast. With nchan it
//! serves event streams too.

use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::gateway::{Gateway, free_address, spawn};
use crate::event_api::EventApi;
use crate::result::Result;
use crate::tls::{CERTIFICATE_FILE, Certificate, KEY_FILE};

pub(super) fn start(
    folder: TempDir,
    program: &str,
    nchan: Option<&str>,
    upstream: &str,
    certificate: Option<&Certificate>,
) -> Result<Gateway> {
    let address = free_address()?;
    let path = folder.path().display().to_string();
    let listen = match certificate {
        None => format!("listen {address} backlog=4096;"),
        Some(_) => format!(
            "listen {address} backlog=4096 ssl; ssl_protocols TLSv1.3; \
             ssl_certificate {path}/{CERTIFICATE_FILE}; ssl_certificate_key {path}/{KEY_FILE};"
        ),
    };
    std::fs::write(folder.path().join("nginx.conf"), configuration(&path, &listen, nchan, upstream))?;
    let command = || {
        let mut command = Command::new(program);
        command.args(["-p", &path, "-c", "nginx.conf", "-e", super::gateway::LOG]);
        command
    };
    let began = Instant::now();
    let child = spawn(&mut command(), &folder)?;
    let mut stop = command();
    stop.args(["-s", "stop"]).stderr(std::process::Stdio::null());
    let event_api = nchan.map(|_| EventApi::nchan());
    let mut gateway = Gateway::started(address, certificate, folder, child);
    (gateway.event_api, gateway.stop) = (event_api, Some(stop));
    gateway.when_ready(began)
}

fn configuration(path: &str, listen: &str, nchan: Option<&str>, upstream: &str) -> String {
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
        {listen}
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
