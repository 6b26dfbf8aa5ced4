CREATE TABLE api_keys (
    id                  TEXT PRIMARY KEY, -- UUIDv7
    name                TEXT NOT NULL UNIQUE, -- of revoked keys too, so that a name in an old log means one key
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

-- A number that moves with every change of the keys, whoever makes it: servers poll it instead of the keys.
INSERT INTO meta (key, value) VALUES ('api_keys_version', '0');

CREATE TRIGGER api_keys_inserted AFTER INSERT ON api_keys BEGIN
    UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'api_keys_version';
END;

CREATE TRIGGER api_keys_updated AFTER UPDATE ON api_keys BEGIN
    UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'api_keys_version';
END;

CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys BEGIN
    UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'api_keys_version';
END;
