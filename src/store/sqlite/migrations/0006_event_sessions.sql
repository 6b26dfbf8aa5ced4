-- Browsers that may come back to the streams of events with a cookie.
CREATE TABLE event_sessions (
    hash    TEXT PRIMARY KEY,    -- SHA-256 of the token, hexadecimal
    key     TEXT NOT NULL,       -- SHA-256 of the API key that it stands for, hexadecimal
    ends_at INTEGER NOT NULL     -- milliseconds since 1970, UTC
) STRICT;

CREATE INDEX event_sessions_by_end ON event_sessions (ends_at);
CREATE INDEX event_sessions_by_key ON event_sessions (key, ends_at);
