-- The log of live events. One row says where it stands; a writer takes its numbers from that row within the
-- transaction of the change itself, so that numbers are dense and follow the order of the commits.
CREATE TABLE event_head (
    one                INTEGER PRIMARY KEY CHECK (one = 1),
    epoch              TEXT NOT NULL,    -- random: names this log among all others
    head               INTEGER NOT NULL, -- the last number given
    pruned             INTEGER NOT NULL, -- the last number deleted
    last_pets          INTEGER NOT NULL, -- the last number of each topic
    last_orders        INTEGER NOT NULL,
    last_inventory     INTEGER NOT NULL,
    last_notifications INTEGER NOT NULL
) STRICT;

INSERT INTO event_head VALUES (1, lower(hex(randomblob(4))), 0, 0, 0, 0, 0, 0);

CREATE TABLE events (
    seq                INTEGER PRIMARY KEY,
    topic              TEXT NOT NULL,
    kind               TEXT NOT NULL,
    resource_id        TEXT NOT NULL,
    version            INTEGER NOT NULL,
    at                 INTEGER NOT NULL, -- milliseconds since 1970, UTC
    body               TEXT NOT NULL,    -- members of the event's JSON from "resource" on, without braces
    prev_pets          INTEGER NOT NULL, -- the last number of each topic before this event
    prev_orders        INTEGER NOT NULL,
    prev_inventory     INTEGER NOT NULL,
    prev_notifications INTEGER NOT NULL
) STRICT;

CREATE INDEX events_by_topic ON events (topic, seq);
CREATE INDEX events_by_age ON events (at);
