-- The ledger: every table of include/privacy/ledger/models.py, its rules and its triggers.

CREATE TABLE ledger.state_transition (
    machine text NOT NULL, from_state text NOT NULL, to_state text NOT NULL,
    PRIMARY KEY (machine, from_state, to_state)
);

CREATE FUNCTION ledger.check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE before text := '';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.state = NEW.state THEN RETURN NEW; END IF;
        before := OLD.state;
    END IF;
    IF NOT EXISTS (SELECT FROM ledger.state_transition t
                   WHERE t.machine = TG_ARGV[0] AND t.from_state = before AND t.to_state = NEW.state) THEN
        RAISE EXCEPTION 'a % in state "%" cannot become "%"', TG_ARGV[0], before, NEW.state
            USING ERRCODE = 'check_violation', HINT = 'ledger.state_transition lists the allowed steps';
    END IF;
    RETURN NEW;
END $$;

CREATE TABLE ledger.sealing_key (
    id uuid PRIMARY KEY, purpose text NOT NULL, wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ledger.policy_version (
    version text NOT NULL, digest text NOT NULL, effective date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (version, digest)
);

CREATE TABLE ledger.run (
    id uuid PRIMARY KEY, kind text NOT NULL, key text NOT NULL, as_of timestamptz NOT NULL,
    dry_run boolean NOT NULL, policy_version text NOT NULL, policy_digest text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz, summary jsonb,
    UNIQUE (kind, key)
);

CREATE TABLE ledger.request (
    id uuid PRIMARY KEY, external_id text NOT NULL UNIQUE, "right" text NOT NULL, state text NOT NULL,
    reason text, channel text NOT NULL, received_at timestamptz NOT NULL, verified_at timestamptz,
    due_at timestamptz NOT NULL, key_id uuid REFERENCES ledger.sealing_key, subject_match bytea,
    subject_sealed bytea, details_sealed bytea,
    joined_to uuid REFERENCES ledger.request ON DELETE SET NULL,
    run_id uuid REFERENCES ledger.run, claimed_at timestamptz, residual_until timestamptz, answer jsonb,
    closed_at timestamptz,
    CONSTRAINT closed_keeps_nothing_of_the_person CHECK (
        CASE WHEN state IN ('completed', 'completed_with_retention', 'refused', 'withdrawn')
        THEN closed_at IS NOT NULL AND num_nonnulls(key_id, subject_match, subject_sealed, details_sealed) = 0
        ELSE closed_at IS NULL AND num_nulls(key_id, subject_match, subject_sealed, details_sealed) = 0 END),
    CONSTRAINT joined_follows_another CHECK (joined_to <> id)
);
CREATE UNIQUE INDEX one_leading_request ON ledger.request ("right", subject_match)
    WHERE state IN ('received', 'verified', 'executing', 'on_hold', 'awaiting_approval', 'failed');
CREATE INDEX request_state ON ledger.request (state, due_at);
CREATE INDEX request_joined_to ON ledger.request (joined_to) WHERE joined_to IS NOT NULL;
CREATE INDEX request_run ON ledger.request (run_id) WHERE run_id IS NOT NULL;
CREATE TRIGGER request_transition BEFORE INSERT OR UPDATE OF state ON ledger.request
    FOR EACH ROW EXECUTE FUNCTION ledger.check_transition('request');

CREATE TABLE ledger.quarantine (
    id uuid PRIMARY KEY, source text NOT NULL, external_match bytea NOT NULL, reason text NOT NULL,
    key_id uuid REFERENCES ledger.sealing_key, sealed bytea NOT NULL, seen integer NOT NULL DEFAULT 1,
    first_seen_at timestamptz NOT NULL DEFAULT now(), last_seen_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, external_match)
);

CREATE TABLE ledger.cohort (
    id uuid PRIMARY KEY, run_id uuid NOT NULL REFERENCES ledger.run, origin text NOT NULL,
    size integer NOT NULL, pages integer NOT NULL, key_id uuid REFERENCES ledger.sealing_key,
    frozen_at timestamptz NOT NULL DEFAULT now(), destroyed_at timestamptz,
    UNIQUE (run_id, origin),
    CONSTRAINT destroyed_has_no_key CHECK ((key_id IS NULL) = (destroyed_at IS NOT NULL))
);

CREATE TABLE ledger.cohort_page (
    cohort_id uuid NOT NULL REFERENCES ledger.cohort, page integer NOT NULL, sealed bytea NOT NULL,
    PRIMARY KEY (cohort_id, page)
);

