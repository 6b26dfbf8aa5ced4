//! Plays the script of one attempt.

use std::time::Duration;

use super::connection::{Connection, PlannedRequest};
use super::content::{Content, error};
use super::reset;
use crate::random::Random;
use crate::storm::attempts::{AttemptId, AttemptLog, SentFrame, brief};
use crate::storm::fault::Fault;
use crate::storm::plan::{Dialect, Script, Split};

/// Longer than the configured limit of a frame, bytes.
const TOO_LONG: usize = 80 << 10;
/// Interval between the chunks of an endless answer.
const ENDLESS_INTERVAL: Duration = Duration::from_millis(20);

/// Answers one request. None when the connection is over.
pub(super) async fn answer(
    line: &mut Connection,
    attempt_log: &AttemptLog,
    attempt_id: AttemptId,
    script: &Script,
    request: &PlannedRequest,
) -> Option<()> {
    line.pause(Duration::from_millis(script.late)).await?;
    let content = Content { attempt_id, script, request, count: 0 };
    let mut player = Player { line, attempt_log, content, random: Random::new(script.seed), pending: Vec::new() };
    match script.fault {
        Fault::CloseAtOnce => return None,
        Fault::ResetAtOnce => {
            reset(&player.line.tcp);
            return None;
        }
        Fault::SilentHead => {
            player.line.wait_for_close().await;
            return None;
        }
        Fault::Refuse(status) => {
            let more = if status == 429 { "retry-after: 1\r\n" } else { "" };
            player.whole(status, &format!("content-type: application/json\r\n{more}"), &error(), 0).await?;
        }
        Fault::Page => player.whole(200, "content-type: text/html\r\n", "<html>storm</html>", 0).await?,
        _ if request.streamed && script.fault != Fault::Whole => player.stream().await?,
        _ => player.plain().await?,
    }
    (!script.then_close).then_some(())
}

/// Writes content, cut into pieces.
struct Player<'a> {
    line: &'a mut Connection,
    attempt_log: &'a AttemptLog,
    content: Content<'a>,
    random: Random,
    /// Bytes of a chunked body that have not been written yet.
    pending: Vec<u8>,
}

