CREATE TABLE api_keys (
    id                  TEXT PRIMARY KEY, -- UUIDv7
    name                TEXT NOT NULL UNIQUE,
    hash                TEXT NOT NULL UNIQUE, -- SHA-256 of the secret, hexadecimal
    hint                TEXT NOT NULL, -- the last characters of the secret, to tell keys apart in a list
    scopes              TEXT NOT NULL, -- names, separated by blanks
    models              TEXT, -- JSON array of names; NULL: all
    requests_per_minute INTEGER,
    tokens_per_minute   INTEGER,
    concurrent_streams  INTEGER,
    created_at          INTEGER NOT NULL, -- milliseconds since 1970, UTC
    expires_at          INTEGER,
    revoked_at          INTEGER
) STRICT;
