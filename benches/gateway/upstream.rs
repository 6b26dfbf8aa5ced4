//! The upstream, in a process of its own: answers like the real API. Each token holds its number and the time at which
//! it was written.

use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until};

use crate::clock::{DIGITS, now, write_digits};
use crate::result::Result;
use crate::surface::{MODEL, Surface};
use crate::worker::{runtime, write_line};

/// Bytes of a token's frame, from `data:` to the blank line.
const FRAME: usize = 250;
/// Length of the accept queue: all streams may begin at once.
const BACKLOG: u32 = 4096;
const USAGE: &str = r#"{"prompt_tokens":60,"completion_tokens":0,"total_tokens":60}"#;

/// The optional members of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Dialect {
    /// As OpenAI: `"usage":null` in each chunk where usage was requested, then `obfuscation`.
    Openai,
    /// As vLLM and llama.cpp: neither.
    Plain,
}

impl Dialect {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Plain => "plain",
        }
    }
}

/// Listens on a free port, prints its address, and answers until the process is killed.
pub(crate) fn run() -> Result<()> {
    let dialect = match std::env::args().nth(2).as_deref() {
        Some("plain") => Dialect::Plain,
        _ => Dialect::Openai,
    };
    runtime()?.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        write_line(&listener.local_addr()?.to_string())?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            // An error is a gateway that closes, which it may do at any time.
            tokio::spawn(async move { serve(socket, dialect).await });
        }
    })
}

/// The parameters of a request. The benchmark passes pace and batch size in the `user` member.
struct Request {
    surface: Surface,
    stream: bool,
    usage: bool,
    tokens: usize,
    gap: Duration,
    /// Bytes to collect before each write.
    batch: usize,
}

