//! What one replica holds of one limit, and what it knows of the shared state: pure, without clock and Redis.
//!
//! A replica takes a piece of the shared bucket before it spends it, so nothing is admitted twice. What it holds ends
//! [`LIFE`] after the exchange that took or reported it, on the replica's own monotonic clock a little earlier than in
//! Redis: a process that was stopped has nothing when it continues, and what a killed one held is free again.

use std::time::Duration;

use super::super::level::{Level, time_to_gain, tokens_up, units};
use super::exchange::{Exchange, LIFE, Reply};
use super::outage::Outage;
use super::pace::Pace;

/// How long what is held is valid locally, from the start of the exchange.
const VALID: u64 = nanos(LIFE) - 500 * MS;
/// How long the shared state that was seen last refuses without a further exchange.
const FRESH: u64 = 1_000 * MS;
/// What lies idle for so long is given back.
const IDLE: u64 = 2_000 * MS;
/// What is held and used is reported again when it ends within this time.
const RENEW: u64 = 2_000 * MS;
/// Least time between two exchanges of a limit of which less was granted than was wanted.
const SPACING: u64 = 100 * MS;
/// The same for permits, which come back at any time.
const PERMIT_SPACING: u64 = 20 * MS;
/// A piece is what is spent in so many seconds.
const PIECE_SECONDS: u64 = 2;
/// All replicas together hold at most one part in so many of a limit.
pub(super) const PARTS: u64 = 8;
const MS: u64 = 1_000_000;

/// See the module. Times are nanoseconds of the limiter's clock.
#[derive(Debug)]
pub(super) struct Lease {
    limit: u64,
    /// Whether tokens come back with time; otherwise they are permits.
    regains: bool,
    /// Tokens that can be spent; negative: owed, because streams have used more than their estimate.
    held: i64,
    ends_at: u64,
    /// Tokens of estimates that were not used, to be given back. They may have come back with time already, which only
    /// the shared state can tell, so they are not spent again here.
    unused: u64,
    /// Permits in use that were given without the shared state, and were not reported to it since.
    unreported: u64,
    /// The shared state after the last exchange, none before the first.
    known: Option<Level>,
    /// No exchange takes more before that.
    not_before: u64,
    spent_at: u64,
    pace: Pace,
    /// Size of the last piece.
    piece: u64,
    /// Whether the limit is so small that pieces are single tokens.
    scarce: bool,
    demand: Demand,
    /// Tokens that requests wait for, also after the exchange that granted them: they are not given back as idle before
    /// the requests have run.
    awaited: u64,
    /// The number of exchanges that took over what was demanded.
    round: u64,
    /// Whether an exchange is queued.
    pub(super) queued: bool,
    /// Whether an exchange is under way.
    pub(super) under_way: bool,
    /// Whether it is in the list of leases in use.
    pub(super) listed: bool,
    pub(super) outage: Outage,
}

/// What requests wait for since the last exchange began.
#[derive(Debug, Default)]
struct Demand {
    least: u64,
    most: u64,
}

/// The result of [`Lease::spend`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spend {
    /// Spent.
    Done,
    /// The limit is used up for this time.
    Refused(Duration),
    /// Only an exchange can tell.
    Unknown,
}

/// What an exchange was begun with.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) exchange: Exchange,
    began: u64,
    owed: i64,
    uncharged: u64,
    unreported: u64,
    /// Tokens that are given back.
    pub(super) returned: u64,
}

/// What an exchange is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To spend, and to report what is held.
    Take,
    /// To give back everything.
    Leave,
    /// To report what was used before Redis lost its data; takes nothing.
    Recover,
}

