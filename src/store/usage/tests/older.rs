//! Records that older versions of the server have written.

use std::str::FromStr as _;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use super::{Store, row, series, total};
use crate::store::sqlite::migrator;

#[tokio::test]
async fn records_of_older_versions_are_kept_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("old.db").display());
    // A database of a version with the first six migrations.
    let all = migrator();
    let some = all.iter().filter(|migration| migration.version <= 6).cloned().collect::<Vec<_>>();
    let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    Migrator { migrations: some.into(), ..Migrator::DEFAULT }.run(&pool).await.unwrap();
    let rows = "(1767225600001, x'01', 'req_1', 'id', 'k', 'm', 't', 1, 1, 3, 5, 'exact', 15, 20, 'completed', NULL, 200), \
                (1767225600001, x'02', NULL, 'id', 'k', 'm', NULL, 0, 0, 0, 0, NULL, NULL, 9, 'failed', 'why', 502), \
                (1767225600002, x'03', 'req_3', 'id', 'k', 'm', 't', 1, 1, 4, 6, 'exact', 25, 30, 'completed', NULL, 200), \
                (1767312000000, x'04', 'req_4', 'id', 'k', 'm', 't', 1, 1, 4, 6, 'exact', 25, 30, 'completed', NULL, 200)";
    sqlx::query(sqlx::AssertSqlSafe(format!("INSERT INTO usage VALUES {rows}"))).execute(&pool).await.unwrap();
    let columns = "at, request_id, key_id, key_name, model, target, attempts, streamed, prompt_tokens, completion_tokens, \
                   source, first_token_us, duration_us, terminal, reason, status";
    let sql = |table: &str| format!("SELECT json_array({columns}) FROM {table} ORDER BY at, duration_us DESC");
    let read = async |pool: &SqlitePool, table: &str| -> Vec<String> {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql(table))).fetch_all(pool).await.unwrap()
    };
    let before = read(&pool, "usage").await;
    let store = Store::open(&url).await.unwrap();
    assert_eq!(before.len(), 4);
    assert_eq!((read(&store.sqlite().reader, "usage_records").await, series(&store).await), (before, 0));
    // The older version still runs while this one writes.
    store.record_usage(&[row("2026-01-02T00:00:00Z", "k", "m")]).await.unwrap();
    let more = "INSERT INTO usage SELECT at, x'05', request_id, key_id, key_name, model, target, attempts, streamed, \
                prompt_tokens, completion_tokens, source, first_token_us, duration_us, terminal, reason, status \
                FROM usage WHERE id = x'04' ON CONFLICT (at, id) DO NOTHING";
    sqlx::query(more).execute(&pool).await.unwrap();
    pool.close().await;
    assert_eq!(total(&store).await.requests, 6);
    let answered: Vec<Option<String>> =
        sqlx::query_scalar("SELECT answered_model FROM usage_records ORDER BY answered_model")
            .fetch_all(&store.sqlite().reader)
            .await
            .unwrap();
    assert_eq!(answered, [None, None, None, None, None, Some("m-2026".to_owned())]);
    let operations: Vec<String> = sqlx::query_scalar("SELECT DISTINCT operation FROM usage_records")
        .fetch_all(&store.sqlite().reader)
        .await
        .unwrap();
    assert_eq!(operations, ["chat"]);
    let mut steps = Vec::new();
    while total(&store).await.requests > 0 {
        steps.push(store.delete_usage_before("2026-02-01T00:00:00Z".parse().unwrap(), 2).await.unwrap());
    }
    // Records of one millisecond are deleted together.
    assert_eq!(steps, [3, 3]);
}
