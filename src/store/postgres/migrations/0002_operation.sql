-- The operation that a request asked for: chat, completions, embeddings. Servers of the version before serve chat alone.
ALTER TABLE usage_series ADD COLUMN operation TEXT NOT NULL DEFAULT 'chat';

-- The columns of before stay as they are, so that statements of the version before keep working.
CREATE OR REPLACE VIEW usage_records AS
SELECT at, id, request_id, coalesce(key_id, 'unknown') COLLATE "C" AS key_id,
    coalesce(key_name, 'unknown') COLLATE "C" AS key_name, coalesce(model, 'unknown') COLLATE "C" AS model, target,
    coalesce(attempts, 0) AS attempts, coalesce(streamed, 0) AS streamed, prompt_tokens, completion_tokens, source,
    first_token_us, duration_us, coalesce(terminal, 'unknown') AS terminal, reason, coalesce(status, 0) AS status,
    answered_model COLLATE "C" AS answered_model, coalesce(operation, 'unknown') COLLATE "C" AS operation
FROM usage_requests LEFT JOIN usage_series USING (series);
