-- Who has made it: api_keys.id, or config:NAME. NULL: the seed, or a server of an older version. A key may make only so
-- many pets, and only so many of its closed orders are kept.
ALTER TABLE pets ADD COLUMN made_by TEXT;
ALTER TABLE orders ADD COLUMN made_by TEXT;
CREATE INDEX pets_by_maker ON pets (made_by) WHERE made_by IS NOT NULL;
CREATE INDEX orders_by_maker ON orders (made_by, id) WHERE made_by IS NOT NULL;