impl Request {
    /// Reads a request, head and body.
    fn read(body: &[u8]) -> Self {
        let line = &body[..memmem::find(body, b"\r\n").unwrap_or(0)];
        let tokens = [r#""max_tokens":"#, r#""max_completion_tokens":"#, r#""max_output_tokens":"#];
        let has = |text: &str| memmem::find(body, text.as_bytes()).is_some();
        Self {
            surface: Surface::of_request(&String::from_utf8_lossy(line).to_ascii_lowercase()),
            stream: has(r#""stream":true"#),
            usage: has(r#""include_usage":true"#),
            tokens: tokens.into_iter().find_map(|name| number(body, name)).unwrap_or(1),
            gap: Duration::from_micros(number(body, r#"":"gap-"#).unwrap_or(0) as u64),
            batch: number(body, "-batch-").unwrap_or(0),
        }
    }
}

/// The number after `key`.
fn number(body: &[u8], key: &str) -> Option<usize> {
    let rest = &body[memmem::find(body, key.as_bytes())? + key.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

async fn serve(mut socket: TcpStream, dialect: Dialect) -> Result<()> {
    let mut buffer = Vec::with_capacity(4 << 10);
    while let Some(end) = request(&mut socket, &mut buffer).await? {
        let request = Request::read(&buffer[..end]);
        buffer.drain(..end);
        if request.stream {
            stream(&mut socket, &request, dialect).await?;
        } else {
            socket.write_all(&whole()).await?;
        }
    }
    Ok(())
}

/// Reads until the buffer holds a whole request; returns its length. None when the client has closed.
async fn request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<usize>> {
    loop {
        if let Some(head) = memmem::find(buffer, b"\r\n\r\n") {
            let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.ok_or("a request without its length")?.trim().parse()?;
            if buffer.len() >= head + 4 + length {
                return Ok(Some(head + 4 + length));
            }
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn stream(socket: &mut TcpStream, request: &Request, dialect: Dialect) -> Result<()> {
    let mut token = match request.surface {
        Surface::Chat => Token::new(dialect, request.usage),
        surface => Token::native(surface),
    };
    let mut out = Vec::with_capacity(request.batch + 1024);
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n");
    out.extend_from_slice(b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n");
    let extras = extras(dialect, request.usage, "");
    let [first, last] = request.surface.native_events();
    match request.surface {
        Surface::Chat => {
            put_chunk(&mut out, &frame(r#"{"role":"assistant","content":"","refusal":null}"#, "null", &extras));
        }
        _ => put_chunk(&mut out, &first),
    }
    let began = Instant::now();
    for index in 0..request.tokens {
        if index > 0 && !request.gap.is_zero() {
            sleep_until(began + request.gap * index as u32).await;
        }
        token.push(&mut out, index);
        if out.len() >= request.batch || !request.gap.is_zero() {
            socket.write_all(&out).await?;
            out.clear();
        }
    }
    if request.surface != Surface::Chat {
        put_chunk(&mut out, &last);
        out.extend_from_slice(b"0\r\n\r\n");
        return Ok(socket.write_all(&out).await?);
    }
    put_chunk(&mut out, &frame("{}", r#""stop""#, &extras));
    if request.usage {
        let usage = format!("data: {}\"choices\":[],\"usage\":{USAGE}}}\n\n", chunk_start());
        put_chunk(&mut out, &usage);
    }
    put_chunk(&mut out, "data: [DONE]\n\n");
    out.extend_from_slice(b"0\r\n\r\n");
    Ok(socket.write_all(&out).await?)
}

/// A non-streaming answer.
fn whole() -> Vec<u8> {
    let body = format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"{MODEL}","choices":[{{"index":0,"message":{{"role":"assistant","content":"A small one.","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{USAGE}}}"#
    );
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    [head, body].concat().into_bytes()
}

/// The beginning of a chunk, up to its choices.
fn chunk_start() -> String {
    format!(r#"{{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"{MODEL}","#)
}

fn extras(dialect: Dialect, usage: bool, padding: &str) -> String {
    match (dialect, usage) {
        (Dialect::Plain, _) => String::new(),
        (Dialect::Openai, false) => format!(r#","obfuscation":"{padding}""#),
        (Dialect::Openai, true) => format!(r#","usage":null,"obfuscation":"{padding}""#),
    }
}

fn frame(delta: &str, finish: &str, extras: &str) -> String {
    let choice = format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#);
    format!("data: {}\"choices\":[{choice}]{extras}}}\n\n", chunk_start())
}

/// Appends a frame as one HTTP chunk.
fn put_chunk(out: &mut Vec<u8>, frame: &str) {
    out.extend_from_slice(format!("{:x}\r\n{frame}\r\n", frame.len()).as_bytes());
}

/// A template of a token's chunk, into which number and time are written.
struct Token {
    bytes: Vec<u8>,
    number: usize,
    stamp: usize,
}

impl Token {
    fn new(dialect: Dialect, usage: bool) -> Self {
        let content = |text: &str| format!(r#"{{"content":" #NNNNNN@{}{text}"}}"#, "S".repeat(DIGITS));
        let bare = frame(&content(""), "null", &extras(dialect, usage, "")).len();
        let padding = "x".repeat(FRAME.saturating_sub(bare));
        let frame = match dialect {
            Dialect::Openai => frame(&content(""), "null", &extras(dialect, usage, &padding)),
            Dialect::Plain => frame(&content(&padding), "null", ""),
        };
        Self::of_frame(&frame)
    }

    /// The token of an answer in another API than chat.
    fn native(surface: Surface) -> Self {
        Self::of_frame(&surface.native_token(&format!(" #NNNNNN@{}", "S".repeat(DIGITS))))
    }

    fn of_frame(frame: &str) -> Self {
        let mut bytes = Vec::new();
        put_chunk(&mut bytes, frame);
        let number = memmem::find(&bytes, b"NNNNNN").unwrap_or(0);
        Self { bytes, number, stamp: number + "NNNNNN@".len() }
    }

    fn push(&mut self, out: &mut Vec<u8>, index: usize) {
        write_digits(&mut self.bytes[self.number..self.number + 6], index as u64);
        write_digits(&mut self.bytes[self.stamp..self.stamp + DIGITS], now());
        out.extend_from_slice(&self.bytes);
    }
}
