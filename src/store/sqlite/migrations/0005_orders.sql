-- An order keeps what its pet cost when it was placed. No foreign key: a pet may go when its orders are closed, and
-- they remain.
CREATE TABLE orders (
    id         TEXT PRIMARY KEY, -- UUIDv7
    pet_id     TEXT NOT NULL,
    status     TEXT NOT NULL,
    price_e4   INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    created_at INTEGER NOT NULL, -- milliseconds since 1970, UTC
    updated_at INTEGER NOT NULL, -- milliseconds since 1970, UTC
    version    INTEGER NOT NULL
) STRICT;

-- Second line of defence: whatever a command does, no pet has two open orders.
CREATE UNIQUE INDEX orders_open ON orders (pet_id) WHERE status IN ('PLACED', 'APPROVED', 'SHIPPED');
CREATE INDEX orders_by_pet ON orders (pet_id, id);

-- The version of the counts: one more whenever one of them changes.
CREATE TABLE inventory (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO inventory VALUES (1, 1);

-- What was answered to a request that carried an idempotency key.
CREATE TABLE idempotency_keys (
    number  INTEGER PRIMARY KEY, -- grows with every key
    caller  TEXT NOT NULL,       -- the id of the API key
    key     TEXT NOT NULL,
    request TEXT NOT NULL,       -- SHA-256 of what was asked, hexadecimal
    answer  TEXT NOT NULL,       -- the resource as it was made, JSON
    at      INTEGER NOT NULL     -- milliseconds since 1970, UTC
) STRICT;

CREATE UNIQUE INDEX idempotency_keys_by_key ON idempotency_keys (caller, key);
CREATE INDEX idempotency_keys_by_number ON idempotency_keys (caller, number);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);
