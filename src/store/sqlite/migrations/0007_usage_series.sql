-- What usage records have in common is written once for many of them: a record is half as long, and costs half as much to
-- write. The table `usage` stays for what is in it, and for servers of older versions that still write to it.

-- What records of one day can be told apart by. There may be several rows that say the same: each process writes its own.
CREATE TABLE usage_series (
    series    INTEGER PRIMARY KEY AUTOINCREMENT, -- no number is given out twice
    day       INTEGER NOT NULL, -- UTC days since 1970, of which its records are; removed when they have been
    key_id    TEXT NOT NULL, -- api_keys.id, or config:NAME
    key_name  TEXT NOT NULL,
    model     TEXT NOT NULL, -- as the client asked for it
    target    TEXT, -- where it was served; NULL: nowhere
    attempts  INTEGER NOT NULL,
    streamed  INTEGER NOT NULL, -- 0 or 1
    source    TEXT, -- of the counts: exact, running, counted, estimated; NULL: nothing to count
    terminal  TEXT NOT NULL, -- how it ended, such as completed, failed, client_gone
    reason    TEXT, -- of a failure: the error's code
    status    INTEGER NOT NULL -- as in the log
) STRICT;

CREATE INDEX usage_series_by_day ON usage_series (day);

-- One row for each completion request that has ended.
CREATE TABLE usage_requests (
    at                INTEGER NOT NULL, -- when the request ended, milliseconds since 1970, UTC
    id                INTEGER NOT NULL, -- random, so that a batch that is written again is known
    series            INTEGER NOT NULL, -- usage_series.series
    request_id        TEXT, -- as in the log and in x-request-id
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    first_token_us    INTEGER, -- from arrival to the first token, microseconds; NULL: none came
    duration_us       INTEGER NOT NULL, -- from arrival to the end, microseconds
    -- The rows lie in the order of time: a sum over some days, and the removal of old rows, touch nothing else.
    PRIMARY KEY (at, id)
) STRICT, WITHOUT ROWID;

-- Every record whole, whoever wrote it.
CREATE VIEW usage_records AS
SELECT at, id, request_id, coalesce(key_id, 'unknown') AS key_id, coalesce(key_name, 'unknown') AS key_name,
    coalesce(model, 'unknown') AS model, target, coalesce(attempts, 0) AS attempts, coalesce(streamed, 0) AS streamed,
    prompt_tokens, completion_tokens, source, first_token_us, duration_us, coalesce(terminal, 'unknown') AS terminal, reason,
    coalesce(status, 0) AS status
-- A record whose series is gone is shown all the same.
FROM usage_requests LEFT JOIN usage_series USING (series)
UNION ALL
SELECT at, id, request_id, key_id, key_name, model, target, attempts, streamed, prompt_tokens, completion_tokens, source,
    first_token_us, duration_us, terminal, reason, status
FROM usage;
