//! `petstream keys`: creates, lists and revokes the API keys in the database.

use std::num::{NonZeroU32, NonZeroU64};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use petstream::config::{DatabaseSettings, RateLimits, Sources, load_database_settings, parse_moment};
use petstream::store::{CreateKeyError, NewKey, Store, StoredKey};
use petstream::wire::api_key::{Scope, Scopes, new_secret};
use serde_json::{Value, json};

use super::database::{require_lasting, with_store};
use super::failure::{Failure, fault};
use super::output::{note, print};

/// Longest name of a key, characters.
const MAX_NAME_LEN: usize = 64;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a key and print its secret, once
    Create(Create),
    /// List all keys ever made here, the oldest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; servers refuse it within a second
    Revoke {
        /// Its name or its id
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
}

#[derive(Args)]
pub(super) struct Create {
    /// Unique name, 1 to 64 characters
    #[arg(long, value_parser = name)]
    name: String,
    /// When it expires: 2027-01-01, 2027-01-01T12:00:00Z, or from now on 90d, 12h, 30m [default: never]
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<Timestamp>,
    /// Models that it may use, separated by commas [default: all]
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = model)]
    models: Option<Vec<String>>,
    /// Scopes, separated by commas: chat, store:read, store:write, stats [default: all but stats]
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = scope)]
    scopes: Option<Vec<Scope>>,
    /// Requests a minute [default: limits.per_key]
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<NonZeroU32>,
    /// Prompt and completion tokens a minute [default: limits.per_key]
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<NonZeroU64>,
    /// Streams open at the same time [default: limits.per_key]
    #[arg(long, value_name = "N")]
    concurrent_streams: Option<NonZeroU32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command, sources: &Sources) -> Result<(), Failure> {
    let DatabaseSettings { database, key_names } = load_database_settings(sources).map_err(Failure::Configuration)?;
    require_lasting(&database)?;
    if let Command::Create(create) = &command
        && key_names.contains(&create.name)
    {
        let problem = format!("the configuration has a key named {:?}; choose another name", create.name);
        return Err(Failure::Usage(problem));
    }
    with_store(&database, async |store| match command {
        Command::Create(command) => create(store, command).await,
        Command::List { json } => list(store, json).await,
        Command::Revoke { key } => revoke(store, &key).await,
    })
}

async fn create(store: &Store, command: Create) -> Result<(), Failure> {
    let secret = new_secret().map_err(fault)?;
    let key = NewKey {
        expires_at: command.expires,
        models: command.models,
        scopes: command.scopes.map_or_else(Scopes::default, |scopes| scopes.into_iter().collect()),
        limits: RateLimits {
            requests_per_minute: command.requests_per_minute,
            tokens_per_minute: command.tokens_per_minute,
            concurrent_streams: command.concurrent_streams,
        },
        ..NewKey::new(command.name, &secret)
    };
    let stored = store.create_key(key).await.map_err(|error| match error {
        CreateKeyError::NameTaken => Failure::Usage(error.to_string()),
        CreateKeyError::Store(error) => fault(error),
    })?;
    if command.json {
        let mut shown = as_json(&stored);
        shown["secret"] = Value::String(secret);
        return print(&format!("{shown}\n"));
    }
    note(&format!("Made the key {:?}: {}.", stored.key.name, description(&stored.key)));
    note("This is its secret. Only its hash is kept: it can't be shown again.");
    print(&format!("{secret}\n"))
}

async fn list(store: &Store, json: bool) -> Result<(), Failure> {
    let keys = store.list_keys().await.map_err(fault)?;
    if json {
        let keys: Vec<_> = keys.iter().map(as_json).collect();
        return print(&format!("{}\n", Value::Array(keys)));
    }
    if keys.is_empty() {
        note("There are no keys in the database; make one with: petstream keys create --name NAME");
        return Ok(());
    }
    let now = Timestamp::now();
    let header = ["NAME", "SECRET", "STATE", "CREATED", "MAY", "ID"].map(str::to_owned);
    let row = |stored: &StoredKey| {
        let StoredKey { id, key, created_at, .. } = stored;
        let secret = format!("…{}", key.hint);
        let created = created_at.strftime("%Y-%m-%d").to_string();
        [key.name.clone(), secret, state(stored, now).to_owned(), created, description(key), id.to_string()]
    };
    let rows: Vec<_> = std::iter::once(header).chain(keys.iter().map(row)).collect();
    print(&table(&rows))
}