impl Lease {
    pub(super) fn new(limit: u64, regains: bool) -> Self {
        Self {
            limit,
            regains,
            held: 0,
            ends_at: 0,
            unused: 0,
            unreported: 0,
            known: None,
            not_before: 0,
            spent_at: 0,
            pace: Pace::default(),
            piece: 1,
            scarce: true,
            demand: Demand::default(),
            awaited: 0,
            round: 0,
            queued: false,
            under_way: false,
            listed: false,
            outage: Outage::default(),
        }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Tokens that are owed.
    pub(super) fn owed(&self) -> u64 {
        u64::try_from(-self.held).unwrap_or(0)
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        // What is known of the use stays known; a larger limit must not be refused for it.
        (self.limit, self.not_before) = (limit, 0);
    }

    /// Spends `tokens` of what is held. Even none can't be spent while tokens are owed.
    pub(super) fn spend(&mut self, tokens: u64, now: u64) -> Spend {
        self.lapse(now);
        let wanted = i64::try_from(tokens).unwrap_or(i64::MAX);
        if self.held >= wanted {
            self.held -= wanted;
            self.spent_at = now;
            self.pace.add(tokens, now);
            return Spend::Done;
        }
        let missing = u64::try_from(wanted.saturating_sub(self.held)).unwrap_or(u64::MAX);
        match self.wait_for(missing, now) {
            Some(wait) => Spend::Refused(wait),
            None => Spend::Unknown,
        }
    }

    /// Takes back what [`Lease::spend`] has spent.
    pub(super) fn unspend(&mut self, tokens: u64) {
        self.held = self.held.saturating_add_unsigned(tokens);
    }

    /// Corrects an estimate: `more` tokens were used than were spent, or fewer if it is negative.
    pub(super) fn settle(&mut self, more: i64, now: u64) {
        self.lapse(now);
        if more > 0 {
            self.pace.add(more.unsigned_abs(), now);
            self.held = self.held.saturating_sub(more);
            return;
        }
        let unused = more.unsigned_abs();
        self.unused = self.unused.saturating_add(unused);
        if let Some(known) = &mut self.known {
            known.refill(self.limit, now);
            known.used = (known.used - units(unused)).max(0);
        }
        self.not_before = 0;
    }

    /// Gives a permit without the shared state.
    pub(super) fn note_unreported(&mut self) {
        self.unreported = self.unreported.saturating_add(1);
    }

    /// A permit is not in use any more. Returns whether it should be given back at once: where permits are few, an idle
    /// one may be what another replica refuses a stream for.
    pub(super) fn release(&mut self, now: u64) -> bool {
        if self.unreported > 0 {
            self.unreported -= 1;
            return false;
        }
        self.held = self.held.saturating_add(1);
        self.spent_at = now;
        self.lapse(now);
        self.scarce && self.held > 0
    }

    /// Whether more should be taken before what is held is spent: a quarter is left.
    pub(super) fn is_low(&self, now: u64) -> bool {
        let left = u64::try_from(self.held).unwrap_or(0);
        self.piece >= 4 && left * 4 <= self.piece && !self.queued && !self.under_way && self.wait_for(1, now).is_none()
    }

    /// Keeps `tokens` for a request that has to wait, until [`Lease::unawait`].
    pub(super) fn await_tokens(&mut self, tokens: u64) {
        self.awaited = self.awaited.saturating_add(tokens);
    }

    /// The request has spent the tokens, or needs them no more.
    pub(super) fn unawait(&mut self, tokens: u64) {
        self.awaited = self.awaited.saturating_sub(tokens);
    }

    /// Notes that a request waits for `tokens`, until [`Lease::undemand`] with the number that this returns.
    pub(super) fn demand(&mut self, tokens: u64) -> u64 {
        let least = if self.demand.most == 0 { tokens } else { self.demand.least.min(tokens) };
        self.demand = Demand { least, most: self.demand.most.saturating_add(tokens) };
        self.round
    }

    /// The request does not wait any more. What an exchange was begun with is not changed by it.
    pub(super) fn undemand(&mut self, tokens: u64, round: u64) {
        if self.round == round {
            self.demand.most = self.demand.most.saturating_sub(tokens);
        }
    }

    /// Units that are used of the shared limit, as far as is known, with what all replicas hold.
    pub(super) fn used(&self, now: u64) -> i128 {
        self.known.map_or(0, |known| if self.regains { known.refilled(self.limit, now).used } else { known.used })
    }

    /// Whether the shared state was seen so lately that a replica that was busy meanwhile has used little.
    pub(super) fn knows_use(&self, now: u64) -> bool {
        self.known.is_some_and(|known| now < known.at.saturating_add(VALID))
    }

    /// Begins an exchange. `open` is the number of permits in use.
    pub(super) fn begin(&mut self, purpose: Purpose, number: u64, replicas: u64, open: u64, now: u64) -> Begun {
        self.lapse(now);
        let cap = (self.limit / (PARTS * replicas.max(1))).max(1);
        let piece = self.pace.rate(now).saturating_mul(PIECE_SECONDS).clamp(1, cap);
        self.scarce = cap == 1;
        let (mut fills, mut returned, mut owed, mut uncharged) = (false, 0, 0, 0);
        if purpose != Purpose::Recover {
            let surplus = match purpose {
                Purpose::Leave => u64::try_from(self.held).unwrap_or(0),
                _ => self.surplus(piece, now),
            };
            fills = piece >= 4 && surplus == 0;
            self.held = self.held.saturating_sub_unsigned(surplus);
            returned = surplus.saturating_add(std::mem::take(&mut self.unused));
            if self.regains {
                owed = (-self.held).max(0);
                uncharged = self.outage.uncharged(now);
            }
        }
        let held = u64::try_from(self.held).unwrap_or(0);
        let demand = std::mem::take(&mut self.demand);
        self.round += 1;
        let most = match purpose {
            Purpose::Leave | Purpose::Recover => 0,
            _ if now < self.not_before => 0,
            // Without a request that waits, only a piece of which a part was spent is filled up.
            Purpose::Take if demand.most == 0 && (!fills || held * 4 > piece) => 0,
            Purpose::Take => demand.most.max(piece).saturating_sub(held),
        };
        let floor = match (purpose, self.known) {
            (Purpose::Recover, Some(known)) if self.regains => known.refilled(self.limit, now).used as f64 / 1_000.0,
            _ => 0.0,
        };
        self.piece = piece;
        let charge = owed.saturating_add_unsigned(uncharged);
        let exchange = Exchange {
            number,
            limit: self.limit,
            regains: self.regains,
            held: held.saturating_add(open),
            delta: if self.regains { charge.saturating_sub_unsigned(returned) } else { 0 },
            least: demand.least.saturating_sub(held).max(1),
            most,
            floor,
        };
        Begun { exchange, began: now, owed, uncharged, unreported: self.unreported, returned }
    }

    /// Ends an exchange with its answer. `counts`: whether what was granted may be spent.
    pub(super) fn finish(&mut self, begun: &Begun, reply: &Reply, counts: bool, now: u64) {
        if !reply.accepted {
            return;
        }
        self.held = self.held.saturating_add(begun.owed);
        self.outage.charged(begun.uncharged);
        self.unreported = self.unreported.saturating_sub(begun.unreported);
        if counts {
            self.held = self.held.saturating_add_unsigned(reply.granted);
            self.ends_at = begun.began + VALID;
            // The larger unit of levels: a thousand to one.
            self.known = Some(Level { used: (reply.used * 1_000.0) as i128, at: begun.began });
        }
        if reply.granted < begun.exchange.most {
            let few = (self.piece / 4).max(1);
            let spacing = match self.regains {
                true => nanos(time_to_gain(units(few), self.limit)).min(SPACING),
                false => PERMIT_SPACING,
            };
            self.not_before = now + spacing;
        }
        self.lapse(now);
    }

    /// Whether an exchange is due: something is owed, lies idle, or ends soon.
    pub(super) fn is_due(&mut self, open: u64, now: u64) -> bool {
        self.lapse(now);
        if !self.regains {
            return open > 0 || self.held > 0;
        }
        if self.held < 0 || self.unused > 0 || self.outage.uncharged(now) > 0 {
            return true;
        }
        let is_used = now.saturating_sub(self.spent_at) < IDLE;
        self.surplus(self.piece, now) > 0 || (self.held > 0 && is_used && self.ends_at < now + RENEW)
    }

    /// Whether anything is held, owed, or known to be used: after a loss of data it is reported.
    pub(super) fn is_in_use(&mut self, open: u64, now: u64) -> bool {
        self.is_due(open, now) || self.held != 0 || (self.regains && self.used(now) > 0)
    }

    /// Tokens used as far as is known, for headers and texts.
    pub(super) fn used_tokens(&self, now: u64) -> u64 {
        let used = self.used(now) - i128::from(self.held) * units(1);
        tokens_up(used.max(0))
    }

    /// Tokens to give back. One token that lies idle is not worth an exchange: it lapses. A permit is.
    fn surplus(&self, piece: u64, now: u64) -> u64 {
        let held = u64::try_from(self.held).unwrap_or(0).saturating_sub(self.awaited);
        let is_idle = now.saturating_sub(self.spent_at) >= IDLE;
        match self.regains {
            true if is_idle && held > 1 => held,
            true if is_idle => 0,
            false if is_idle || self.scarce => held,
            // Estimates were larger than what was used, or many streams have ended.
            _ if held > piece.saturating_mul(2) => held - piece,
            _ => 0,
        }
    }

    /// The time until `missing` tokens can be there; none: an exchange has to tell.
    fn wait_for(&self, missing: u64, now: u64) -> Option<Duration> {
        let spacing = Duration::from_nanos(self.not_before.saturating_sub(now));
        let known = self.known.filter(|known| self.regains && now < known.at.saturating_add(FRESH));
        let over = known.map_or(0, |known| known.refilled(self.limit, now).used + units(missing) - units(self.limit));
        let wait = time_to_gain(over, self.limit).max(spacing);
        (!wait.is_zero()).then_some(wait)
    }

    fn lapse(&mut self, now: u64) {
        if self.held > 0 && now >= self.ends_at {
            self.held = 0;
        }
    }
}

const fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}
