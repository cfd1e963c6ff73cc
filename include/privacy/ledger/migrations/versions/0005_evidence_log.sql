-- Evidence as a tamper-evident log: each row gets a gapless index, a leaf hash and a chain hash.

ALTER TABLE ledger.evidence DROP COLUMN prev_hash, DROP COLUMN hash;

CREATE TABLE ledger.evidence_leaf (
    idx bigint PRIMARY KEY CHECK (idx >= 0), evidence_id bigint NOT NULL UNIQUE,
    hash bytea NOT NULL CHECK (length(hash) = 32), chain bytea NOT NULL CHECK (length(chain) = 32)
);

CREATE TABLE ledger.evidence_node (
    level smallint NOT NULL CHECK (level > 0), position bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32), PRIMARY KEY (level, position)
);

CREATE TABLE ledger.evidence_settled (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), evidence_id bigint NOT NULL
);
INSERT INTO ledger.evidence_settled (evidence_id) VALUES (0);

CREATE TABLE ledger.evidence_checkpoint (
    size bigint PRIMARY KEY CHECK (size > 0), root bytea NOT NULL CHECK (length(root) = 32),
    note text NOT NULL, signed_at timestamptz NOT NULL
);

CREATE TABLE ledger.certificate (
    request_id uuid NOT NULL, version integer NOT NULL CHECK (version > 0), statement_digest text NOT NULL,
    body jsonb NOT NULL, issued_at timestamptz NOT NULL, PRIMARY KEY (request_id, version)
);

CREATE TABLE ledger.promise_report (
    run_id uuid PRIMARY KEY, as_of timestamptz NOT NULL, location text NOT NULL, body jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX promise_report_as_of ON ledger.promise_report (as_of);

CREATE TRIGGER evidence_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.evidence_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER evidence_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.evidence_node
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER evidence_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.evidence_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
