//! One exchange with the shared state of a limit: the arguments and the answer of `exchange.lua`, which explains them.

use std::time::Duration;

/// The script.
pub(super) const SCRIPT: &str = include_str!("exchange.lua");
/// Version of the fields and the arguments: part of the names of keys, so that replicas of two versions do not misread
/// each other during an upgrade. They count separately for that time.
pub(super) const VERSION: u32 = 1;
/// How long what a replica holds is counted as held after its last exchange.
pub(super) const LIFE: Duration = Duration::from_secs(5);

/// The arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exchange {
    /// Rises with each exchange of a replica.
    pub(super) number: u64,
    /// The limit, tokens.
    pub(super) limit: u64,
    /// Whether tokens come back with time, at `limit` a minute; permits do not.
    pub(super) regains: bool,
    /// Tokens that the replica holds and has not spent.
    pub(super) held: u64,
    /// Tokens to add to what is used; negative: given back.
    pub(super) delta: i64,
    /// Least number of tokens that is of use.
    pub(super) least: u64,
    /// Most tokens to grant.
    pub(super) most: u64,
    /// Units that are used at least.
    pub(super) floor: f64,
}

impl Exchange {
    /// The arguments of the script, in its order.
    pub(super) fn arguments(&self, replica: &str) -> [String; 9] {
        [
            replica.to_owned(),
            self.number.to_string(),
            self.limit.to_string(),
            self.gain().to_string(),
            self.held.to_string(),
            self.delta.to_string(),
            self.least.to_string(),
            self.most.to_string(),
            format!("{:.0}", self.floor),
        ]
    }

    /// Units that come back in a microsecond.
    pub(super) const fn gain(&self) -> u64 {
        if self.regains { self.limit } else { 0 }
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reply {
    /// False: a later exchange of the replica came first, and nothing was done.
    pub(super) accepted: bool,
    /// Tokens that the replica holds in addition.
    pub(super) granted: u64,
    /// Units that are used, with those that were granted; a token is 60,000,000. Whole numbers up to 2^53 units, 150
    /// million tokens, are exact; beyond that the error is less than one part in 2^53.
    pub(super) used: f64,
    /// Time until `least` tokens are free, if none was granted; zero for permits.
    pub(super) wait: Duration,
}

impl Reply {
    /// Reads the script's answer.
    pub(super) fn new((accepted, granted, used, wait): &(i64, i64, String, i64)) -> Option<Self> {
        let used = used.parse().ok().filter(|used: &f64| used.is_finite())?;
        let wait = Duration::from_micros(u64::try_from(*wait).ok()?);
        Some(Self { accepted: *accepted == 1, granted: u64::try_from(*granted).ok()?, used, wait })
    }
}