async fn revoke(store: &Store, name_or_id: &str) -> Result<(), Failure> {
    let Some(stored) = store.revoke_key(name_or_id).await.map_err(fault)? else {
        let problem = format!("no key has the name or id {name_or_id:?}; `petstream keys list` shows them all");
        return Err(Failure::Usage(problem));
    };
    note(&format!("Revoked the key {:?}; running servers refuse it within a second.", stored.key.name));
    Ok(())
}

/// Left-aligned columns, two blanks apart; the last one is not padded.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(|column| if column + 1 == N { 0 } else { width(column) });
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ") + "\n"
    };
    rows.iter().map(line).collect()
}

/// The permissions and limits of `key`, for people.
fn description(key: &NewKey) -> String {
    let scopes: Vec<_> = key.scopes.iter().map(Scope::name).collect();
    let mut parts = vec![scopes.join(", ")];
    parts.push(key.models.as_ref().map_or("all models".to_owned(), |models| format!("models {}", models.join(", "))));
    let RateLimits { requests_per_minute, tokens_per_minute, concurrent_streams } = key.limits;
    parts.extend(requests_per_minute.map(|limit| format!("{limit} requests/min")));
    parts.extend(tokens_per_minute.map(|limit| format!("{limit} tokens/min")));
    parts.extend(concurrent_streams.map(|limit| format!("{limit} streams at once")));
    parts.extend(key.expires_at.map(|at| format!("until {}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))));
    parts.join("; ")
}

fn state(stored: &StoredKey, now: Timestamp) -> &'static str {
    match stored {
        StoredKey { revoked_at: Some(_), .. } => "revoked",
        StoredKey { key, .. } if key.expires_at.is_some_and(|at| at <= now) => "expired",
        _ => "active",
    }
}

fn as_json(stored: &StoredKey) -> Value {
    let StoredKey { id, key, created_at, revoked_at } = stored;
    json!({
        "id": id,
        "name": key.name,
        "hint": key.hint,
        "state": state(stored, Timestamp::now()),
        "scopes": key.scopes.iter().map(Scope::name).collect::<Vec<_>>(),
        "models": key.models,
        "limits": {
            "requests_per_minute": key.limits.requests_per_minute,
            "tokens_per_minute": key.limits.tokens_per_minute,
            "concurrent_streams": key.limits.concurrent_streams,
        },
        "created_at": created_at,
        "expires_at": key.expires_at,
        "revoked_at": revoked_at,
    })
}

fn name(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= MAX_NAME_LEN && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| format!("expected 1 to {MAX_NAME_LEN} printable characters"))
}

fn model(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = !text.is_empty() && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| "expected names of models, separated by commas".to_owned())
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_name(text.trim()).ok_or_else(|| format!("expected some of {}", Scope::ALL.map(Scope::name).join(", ")))
}

/// Parses a day, a moment, or a time from now.
fn expiry(text: &str) -> Result<Timestamp, String> {
    let now = Timestamp::now();
    let at = parse_moment(text).or_else(|| now.checked_add(from_now(text)?).ok());
    let at = at.ok_or("expected a day such as 2027-01-01, a moment, or a time from now such as 90d")?;
    if at > now { Ok(at) } else { Err("that is over already".to_owned()) }
}

fn from_now(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.checked_mul(minutes * 60)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_day_a_moment_or_a_time_from_now() {
        let now = Timestamp::now();
        let days = |text| (expiry(text).unwrap().as_second() - now.as_second()) / 86_400;
        assert_eq!((days("90d"), days("48h"), days("2880m")), (90, 2, 2));
        assert_eq!(expiry("2999-01-01").unwrap().to_string(), "2999-01-01T00:00:00Z");
        for wrong in ["", "d", "90", "90y", "-1d", "0d", "2001-01-01", "9999999999999999d", "1.5d", "٣d"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn columns_of_a_table_are_aligned() {
        let rows = [["A".into(), "B".into()], ["ééé".into(), "x".into()]];
        assert_eq!(table(&rows), "A    B\nééé  x\n");
    }
}
