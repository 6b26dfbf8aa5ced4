//! Bodies that are expensive to process: other connections of the same thread must not be delayed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::server::Server;
use test_support::config::one_model;
use test_support::frames::answer;
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

/// A large body, bytes.
const SIZE: usize = 14 << 20;
/// Longest wait: the bound that is documented, with an allowance for a debug build on a busy machine.
const MAX_WAIT: Duration = Duration::from_millis(250 + 750);

/// A client that repeats one request on its own connection and thread.
struct Probe {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(Duration, usize)>,
}

impl Probe {
    fn start(server: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut connection = TcpStream::connect(server).unwrap();
            connection.set_nodelay(true).unwrap();
            let (mut longest, mut count) = (Duration::ZERO, 0);
            while !seen.load(Ordering::Relaxed) {
                let began = Instant::now();
                connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
                let read = connection.read(&mut [0; 4096]).unwrap();
                assert!(read > 0);
                longest = longest.max(began.elapsed());
                count += 1;
            }
            (longest, count)
        });
        Self { over, thread }
    }

    /// The longest wait, and how many answers there were.
    fn stop(self) -> (Duration, usize) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Repeats an item, separated by commas, up to the length of a large body.
fn many(item: &str, size: usize) -> String {
    let mut list = format!("{item},").repeat(size / (item.len() + 1));
    list.pop();
    list
}

/// Requests with the status of their answers.
fn hostile() -> Vec<(&'static str, Request, u16)> {
    const HI: &str = r#""messages":[{"role":"user","content":"How many cats?"}]"#;
    let json = |method: &str, path: &str, body: String| {
        Request::new(method, path).header("content-type", "application/json").body(body)
    };
    let chat = |body: String| json("POST", "/v1/chat/completions", body);
    let with = |model: &str, more: String| chat(format!(r#"{{"model":"{model}",{HI},{more}}}"#));
    let said = |model: &str, messages: String| chat(format!(r#"{{"model":"{model}","messages":[{messages}]}}"#));
    let list = format!(r#""x":[{}]"#, many("1", SIZE));
    let pet = "/api/pets/01890a5d-ac96-774b-bcce-b302099a8057";
    let escapes = format!(r#"{{"role":"user","content":"{}"}}"#, r"\u00e9".repeat(SIZE / 6));
    let string = format!(r#"{{"role":"user","content":"{}"}}"#, "dogs ".repeat(SIZE / 5));
    // Counting tokens takes seconds per megabyte in a debug build.
    let question = format!(r#"{{"role":"user","content":"{}"}}"#, "dogs ".repeat(60_000));
    vec![
        ("repeated top_logprobs", with("m", many(r#""top_logprobs":1"#, SIZE)), 400),
        ("repeated metadata", with("petstore-ai", format!(r#""metadata":{{{}}}"#, many(r#""k":"v""#, SIZE))), 400),
        ("a list for petstore-ai", with("petstore-ai", list.clone()), 200),
        ("a list for an upstream", with("m", list.clone()), 200),
        ("a list for the store", json("POST", "/api/pets", format!("{{{list}}}")), 400),
        ("a patch of many members", json("PATCH", pet, format!("{{{}}}", many(r#""x":1"#, SIZE))), 400),
        ("a pet with a long name", json("PUT", pet, format!(r#"{{"name":"{}"}}"#, "x".repeat(SIZE))), 400),
        ("no JSON at last", json("POST", "/api/orders", format!("{{{}", many(r#""x":1"#, SIZE))), 400),
        ("deep lists", with("m", format!(r#""x":{}"#, "[".repeat(SIZE))), 400),
        ("escapes", said("m", escapes), 200),
        ("a long text", said("m", string), 200),
        ("a long question", said("petstore-ai", question), 200),
        ("many tiny messages", said("m", many(r#"{"role":"user","content":"a","name":"b"}"#, SIZE)), 200),
        ("many tools", with("m", format!(r#""tools":[{}]"#, many(r#"{"type":"function"}"#, SIZE))), 200),
        ("a giant logit_bias", with("m", format!(r#""logit_bias":{{{}}}"#, many(r#""50256":-100"#, SIZE))), 200),
    ]
}

#[tokio::test]
async fn a_large_body_of_any_kind_does_not_delay_other_requests() {
    let scripts: Vec<_> = (0..6).map(|_| Script::json(200, &answer("hi"))).collect();
    let upstream = Upstream::start(scripts).await;
    let server = Server::start(&(one_model(&upstream, "model: other") + "threads: 1\n")).await;
    for (what, request, status) in hostile() {
        let probe = Probe::start(server.address);
        let answer = server.ask(&request).await;
        let (longest, count) = probe.stop();
        assert_eq!(answer.status, status, "{what}: {}", &answer.text()[..answer.text().len().min(500)]);
        assert!(answer.body.len() < 100_000, "{what}: an answer of {} bytes", answer.body.len());
        assert!(longest <= MAX_WAIT, "{what}: somebody else waited {longest:?}; {count} others were answered");
    }
    server.stop().await;
}
