//! The command line.

use std::path::PathBuf;

use crate::engines::{Engine, SharedEngines};
use crate::gateways::Kind;
use crate::result::Result;
use crate::upstream::Dialect;

/// The petstream executable that was built together with this benchmark.
const BUILT: &str = env!("CARGO_BIN_EXE_petstream");

/// Measures petstream beside nginx and beside no gateway at all.
#[derive(Debug, clap::Parser)]
#[command(name = "gateway")]
pub(crate) struct Options {
    /// Small workloads, to see that everything works: the numbers mean nothing.
    #[arg(long)]
    pub(crate) tiny: bool,
    /// How often each gateway is measured with each workload. Default: 3, or 1 with --tiny.
    #[arg(long)]
    rounds: Option<usize>,
    /// Which of burst, batched, paced, short, plain, hold, handshakes, responses, responses-native, messages,
    /// messages-native, events, idle, commands, rest. Default: all; handshakes only with --tls, events, idle, commands and rest only without.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    workloads: Vec<String>,
    /// Which of petstream, nginx (nchan for events), stub (no gateway). Default: all.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    gateways: Vec<String>,
    /// A petstream executable to measure, PATH or LABEL=PATH; may be repeated. Default: PETSTREAM_BIN, or the one that
    /// was built with this benchmark.
    #[arg(long, value_name = "LABEL=PATH")]
    petstream: Vec<String>,
    /// Where petstream keeps its state. With several, it is measured with each. replicas: three servers on Postgres and
    /// Redis, for events, idle and commands. All but sqlite need Debian's packages postgresql and redis-server.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite", value_name = "ENGINE,…")]
    engine: Vec<Engine>,
    /// The form of the chunks that the upstream sends.
    #[arg(long, value_enum, default_value_t = Dialect::Openai)]
    pub(crate) dialect: Dialect,
    /// Number of API keys, which requests use in turn.
    #[arg(long, default_value_t = 1)]
    pub(crate) keys: usize,
    /// Concurrent streams of burst and paced, in place of 64 and 200; the total of tokens stays the same.
    #[arg(long)]
    pub(crate) streams: Option<usize>,
    /// TLS between the clients and the gateway: 1.3, the same certificate for all. The upstream stays without TLS, and so
    /// do the clients of stub.
    #[arg(long)]
    pub(crate) tls: bool,
    /// File for the results, as JSON.
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/gateway.json"))]
    pub(crate) output: PathBuf,
    /// Passed by cargo bench to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.tiny { 1 } else { 3 }).max(1)
    }

    /// Whether the workload of this name is selected.
    pub(crate) fn runs(&self, workload: &str) -> bool {
        self.workloads.is_empty() || self.workloads.iter().any(|name| name == workload)
    }

    /// The selected gateways, the base of the ratios first; and messages about those that are not installed.
    pub(crate) fn kinds(&self) -> Result<(Vec<Kind>, Vec<String>)> {
        let wanted = |name: &str| self.gateways.is_empty() || self.gateways.iter().any(|wanted| wanted == name);
        let (mut kinds, mut left_out) = (Vec::new(), Vec::new());
        if wanted("nginx") {
            match Kind::nginx() {
                Some(nginx) => {
                    if !nginx.has_events() {
                        let package = "libnginx-mod-nchan";
                        left_out.push(format!("nchan is not installed (Debian: apt-get install {package}): left out"));
                    }
                    kinds.push(nginx);
                }
                None => left_out.push("nginx is not installed (Debian: apt-get install nginx): left out".to_owned()),
            }
        }
        if wanted("petstream") {
            kinds.extend(self.on_engines(&self.petstreams()?)?);
        }
        if wanted("stub") {
            kinds.push(Kind::Stub);
        }
        Ok((kinds, left_out))
    }

    /// Each build with each engine, named by both where there are several engines.
    fn on_engines(&self, petstreams: &[Kind]) -> Result<Vec<Kind>> {
        let is_shared = self.engine.iter().any(|engine| engine.is_shared());
        let engines = if is_shared { Some(SharedEngines::start()?) } else { None };
        let of_engine = |engine: &Engine| {
            let (engine, engines) = (*engine, engines.clone().filter(|_| engine.is_shared()));
            petstreams.iter().map(move |kind| kind.clone().on_engine(engine, engines.clone()))
        };
        Ok(self.engine.iter().flat_map(of_engine).collect())
    }

    fn petstreams(&self) -> Result<Vec<Kind>> {
        if self.petstream.is_empty() {
            let program = std::env::var("PETSTREAM_BIN").unwrap_or_else(|_| BUILT.to_owned());
            return Ok(vec![Kind::petstream("petstream", &program)?]);
        }
        let named = self.petstream.iter().map(|named| match named.split_once('=') {
            Some((label, program)) => Kind::petstream(label, program),
            None => Kind::petstream(named.rsplit('/').next().unwrap_or(named), named),
        });
        named.collect()
    }
}
