-- One row for each completion request that has ended. No reference to api_keys: configured keys have no row there,
-- and what was used outlives the key.
CREATE TABLE usage (
    at                INTEGER NOT NULL, -- when the request ended, milliseconds since 1970, UTC
    id                BLOB NOT NULL, -- UUIDv7, so that a batch that is written again is known
    request_id        TEXT, -- as in the log and in x-request-id
    key_id            TEXT NOT NULL, -- api_keys.id, or config:NAME
    key_name          TEXT NOT NULL,
    model             TEXT NOT NULL, -- as the client asked for it
    target            TEXT, -- where it was served; NULL: nowhere
    attempts          INTEGER NOT NULL,
    streamed          INTEGER NOT NULL, -- 0 or 1
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    source            TEXT, -- of the counts: exact, running, counted, estimated; NULL: nothing to count
    first_token_us    INTEGER, -- from arrival to the first token, microseconds; NULL: none came
    duration_us       INTEGER NOT NULL, -- from arrival to the end, microseconds
    terminal          TEXT NOT NULL, -- completed, failed, client_gone
    reason            TEXT, -- of a failure: the error's code
    status            INTEGER NOT NULL, -- as in the log
    -- The rows lie in the order of time: a sum over some days, and the removal of old rows, touch nothing else.
    PRIMARY KEY (at, id)
) STRICT, WITHOUT ROWID;