impl Player<'_> {
    async fn stream(&mut self) -> Option<()> {
        let Script { fault, chunks, .. } = *self.content.script;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.write(head.as_bytes()).await?;
        match fault {
            Fault::SilentFirst => {
                self.raw(b": a sign of life\n\n").await?;
                return self.wait_for_close().await;
            }
            Fault::ErrorFirst => {
                self.frame(&error()).await?;
                return self.end().await;
            }
            _ => {}
        }
        // A failure may precede the first chunk. An endless stream begins with the role as well, which petstream
        // would add.
        if chunks > 0 || fault.failure().is_none() || fault == Fault::Endless {
            let opening = self.content.opening();
            self.send_chunk(opening).await?;
        }
        for _ in 0..chunks {
            let text = self.content.text();
            self.send_chunk(text).await?;
        }
        if fault.failure().is_some() {
            return self.fail(fault).await;
        }
        let last = self.content.last();
        self.send_chunk(last).await?;
        if let Some((text, sent)) = self.content.usage() {
            let usage = sent.usage;
            self.attempt_log.note(self.content.attempt_id, |attempt| attempt.usage = usage);
            self.send_chunk((text, sent)).await?;
        }
        match fault {
            Fault::NoDone => {}
            Fault::DoneWithoutNewline => self.raw(b"data: [DONE]").await?,
            Fault::DoneTwice => {
                self.frame("[DONE]").await?;
                self.frame("[DONE]").await?;
            }
            Fault::ChattyAfterDone => {
                self.frame("[DONE]").await?;
                self.frame("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"late\"}}]}").await?;
                self.frame(&error()).await?;
            }
            _ => self.frame("[DONE]").await?,
        }
        self.end().await
    }

    /// Plays the failure after the chunks. Some failures keep the connection for the next request.
    async fn fail(&mut self, fault: Fault) -> Option<()> {
        match fault {
            Fault::EndsEarly => return self.end().await,
            Fault::ErrorInside => {
                self.frame(&error()).await?;
                return self.end().await;
            }
            Fault::BadJson => self.frame("{\"choices\":[").await?,
            Fault::BadUtf8 => {
                self.raw(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n").await?;
            }
            Fault::TooLong => self.frame(&format!("{{\"choices\":[],\"x\":\"{}\"}}", "x".repeat(TOO_LONG))).await?,
            Fault::SilentInside | Fault::Hold => return self.wait_for_close().await,
            Fault::Endless => loop {
                let text = self.content.text();
                self.send_chunk(text).await?;
                self.flush().await?;
                self.line.pause(ENDLESS_INTERVAL).await?;
            },
            _ => {}
        }
        self.flush().await?;
        match fault {
            Fault::Torn => self.write(b"ff\r\ndata: {\"choi").await?,
            Fault::BadFraming => self.write(b"zz\r\ndata: {}\n\n\r\n").await?,
            Fault::Reset => reset(&self.line.tcp),
            _ => {}
        }
        None
    }

    async fn plain(&mut self) -> Option<()> {
        const JSON: &str = "content-type: application/json\r\n";
        let (whole, usage) = self.content.whole();
        match self.content.script.fault {
            Fault::Torn => self.whole(200, JSON, &whole, 50).await?,
            Fault::SilentInside => {
                self.whole(200, JSON, &whole, 50).await?;
                self.line.wait_for_close().await;
            }
            Fault::Reset => {
                self.whole(200, JSON, &whole, 50).await?;
                reset(&self.line.tcp);
            }
            Fault::BadJson => return self.whole(200, JSON, "{\"choices\":[", 0).await,
            Fault::BadUtf8 => {
                self.write(b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"choices\":\"\xff\xff\xff\"}").await?;
                return Some(());
            }
            Fault::ErrorInside => return self.whole(200, JSON, &error(), 0).await,
            _ => {
                if !self.content.request.streamed {
                    let body = Some((brief(&whole), whole.len()));
                    self.attempt_log
                        .note(self.content.attempt_id, |attempt| (attempt.body, attempt.usage) = (body, usage));
                }
                return self.whole(200, JSON, &whole, 0).await;
            }
        }
        None
    }

    /// Writes a non-streaming answer whose length promises `missing` bytes too many.
    async fn whole(&mut self, status: u16, headers: &str, body: &str, missing: usize) -> Option<()> {
        let length = body.len() + missing;
        let text = format!("HTTP/1.1 {status} Whatever\r\n{headers}content-length: {length}\r\n\r\n{body}");
        self.write(text.as_bytes()).await
    }

    /// Sends a chunk. It is logged before, so that no client has a chunk that is not in the log yet.
    async fn send_chunk(&mut self, (text, sent): (String, SentFrame)) -> Option<()> {
        self.attempt_log.note(self.content.attempt_id, |attempt| attempt.frames.push(sent));
        self.frame(&text).await
    }

    async fn frame(&mut self, data: &str) -> Option<()> {
        let text = match self.content.script.dialect {
            Dialect::Exact => format!("data: {data}\n\n"),
            Dialect::Crlf => format!("data: {data}\r\n\r\n"),
            Dialect::Odd => format!(": hm\nid: 7\nretry: 1\ndata:{data}\n\n"),
        };
        self.raw(text.as_bytes()).await
    }

    /// Adds bytes to the body, and writes complete pieces.
    async fn raw(&mut self, bytes: &[u8]) -> Option<()> {
        self.pending.extend_from_slice(bytes);
        let Split::Bytes(most) = self.content.script.split else { return self.flush().await };
        // Long answers in single bytes would take too long.
        let most = most.max(self.pending.len() / 200);
        while self.pending.len() >= most {
            let size = self.random.between(1, most);
            let piece: Vec<u8> = self.pending.drain(..size).collect();
            self.piece(&piece).await?;
        }
        Some(())
    }

    /// Writes all that is pending.
    async fn flush(&mut self) -> Option<()> {
        let piece = std::mem::take(&mut self.pending);
        if piece.is_empty() { Some(()) } else { self.piece(&piece).await }
    }

    /// Writes one HTTP chunk; a pause may follow.
    async fn piece(&mut self, bytes: &[u8]) -> Option<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.write(&chunk).await?;
        let pause = self.content.script.pause;
        // Rarely, so that a long answer in small pieces ends in time.
        if pause > 0 && self.random.percent(10) {
            let pause = self.random.any() % pause;
            self.line.pause(Duration::from_micros(pause)).await?;
        }
        Some(())
    }

    /// Ends a chunked body.
    async fn end(&mut self) -> Option<()> {
        self.flush().await?;
        self.write(b"0\r\n\r\n").await
    }

    async fn wait_for_close(&mut self) -> Option<()> {
        self.flush().await?;
        self.line.wait_for_close().await;
        None
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        let (attempt_log, attempt_id) = (self.attempt_log, self.content.attempt_id);
        self.line.write(bytes, || attempt_log.note(attempt_id, |attempt| attempt.held_back = true)).await
    }
}
