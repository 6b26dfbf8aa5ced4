-- The hash of a short key is as good as the key: all of 4 characters are hashed within a minute. So a session no longer has
-- the hash of its key, but that hash hidden by the session's token, of which only the browser knows more than a hash.
-- Sessions from before end here; browsers come back with their key. What they held is overwritten.
PRAGMA secure_delete = ON;
DELETE FROM event_sessions;
PRAGMA secure_delete = OFF;

-- Whose it is: api_keys.id, or config:NAME. Empty in what servers of older versions add.
ALTER TABLE event_sessions ADD COLUMN owner TEXT NOT NULL DEFAULT '';
-- The column `key` holds the hidden hash from here on.
CREATE INDEX event_sessions_by_owner ON event_sessions (owner, ends_at);
