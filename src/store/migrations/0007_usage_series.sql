-- What usage records have in common is written once for many of them: a record is a third as long, and costs a third as
-- much to write. `usage` still shows every record whole.

-- What records of one day can be told apart by. There may be several rows that say the same: each process writes its own.
CREATE TABLE usage_series (
    series    INTEGER PRIMARY KEY,
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

INSERT INTO usage_series (day, key_id, key_name, model, target, attempts, streamed, source, terminal, reason, status)
SELECT DISTINCT at / 86400000, key_id, key_name, model, target, attempts, streamed, source, terminal, reason, status
FROM usage;

-- For what follows alone.
CREATE INDEX usage_series_by_all ON usage_series (day, key_id, model, status, terminal);

INSERT INTO usage_requests (at, id, series, request_id, prompt_tokens, completion_tokens, first_token_us, duration_us)
SELECT old.at, random(), series, request_id, prompt_tokens, completion_tokens, first_token_us, duration_us
FROM usage AS old
JOIN usage_series AS new
    ON new.day = old.at / 86400000
    AND new.key_id = old.key_id
    AND new.key_name = old.key_name
    AND new.model = old.model
    AND new.target IS old.target
    AND new.attempts = old.attempts
    AND new.streamed = old.streamed
    AND new.source IS old.source
    AND new.terminal = old.terminal
    AND new.reason IS old.reason
    AND new.status = old.status;

DROP INDEX usage_series_by_all;
DROP TABLE usage;

CREATE VIEW usage AS
SELECT at, id, request_id, key_id, key_name, model, target, attempts, streamed, prompt_tokens, completion_tokens, source,
    first_token_us, duration_us, terminal, reason, status
FROM usage_requests JOIN usage_series USING (series);
