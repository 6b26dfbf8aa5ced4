//! The cost of single codecs: the frames of an upstream's stream, requests, live events.
//!
//! `cargo bench --bench codecs` measures, `cargo test --bench codecs` runs each once, to check that it works.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use jiff::Timestamp;

use petstream::wire::chunk::{ChunkParser, ParsedFrame};
use petstream::wire::event::{Epoch, EventKind, LastSeqs, Topics};
use petstream::wire::event_frame::{EncodedEvent, EventParts};
use petstream::wire::request::{InferenceRequest, RequestRules, UnknownMembers};
use petstream::wire::sse::Decoder;

type Outcome = Result<(), Box<dyn Error>>;

/// A token's chunk as OpenAI sends it.
const TOKEN: &str = r#"{"id":"chatcmpl-C5kZ8qTn3hWb0yVx","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_51e1070cf2","choices":[{"index":0,"delta":{"content":" golden"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"h4Zq"}"#;
/// A chunk of a tool call: not in the form of a token.
const CALL: &str = r#"{"id":"chatcmpl-C5kZ8qTn3hWb0yVx","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_51e1070cf2","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"pet\":"}}]},"logprobs":null,"finish_reason":null}],"usage":null}"#;
/// The resource in a store event about a pet.
const PET: &str = r#""resource":{"id":"01890a5d-ac96-774b-bcce-b302099a8057","species":"DOG","name":"Baxter","breed":"Golden Retriever","ageMonths":26,"size":"LARGE","color":"golden","gender":"MALE","goodWithKids":true,"price":"850.00","currency":"USD","description":"Knows every tree of the park.","status":"AVAILABLE","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z","version":7}"#;
/// Limit for a line of an upstream, bytes.
const LINE: usize = 1 << 20;
/// The rules for requests, by the defaults of the configuration.
const RULES: RequestRules =
    RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: Some("petstore-ai") };

fn main() -> Outcome {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    decoder(&mut criterion.benchmark_group("sse decoder"))?;
    chunk_parser(&mut criterion.benchmark_group("chunk parser"))?;
    requests(&mut criterion.benchmark_group("request"))?;
    events(&mut criterion.benchmark_group("event"))?;
    criterion.final_summary();
    Ok(())
}

/// Frames as they arrive: one per read, 64 per read, and one split over two reads.
fn decoder(group: &mut BenchmarkGroup<'_, WallTime>) -> Outcome {
    let frame = format!("data: {TOKEN}\n\n");
    let (begin, end) = frame.split_at(frame.len() / 2);
    for (name, pieces, frames) in [
        ("one frame", vec![frame.clone()], 1),
        ("64 frames in one read", vec![frame.repeat(64)], 64),
        ("one frame in two reads", vec![begin.to_owned(), end.to_owned()], 1),
    ] {
        let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
        let mut decoder = Decoder::new(LINE);
        let decode = |decoder: &mut Decoder| {
            let mut count = 0;
            for piece in &pieces {
                decoder.push(piece.clone());
                while let Ok(Some(event)) = decoder.next_event() {
                    black_box(event);
                    count += 1;
                }
            }
            count
        };
        expect(name, decode(&mut decoder) == frames)?;
        group.throughput(Throughput::Elements(frames));
        group.bench_function(name, |bench| bench.iter(|| decode(&mut decoder)));
    }
    Ok(())
}

/// A stream whose frames share one template, which is the rule, and one whose template changes with every frame.
fn chunk_parser(group: &mut BenchmarkGroup<'_, WallTime>) -> Outcome {
    group.throughput(Throughput::Elements(2));
    for (name, frames) in [("two usual frames", [TOKEN, TOKEN]), ("two unlike frames", [TOKEN, CALL])] {
        let mut parser = ChunkParser::default();
        let mut parse = || frames.map(|frame| parser.parse(black_box(frame.as_bytes())));
        expect(name, parse().iter().all(|found| matches!(found, Ok(ParsedFrame::Chunk(_)))))?;
        group.bench_function(name, |bench| bench.iter(&mut parse));
    }
    Ok(())
}

/// A short question, and a conversation of 100 KB.
fn requests(group: &mut BenchmarkGroup<'_, WallTime>) -> Outcome {
    let turn = r#"{"role":"user","content":"We live in a small flat and have two children.\nWhich of your dogs would you give us, and why \"that one\"?"}"#;
    for (name, turns) in [("small", 1), ("100 KB", 100_000 / turn.len())] {
        let messages = vec![turn; turns].join(",");
        let body = format!(r#"{{"model":"gpt-4o","stream":true,"temperature":0.7,"messages":[{messages}]}}"#);
        let body = Bytes::from(body);
        let parse = || InferenceRequest::chat(black_box(body.clone()), &RULES);
        expect(name, parse().is_ok_and(|request| request.stream && &*request.model == "gpt-4o"))?;
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bench| bench.iter(parse));
    }
    Ok(())
}

/// An event is encoded once, and written for each set of topics that has subscribers.
fn events(group: &mut BenchmarkGroup<'_, WallTime>) -> Outcome {
    let epoch: Epoch = "k3f9a2".parse().map_err(|_| "no epoch")?;
    let parts = EventParts {
        kind: EventKind::PetUpdate,
        id: "01890a5d-ac96-774b-bcce-b302099a8057",
        version: 7,
        at: Timestamp::UNIX_EPOCH,
        prev: LastSeqs([41, 40, 39, 38]),
        body: PET,
    };
    let encode = || EncodedEvent::new(&epoch, 42, black_box(&parts));
    let encoded = encode();
    let mut block = BytesMut::new();
    encoded.push_block(&mut block, Topics::ALL, true);
    expect("event", block.starts_with(b"id: k3f9a2.42\nevent: ") && block.ends_with(b"}\n\n"))?;
    group.throughput(Throughput::Bytes(block.len() as u64));
    group.bench_function("encode", |bench| bench.iter(encode));
    group.bench_function("write a block", |bench| {
        let push = |mut out: BytesMut| {
            encoded.push_block(&mut out, black_box(Topics::ALL), true);
            out
        };
        bench.iter_batched(|| BytesMut::with_capacity(1024), push, BatchSize::SmallInput);
    });
    Ok(())
}

/// Checks that the measured code has done its work: failures are quick too.
fn expect(name: &str, holds: bool) -> Outcome {
    if holds { Ok(()) } else { Err(format!("{name}: an unexpected result").into()) }
}
