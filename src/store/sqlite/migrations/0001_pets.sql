-- One row of facts about this database.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Prices are whole ten-thousandths of the currency's unit: exact, and comparable in SQL.
CREATE TABLE pets (
    id             TEXT PRIMARY KEY,
    species        TEXT NOT NULL,
    name           TEXT NOT NULL,
    breed          TEXT NOT NULL,
    age_months     INTEGER NOT NULL,
    size           TEXT NOT NULL,
    color          TEXT NOT NULL,
    gender         TEXT NOT NULL,
    good_with_kids INTEGER NOT NULL,
    price_e4       INTEGER NOT NULL,
    currency       TEXT NOT NULL,
    description    TEXT NOT NULL,
    status         TEXT NOT NULL,
    created_at     INTEGER NOT NULL, -- milliseconds since 1970, UTC
    updated_at     INTEGER NOT NULL, -- milliseconds since 1970, UTC
    version        INTEGER NOT NULL
) STRICT;

CREATE INDEX pets_by_species_and_status ON pets (species, status);
