-- The model that answered, as the answer names it: an alias, a dated version, or what a fallback serves. Versions that know
-- nothing of it leave it NULL, and may run beside this one.
ALTER TABLE usage_series ADD COLUMN answered_model TEXT; -- NULL: no answer, or one that does not say

DROP VIEW usage_records;

CREATE VIEW usage_records AS
SELECT at, id, request_id, coalesce(key_id, 'unknown') AS key_id, coalesce(key_name, 'unknown') AS key_name,
    coalesce(model, 'unknown') AS model, target, coalesce(attempts, 0) AS attempts, coalesce(streamed, 0) AS streamed,
    prompt_tokens, completion_tokens, source, first_token_us, duration_us, coalesce(terminal, 'unknown') AS terminal, reason,
    coalesce(status, 0) AS status, answered_model
-- A record whose series is gone is shown all the same.
FROM usage_requests LEFT JOIN usage_series USING (series)
UNION ALL
SELECT at, id, request_id, key_id, key_name, model, target, attempts, streamed, prompt_tokens, completion_tokens, source,
    first_token_us, duration_us, terminal, reason, status, NULL
FROM usage;