CREATE TABLE ledger.cohort_request (
    cohort_id uuid NOT NULL REFERENCES ledger.cohort,
    request_id uuid NOT NULL REFERENCES ledger.request ON DELETE CASCADE,
    subject_sealed bytea NOT NULL, PRIMARY KEY (cohort_id, request_id)
);
CREATE INDEX cohort_request_request ON ledger.cohort_request (request_id);

CREATE TABLE ledger.plan (
    id uuid PRIMARY KEY, run_id uuid NOT NULL REFERENCES ledger.run, cohort_id uuid REFERENCES ledger.cohort,
    store text NOT NULL, action text NOT NULL, rule text, digest text NOT NULL, body jsonb NOT NULL,
    state text NOT NULL, reason text, saved_at timestamptz NOT NULL DEFAULT now(),
    decided_by_sealed bytea, decided_at timestamptz
);
CREATE INDEX plan_run ON ledger.plan (run_id);
CREATE INDEX plan_cohort ON ledger.plan (cohort_id) WHERE cohort_id IS NOT NULL;
CREATE INDEX plan_state ON ledger.plan (state, saved_at) WHERE state IN ('awaiting_approval', 'approved');
CREATE TRIGGER plan_transition BEFORE INSERT OR UPDATE OF state ON ledger.plan
    FOR EACH ROW EXECUTE FUNCTION ledger.check_transition('plan');

CREATE TABLE ledger.outcome (
    plan_id uuid NOT NULL REFERENCES ledger.plan, shard integer NOT NULL, body jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (plan_id, shard)
);

CREATE TABLE ledger.batch (
    plan_id uuid NOT NULL REFERENCES ledger.plan, batch integer NOT NULL, intended integer NOT NULL,
    removed integer, failed integer, intended_at timestamptz NOT NULL DEFAULT now(), done_at timestamptz,
    PRIMARY KEY (plan_id, batch)
);

CREATE TABLE ledger.operation (
    plan_id uuid NOT NULL REFERENCES ledger.plan, step text NOT NULL, token integer NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (plan_id, step)
);

CREATE TABLE ledger.hold (
    id uuid PRIMARY KEY, scope text NOT NULL CHECK (scope IN ('subject', 'collection', 'store')),
    case_match bytea NOT NULL, target text, key_id uuid REFERENCES ledger.sealing_key, sealed bytea NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(), released_at timestamptz, released_by_sealed bytea,
    CONSTRAINT a_person_is_not_named CHECK ((scope = 'subject') = (target IS NULL))
);
CREATE UNIQUE INDEX one_hold_of_a_case ON ledger.hold (case_match) WHERE released_at IS NULL;

CREATE TABLE ledger.hold_version (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), version bigint NOT NULL
);
INSERT INTO ledger.hold_version (version) VALUES (0);

CREATE TABLE ledger.tombstone_epoch (
    epoch date PRIMARY KEY, key_id uuid NOT NULL REFERENCES ledger.sealing_key, expires_at timestamptz NOT NULL
);

CREATE TABLE ledger.tombstone (
    epoch date NOT NULL REFERENCES ledger.tombstone_epoch, kind text NOT NULL, mark bytea NOT NULL,
    erased_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (epoch, kind, mark)
);
CREATE INDEX tombstone_expires ON ledger.tombstone (expires_at);

CREATE TABLE ledger.probe (
    id uuid PRIMARY KEY, plan_id uuid NOT NULL REFERENCES ledger.plan, due_at timestamptz NOT NULL,
    done_at timestamptz, clean boolean, body jsonb, UNIQUE (plan_id, due_at)
);
CREATE INDEX probe_due ON ledger.probe (due_at) WHERE done_at IS NULL;

CREATE TABLE ledger.breach (
    id uuid PRIMARY KEY, rule text NOT NULL, store text NOT NULL,
    first_run_id uuid NOT NULL REFERENCES ledger.run, last_run_id uuid NOT NULL REFERENCES ledger.run,
    count bigint NOT NULL, oldest_overdue interval, note text NOT NULL, opened_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL, resolved_at timestamptz
);
CREATE UNIQUE INDEX one_open_breach ON ledger.breach (rule, store) WHERE resolved_at IS NULL;

-- No foreign keys: evidence outlives the rows it speaks of.
CREATE TABLE ledger.evidence (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), kind text NOT NULL, run_id uuid, request_id uuid,
    body jsonb NOT NULL, prev_hash bytea, hash bytea
);
CREATE INDEX evidence_run ON ledger.evidence (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX evidence_request ON ledger.evidence (request_id) WHERE request_id IS NOT NULL;

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'evidence is insert-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER evidence_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.evidence
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
