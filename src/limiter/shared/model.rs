//! What `exchange.lua` does, in Rust: for simulations without Redis. The suite `replicas` compares both.

use std::collections::HashMap;
use std::time::Duration;

use super::exchange::{Exchange, LIFE, Reply};

/// One token, in units of `used`.
const TOKEN: f64 = 60_000_000.0;

/// The hash of one limit.
#[derive(Clone, Debug, Default)]
struct Hash {
    used: f64,
    /// Microseconds.
    at: u64,
    /// What each replica holds.
    entries: HashMap<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    held: f64,
    till: u64,
    number: u64,
}

/// Redis, as far as the script needs it.
#[derive(Debug, Default)]
pub(super) struct Model {
    hashes: HashMap<String, (Hash, u64)>,
}

impl Model {
    /// Runs the script at `now`, in microseconds of Redis' clock.
    pub(super) fn exchange(&mut self, key: &str, replica: &str, exchange: &Exchange, now: u64) -> Reply {
        let life = u64::try_from(LIFE.as_micros()).unwrap_or(u64::MAX);
        let live = self.hashes.remove(key).filter(|(_, expires)| *expires > now);
        let (mut hash, expires) = live.unwrap_or((Hash { at: now, ..Hash::default() }, 0));
        let is_alive = |entry: &Entry| entry.till > now && entry.till <= now + 2 * life;
        hash.entries.retain(|name, entry| name == replica || is_alive(entry));
        let own = hash.entries.get(replica);
        if own.is_some_and(|own| exchange.number <= own.number) {
            let used = hash.used;
            self.hashes.insert(key.to_owned(), (hash, expires));
            return Reply { accepted: false, granted: 0, used, wait: Duration::ZERO };
        }
        let held_before = own.filter(|own| is_alive(own)).map_or(0.0, |own| own.held);
        let by_others: f64 =
            hash.entries.iter().filter(|(name, _)| *name != replica).map(|(_, entry)| entry.held).sum();
        let (gain, held) = (exchange.gain() as f64, exchange.held as f64);
        let gained = gain * now.saturating_sub(hash.at) as f64;
        let mut used = (hash.used - gained).max((by_others + held_before) * TOKEN);
        used = (used + exchange.delta as f64 * TOKEN).max(exchange.floor).max((by_others + held) * TOKEN);
        if gain == 0.0 {
            used = (by_others + held) * TOKEN;
        }
        let free = exchange.limit as f64 * TOKEN - used;
        let (mut granted, mut wait) = (0.0, 0.0);
        if exchange.most > 0 {
            let least = exchange.least as f64 * TOKEN;
            if free >= least {
                granted = (exchange.most as f64).min((free / TOKEN).floor());
            } else if gain > 0.0 {
                wait = ((least - free) / gain).ceil();
            }
        }
        used += granted * TOKEN;
        let held = held + granted;
        (hash.used, hash.at) = (used, now);
        if held > 0.0 {
            let entry = Entry { held, till: now + life, number: exchange.number };
            hash.entries.insert(replica.to_owned(), entry);
        } else {
            hash.entries.remove(replica);
        }
        let rest = if gain > 0.0 { (used / gain).min(2_592_000_000_000.0).max(life as f64) } else { life as f64 };
        let expires = now + ((rest / 1_000.0).ceil() as u64 + 1_000) * 1_000;
        self.hashes.insert(key.to_owned(), (hash, expires));
        Reply { accepted: true, granted: granted as u64, used, wait: Duration::from_micros(wait as u64) }
    }
}
