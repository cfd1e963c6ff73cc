-- What a processor has to do about one person. The sealed part (who it is, what the adapter noted) has a
-- key of its own, destroyed when the task is settled; what remains are codes, counts and dates.
CREATE TABLE ledger.recipient_task (
    id uuid PRIMARY KEY, recipient text NOT NULL, action text NOT NULL
        CHECK (action IN ('erase', 'rectify', 'object', 'restrict')),
    request_id uuid REFERENCES ledger.request ON DELETE CASCADE, run_id uuid NOT NULL REFERENCES ledger.run,
    state text NOT NULL CHECK (state IN ('queued', 'erased', 'redacted', 'corrected', 'stopped', 'retained',
                                         'manual', 'not_held', 'pending', 'failed')),
    until timestamptz, next_at timestamptz, attempts integer NOT NULL DEFAULT 0,
    outcomes jsonb NOT NULL DEFAULT '[]', opened_at timestamptz NOT NULL, settled_at timestamptz,
    key_id uuid REFERENCES ledger.sealing_key, sealed bytea,
    CONSTRAINT settled_means_sealed_no_more CHECK (settled_at IS NULL OR (sealed IS NULL AND key_id IS NULL))
);
CREATE INDEX recipient_task_due ON ledger.recipient_task (recipient, next_at) WHERE settled_at IS NULL;
CREATE INDEX recipient_task_request ON ledger.recipient_task (request_id) WHERE request_id IS NOT NULL;
