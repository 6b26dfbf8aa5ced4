//! The script of shared limits against its model in Rust, which the simulations use: the same answers, bit by bit.

#[allow(dead_code, reason = "the client of Redis uses the rest")]
#[path = "../../src/limiter/shared/exchange.rs"]
mod exchange;
#[path = "../../src/limiter/shared/model.rs"]
mod model;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::aio::MultiplexedConnection;
use test_support::servers::redis::Redis;

use exchange::{Exchange, Reply, SCRIPT, VERSION};
use model::Model;

const ARGUMENTS: usize = 9;
/// What the script reads the time with.
const TIME: &str = "redis.call('TIME')";

/// One exchange, and the time since the one before.
#[derive(Clone, Debug)]
struct Step {
    micros: u64,
    replica: usize,
    /// Whether it comes after a later one of its replica.
    is_late: bool,
    exchange: Exchange,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let limit = prop_oneof![Just(1_u64), 2..100_u64, 100..100_000_u64, 1_000_000..10_000_000_000_u64];
    (limit, any::<bool>()).prop_flat_map(|(limit, regains)| {
        let micros = prop_oneof![Just(0_u64), 1..1_000_u64, 1_000..200_000_u64, 200_000..70_000_000_u64];
        let amount = prop_oneof![Just(0), 0..=limit.min(20), 0..=limit];
        let floor = prop_oneof![9 => Just(0_u64), 1 => 0..limit.saturating_mul(60_000_000)];
        let step =
            (micros, 0..3_usize, 0..8_u8, amount.clone(), amount.clone(), 1..=limit, amount, floor, any::<bool>());
        let step = step.prop_map(move |(micros, replica, late, held, delta, least, most, floor, returns)| {
            let is_late = late == 0;
            let delta = i64::try_from(delta).unwrap() * if returns { -1 } else { 1 };
            let floor = floor as f64;
            let exchange = Exchange { number: 0, limit, regains, held, delta, least, most, floor };
            // The model forgets numbers with the hash; a late exchange comes within its life.
            Step { micros: if is_late { 0 } else { micros }, replica, is_late, exchange }
        });
        proptest::collection::vec(step, 1..40)
    })
}

async fn run(connection: &mut MultiplexedConnection, script: &str, key: &str, arguments: &[String]) -> Reply {
    let mut eval = redis::cmd("EVAL");
    eval.arg(script).arg(1).arg(key).arg(arguments);
    let answer: (i64, i64, String, i64) = eval.query_async(connection).await.unwrap();
    Reply::new(&answer).unwrap()
}

#[test]
fn the_script_and_its_model_answer_alike() {
    assert_eq!(SCRIPT.matches(TIME).count(), 1);
    // The test sets the time; everything else is the script.
    let script = SCRIPT.replace(TIME, "{ARGV[10], ARGV[11]}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Redis::start());
    let client = redis::Client::open(server.url()).unwrap();
    let connection = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
    let case = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let compared = runner.run(&steps(), |steps| {
        case.set(case.get() + 1);
        let key = format!("{{case {}}}:{VERSION}", case.get());
        let (mut model, mut now, mut connection) = (Model::default(), 1_700_000_000_000_000_u64, connection.clone());
        for (number, Step { micros, replica, is_late, mut exchange }) in (100..).step_by(10).zip(steps) {
            now += micros;
            exchange.number = if is_late { number - 25 } else { number };
            let replica = ["a", "b", "c"][replica];
            let mut arguments = exchange.arguments(replica).to_vec();
            assert_eq!(arguments.len(), ARGUMENTS);
            arguments.extend([(now / 1_000_000).to_string(), (now % 1_000_000).to_string()]);
            let answered = runtime.block_on(run(&mut connection, &script, &key, &arguments));
            let expected = model.exchange(&key, replica, &exchange, now);
            prop_assert_eq!(answered, expected, "{:?}", exchange);
        }
        Ok(())
    });
    compared.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn the_script_takes_its_time_from_redis_and_its_hash_expires() {
    let server = Redis::start().await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    // A million a second: 60 units a token and microsecond.
    let take = |number| Exchange {
        number,
        limit: 60_000_000,
        regains: true,
        held: 0,
        delta: 0,
        least: 1,
        most: 60_000_000,
        floor: 0.0,
    };
    let first = run(&mut connection, SCRIPT, "k", &take(1).arguments("a")).await;
    assert_eq!(first.granted, 60_000_000);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let second = run(&mut connection, SCRIPT, "k", &take(2).arguments("b")).await;
    assert_eq!(second.granted, 0, "all of it is held by the other, and does not come back while it is");
    let spent = Exchange { most: 0, ..take(3) };
    run(&mut connection, SCRIPT, "k", &spent.arguments("a")).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let third = run(&mut connection, SCRIPT, "k", &take(3).arguments("b")).await;
    assert!((50_000..20_000_000).contains(&third.granted), "{third:?}");
    let expires: i64 = redis::cmd("PTTL").arg("k").query_async(&mut connection).await.unwrap();
    assert!((5_000..62_000).contains(&expires), "{expires}");
}
