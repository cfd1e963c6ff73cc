-- What led to a person before it was corrected. The platform forgets it, and what others keep under it does
-- not: a letter written without signing in, a provider's log. Each has a key of its own, destroyed with it.
CREATE TABLE ledger.former_identifier (
    mark bytea PRIMARY KEY, subject_match bytea NOT NULL, recorded_at timestamptz NOT NULL,
    key_id uuid NOT NULL UNIQUE REFERENCES ledger.sealing_key, sealed bytea NOT NULL
);
CREATE INDEX former_identifier_subject ON ledger.former_identifier (subject_match);
CREATE INDEX former_identifier_recorded ON ledger.former_identifier (recorded_at);
