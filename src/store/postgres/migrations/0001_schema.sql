-- The tables of SQLite's migrations, in one. Texts are compared by their bytes, as SQLite does; times are milliseconds
-- since 1970, UTC; numbers have 64 bits.

-- One row of facts about this database.
CREATE TABLE meta (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

-- Prices are whole ten-thousandths of the currency's unit.
CREATE TABLE pets (
    id             TEXT COLLATE "C" PRIMARY KEY,
    species        TEXT COLLATE "C" NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    breed          TEXT COLLATE "C" NOT NULL,
    age_months     BIGINT NOT NULL,
    size           TEXT COLLATE "C" NOT NULL,
    color          TEXT COLLATE "C" NOT NULL,
    gender         TEXT COLLATE "C" NOT NULL,
    good_with_kids BIGINT NOT NULL,
    price_e4       BIGINT NOT NULL,
    currency       TEXT COLLATE "C" NOT NULL,
    description    TEXT COLLATE "C" NOT NULL,
    status         TEXT COLLATE "C" NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    made_by        TEXT COLLATE "C" -- api_keys.id, or config:NAME; NULL: the seed
);

CREATE INDEX pets_by_species_and_status ON pets (species, status);
CREATE INDEX pets_by_maker ON pets (made_by) WHERE made_by IS NOT NULL;

CREATE TABLE api_keys (
    id                  TEXT COLLATE "C" PRIMARY KEY, -- UUIDv7
    name                TEXT COLLATE "C" NOT NULL UNIQUE, -- of revoked keys too
    hash                TEXT COLLATE "C" NOT NULL UNIQUE, -- SHA-256 of the secret, hexadecimal
    hint                TEXT NOT NULL, -- the last characters of the secret
    scopes              TEXT NOT NULL, -- names, separated by spaces
    models              TEXT, -- JSON array of names; NULL: all
    requests_per_minute BIGINT,
    tokens_per_minute   BIGINT,
    concurrent_streams  BIGINT,
    created_at          BIGINT NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT
);

-- A number that changes with every change of the keys: servers poll it instead of the keys.
INSERT INTO meta (key, value) VALUES ('api_keys_version', '0');

CREATE FUNCTION api_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'api_keys_version';
    RETURN NULL;
END $$;

CREATE TRIGGER api_keys_changed AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION api_keys_changed();

-- What the usage records of one day have in common. Each process writes its own rows.
CREATE TABLE usage_series (
    series         BIGINT PRIMARY KEY,
    day            BIGINT NOT NULL, -- UTC days since 1970
    key_id         TEXT NOT NULL,   -- api_keys.id, or config:NAME
    key_name       TEXT NOT NULL,
    model          TEXT NOT NULL,   -- as the client asked for it
    target         TEXT,            -- where it was served; NULL: nowhere
    attempts       BIGINT NOT NULL,
    streamed       BIGINT NOT NULL, -- 0 or 1
    source         TEXT,            -- of the counts: exact, running, counted, estimated; NULL: nothing to count
    terminal       TEXT NOT NULL,   -- how it ended, such as completed, failed, client_gone
    reason         TEXT,            -- of a failure: the error's code
    status         BIGINT NOT NULL, -- as in the log
    answered_model TEXT             -- the model that answered; NULL: no answer, or one that does not say
);

CREATE INDEX usage_series_by_day ON usage_series (day);

-- Each value is the first of 4,096 numbers of series, so that a process takes numbers for many at once.
CREATE SEQUENCE usage_series_blocks INCREMENT BY 4096;

-- One row for each completion request that has ended.
CREATE TABLE usage_requests (
    at                BIGINT NOT NULL, -- when the request ended
    id                BIGINT NOT NULL, -- random, so that a batch that is written again is recognized
    series            BIGINT NOT NULL, -- usage_series.series
    request_id        TEXT,            -- as in the log and in x-request-id
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    first_token_us    BIGINT,          -- from arrival to the first token, microseconds; NULL: none came
    duration_us       BIGINT NOT NULL, -- from arrival to the end, microseconds
    PRIMARY KEY (at, id)
);

-- Every record whole.
CREATE VIEW usage_records AS
SELECT at, id, request_id, coalesce(key_id, 'unknown') COLLATE "C" AS key_id,
    coalesce(key_name, 'unknown') COLLATE "C" AS key_name, coalesce(model, 'unknown') COLLATE "C" AS model, target,
    coalesce(attempts, 0) AS attempts, coalesce(streamed, 0) AS streamed, prompt_tokens, completion_tokens, source,
    first_token_us, duration_us, coalesce(terminal, 'unknown') AS terminal, reason, coalesce(status, 0) AS status,
    answered_model COLLATE "C" AS answered_model
FROM usage_requests LEFT JOIN usage_series USING (series);

-- The state of the event log. A command locks this row first, so numbers are dense and follow the order of commits.
CREATE TABLE event_head (
    one                BIGINT PRIMARY KEY CHECK (one = 1),
    epoch              TEXT NOT NULL,   -- random: names this log among all others
    head               BIGINT NOT NULL, -- the last number given
    pruned             BIGINT NOT NULL, -- the last number deleted
    last_pets          BIGINT NOT NULL, -- the last number of each topic
    last_orders        BIGINT NOT NULL,
    last_inventory     BIGINT NOT NULL,
    last_notifications BIGINT NOT NULL,
    identity           TEXT             -- cluster and timeline of the last command; NULL: none so far
);

INSERT INTO event_head VALUES (1, substr(md5(random()::text || clock_timestamp()::text), 1, 8), 0, 0, 0, 0, 0, 0, NULL);

CREATE TABLE events (
    seq                BIGINT PRIMARY KEY,
    topic              TEXT COLLATE "C" NOT NULL,
    kind               TEXT COLLATE "C" NOT NULL,
    resource_id        TEXT COLLATE "C" NOT NULL,
    version            BIGINT NOT NULL,
    at                 BIGINT NOT NULL,
    body               TEXT NOT NULL,   -- members of the event's JSON from "resource" on, without braces
    prev_pets          BIGINT NOT NULL, -- the last number of each topic before this event
    prev_orders        BIGINT NOT NULL,
    prev_inventory     BIGINT NOT NULL,
    prev_notifications BIGINT NOT NULL
);

CREATE INDEX events_by_topic ON events (topic, seq);
CREATE INDEX events_by_age ON events (at);

-- An order keeps what its pet cost when it was placed. No foreign key: a pet may be deleted when its orders are closed.
CREATE TABLE orders (
    rowid      BIGINT NOT NULL UNIQUE, -- grows with every order
    id         TEXT COLLATE "C" PRIMARY KEY, -- UUIDv7
    pet_id     TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    price_e4   BIGINT NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    made_by    TEXT COLLATE "C" -- api_keys.id, or config:NAME
);

-- No pet has two open orders, whatever a command does.
CREATE UNIQUE INDEX orders_open ON orders (pet_id) WHERE status IN ('PLACED', 'APPROVED', 'SHIPPED');
CREATE INDEX orders_by_pet ON orders (pet_id, id);
CREATE INDEX orders_by_maker ON orders (made_by, id) WHERE made_by IS NOT NULL;

-- The version of the counts: one more whenever one of them changes.
CREATE TABLE inventory (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL
);

INSERT INTO inventory VALUES (1, 1);

-- What was answered to a request that carried an idempotency key.
CREATE TABLE idempotency_keys (
    number  BIGINT PRIMARY KEY, -- grows with every key
    caller  TEXT COLLATE "C" NOT NULL, -- the id of the API key
    key     TEXT COLLATE "C" NOT NULL,
    request TEXT COLLATE "C" NOT NULL, -- SHA-256 of the request, hexadecimal
    answer  TEXT NOT NULL, -- the resource as it was made, JSON
    at      BIGINT NOT NULL
);

CREATE UNIQUE INDEX idempotency_keys_by_key ON idempotency_keys (caller, key);
CREATE INDEX idempotency_keys_by_number ON idempotency_keys (caller, number);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

-- Browsers that may come back to the streams of events with a cookie.
CREATE TABLE event_sessions (
    rowid   BIGINT GENERATED ALWAYS AS IDENTITY,
    hash    TEXT COLLATE "C" PRIMARY KEY, -- SHA-256 of the token, hexadecimal
    key     TEXT NOT NULL,                -- the hash of the API key, encrypted with the token
    owner   TEXT COLLATE "C" NOT NULL,    -- api_keys.id, or config:NAME
    ends_at BIGINT NOT NULL
);

CREATE INDEX event_sessions_by_end ON event_sessions (ends_at);
CREATE INDEX event_sessions_by_owner ON event_sessions (owner, ends_at);

-- Tickets that wait to be used, once, on any server.
CREATE TABLE event_tickets (
    hash    TEXT COLLATE "C" PRIMARY KEY, -- SHA-256 of the ticket, hexadecimal
    key     TEXT NOT NULL,                -- the hash of the API key, encrypted with the ticket
    owner   TEXT COLLATE "C" NOT NULL,    -- api_keys.id, or config:NAME
    ends_at BIGINT NOT NULL
);

CREATE INDEX event_tickets_by_end ON event_tickets (ends_at);
CREATE INDEX event_tickets_by_owner ON event_tickets (owner);
