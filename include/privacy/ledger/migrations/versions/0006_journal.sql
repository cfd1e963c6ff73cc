-- What a restored backup does not know of people who were not erased: corrected values, restrictions,
-- suppressions; the latest of each. Sealed under the key of the tombstone epoch in which it expires.
CREATE TABLE ledger.journal_entry (
    action text NOT NULL CHECK (action IN ('correction', 'restriction', 'suppression')),
    mark bytea NOT NULL,
    epoch date NOT NULL REFERENCES ledger.tombstone_epoch,
    subject_match bytea,
    active boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > recorded_at),
    sealed bytea NOT NULL,
    PRIMARY KEY (action, mark)
);
CREATE INDEX journal_entry_subject ON ledger.journal_entry (subject_match) WHERE subject_match IS NOT NULL;
CREATE INDEX journal_entry_expires ON ledger.journal_entry (expires_at);
CREATE INDEX journal_entry_epoch ON ledger.journal_entry (epoch);
