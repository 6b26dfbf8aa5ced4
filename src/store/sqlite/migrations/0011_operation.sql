-- The operation that a request asked for: chat, completions, embeddings. Earlier versions, which may run beside this one,
-- serve chat alone.
ALTER TABLE usage_series ADD COLUMN operation TEXT NOT NULL DEFAULT 'chat';

DROP VIEW usage_records;

CREATE VIEW usage_records AS
SELECT at, id, request_id, coalesce(key_id, 'unknown') AS key_id, coalesce(key_name, 'unknown') AS key_name,
    coalesce(model, 'unknown') AS model, target, coalesce(attempts, 0) AS attempts, coalesce(streamed, 0) AS streamed,
    prompt_tokens, completion_tokens, source, first_token_us, duration_us, coalesce(terminal, 'unknown') AS terminal, reason,
    coalesce(status, 0) AS status, answered_model, coalesce(operation, 'unknown') AS operation
-- A record whose series is gone is shown all the same.
FROM usage_requests LEFT JOIN usage_series USING (series)
UNION ALL
SELECT at, id, request_id, key_id, key_name, model, target, attempts, streamed, prompt_tokens, completion_tokens, source,
    first_token_us, duration_us, terminal, reason, status, NULL, 'chat'
FROM usage;
