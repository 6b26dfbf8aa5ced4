//! What the one who runs this can choose.

use std::path::PathBuf;

use crate::Done;
use crate::gateways::Kind;
use crate::stub::Dialect;

/// The petstream that was built with this.
const BUILT: &str = env!("CARGO_BIN_EXE_petstream");

/// Measures petstream beside nginx and beside no gateway at all.
#[derive(Debug, clap::Parser)]
#[command(name = "gateway")]
pub(crate) struct Options {
    /// A little of everything, to see that it works: its numbers mean nothing.
    #[arg(long)]
    pub(crate) tiny: bool,
    /// How often each gateway is measured with each workload. 3, or 1 with --tiny, unless given.
    #[arg(long)]
    rounds: Option<usize>,
    /// Which of burst, batched, paced, short, plain, hold, events, idle. All unless given.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    workloads: Vec<String>,
    /// Which of petstream, nginx (nchan for events), stub (no gateway). All unless given.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    gateways: Vec<String>,
    /// A petstream to measure, PATH or LABEL=PATH; several times for several. That of PETSTREAM_BIN, or the one that was
    /// built with this, unless given.
    #[arg(long, value_name = "LABEL=PATH")]
    petstream: Vec<String>,
    /// How the upstream speaks.
    #[arg(long, value_enum, default_value_t = Dialect::Openai)]
    pub(crate) dialect: Dialect,
    /// API keys, which requests take in turn.
    #[arg(long, default_value_t = 1)]
    pub(crate) keys: usize,
    /// Streams at once of burst and paced, in place of 64 and 200, with as many tokens in all.
    #[arg(long)]
    pub(crate) streams: Option<usize>,
    /// Where the results go, as JSON.
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/gateway.json"))]
    pub(crate) output: PathBuf,
    /// What cargo bench says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.tiny { 1 } else { 3 }).max(1)
    }

    /// Whether a workload of that name is to run.
    pub(crate) fn runs(&self, workload: &str) -> bool {
        self.workloads.is_empty() || self.workloads.iter().any(|name| name == workload)
    }

    /// Whoever is to be measured, the one before whom the others are judged in front; and what can't be, in words.
    pub(crate) fn kinds(&self) -> Done<(Vec<Kind>, Vec<String>)> {
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
            kinds.extend(self.petstreams()?);
        }
        if wanted("stub") {
            kinds.push(Kind::Stub);
        }
        Ok((kinds, left_out))
    }

    fn petstreams(&self) -> Done<Vec<Kind>> {
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
