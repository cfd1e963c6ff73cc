-- Requests of all rights: their verification, clocks, letters, archives, decisions and recipients.

ALTER TABLE ledger.request
    ADD COLUMN content_match bytea, ADD COLUMN agent_sealed bytea,
    ADD COLUMN verification jsonb NOT NULL DEFAULT '{}', ADD COLUMN due jsonb NOT NULL DEFAULT '{}',
    DROP CONSTRAINT closed_keeps_nothing_of_the_person;

-- Requests of the version before: verified ones wait for their run, the others for verification.
ALTER TABLE ledger.request DISABLE TRIGGER request_transition;
UPDATE ledger.request SET content_match = '' WHERE closed_at IS NULL;
UPDATE ledger.request SET state = CASE state WHEN 'verified' THEN 'assessing'
                                             WHEN 'awaiting_approval' THEN 'assessing' ELSE state END;
ALTER TABLE ledger.request ENABLE TRIGGER request_transition;

ALTER TABLE ledger.request ADD CONSTRAINT closed_keeps_nothing_of_the_person CHECK (
    CASE WHEN state IN ('completed', 'completed_with_retention', 'refused', 'withdrawn', 'expired')
    THEN closed_at IS NOT NULL
         AND num_nonnulls(key_id, subject_match, content_match, subject_sealed, details_sealed, agent_sealed) = 0
    ELSE closed_at IS NULL
         AND num_nulls(key_id, subject_match, content_match, subject_sealed, details_sealed) = 0 END);

DROP INDEX ledger.one_leading_request;
CREATE UNIQUE INDEX one_leading_request ON ledger.request ("right", subject_match, content_match)
    WHERE closed_at IS NULL AND state <> 'joined';
CREATE INDEX request_subject ON ledger.request (subject_match) WHERE subject_match IS NOT NULL;

-- A one-time token sent to a contact point on file: 32 random bytes, of which only the hash is here.
CREATE TABLE ledger.verification_token (
    id uuid PRIMARY KEY, request_id uuid NOT NULL REFERENCES ledger.request ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE, created_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX verification_token_request ON ledger.verification_token (request_id);

-- Wrong tokens, counted per request whatever is known of it.
CREATE TABLE ledger.verification_attempt (
    request_match bytea PRIMARY KEY, failed integer NOT NULL, last_at timestamptz NOT NULL
);

-- One letter of a kind per request, claimed before it is handed to the mail provider.
CREATE TABLE ledger.letter (
    request_id uuid NOT NULL REFERENCES ledger.request ON DELETE CASCADE, kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('claimed', 'sent', 'not_sent', 'uncertain', 'rejected', 'no_address')),
    reference text NOT NULL UNIQUE, claimed_at timestamptz NOT NULL, settled_at timestamptz,
    provider_id text, attempts integer NOT NULL DEFAULT 1,
    PRIMARY KEY (request_id, kind)
);
CREATE INDEX letter_open ON ledger.letter (claimed_at) WHERE state IN ('claimed', 'not_sent', 'uncertain');

-- An archive answers one request, lies under a random key, and is deleted when its links have expired.
CREATE TABLE ledger.archive (
    id uuid PRIMARY KEY, request_id uuid NOT NULL, store text NOT NULL,
    object_key text, object_version text, size bigint, sha256 text, created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL, deleted_at timestamptz, delete_reason text
);
CREATE INDEX archive_request ON ledger.archive (request_id);
CREATE INDEX archive_living ON ledger.archive (expires_at) WHERE deleted_at IS NULL;

-- A question to the privacy team; facts are counts, rules and ids. Silence takes the default.
CREATE TABLE ledger.decision (
    id uuid PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('exception', 'objection', 'refusal', 'extension')),
    request_id uuid NOT NULL REFERENCES ledger.request ON DELETE CASCADE, facts jsonb NOT NULL,
    options text[] NOT NULL, default_option text NOT NULL, asked_at timestamptz NOT NULL,
    answer_by timestamptz NOT NULL, presented_at timestamptz, answer text, decided_at timestamptz,
    by_default boolean, sealed bytea, asked_by_sealed bytea, decided_by_sealed bytea,
    CONSTRAINT an_answer_is_one_of_the_options CHECK (answer IS NULL OR answer = ANY (options)),
    CONSTRAINT the_default_is_one_of_the_options CHECK (default_option = ANY (options)),
    CONSTRAINT decided_means_answered CHECK ((answer IS NULL) = (decided_at IS NULL))
);
CREATE UNIQUE INDEX one_open_decision ON ledger.decision (request_id, kind) WHERE decided_at IS NULL;

-- What was told to whom, and what became of it; a request is complete when none of them is open.
CREATE TABLE ledger.recipient_outcome (
    request_id uuid NOT NULL REFERENCES ledger.request ON DELETE CASCADE, recipient text NOT NULL,
    state text NOT NULL CHECK (state IN ('erased', 'redacted', 'corrected', 'exported', 'stopped', 'retained',
                                         'manual', 'not_held', 'pending', 'failed')),
    until timestamptz, detail jsonb NOT NULL DEFAULT '{}', recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, recipient)
);

-- Reminders about due dates: each once per request and due date.
CREATE TABLE ledger.reminder (
    request_id uuid NOT NULL REFERENCES ledger.request ON DELETE CASCADE, name text NOT NULL,
    due_at timestamptz NOT NULL, reminded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, name, due_at)
);

-- Status callbacks asked for by a controller (OpenDSR 2.0): at least once, every change of state.
CREATE TABLE ledger.callback (
    id uuid PRIMARY KEY, request_id uuid NOT NULL REFERENCES ledger.request ON DELETE CASCADE,
    url text NOT NULL, status text NOT NULL, queued_at timestamptz NOT NULL, next_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0, delivered_at timestamptz, given_up_at timestamptz,
    UNIQUE (request_id, url, status)
);
CREATE INDEX callback_waiting ON ledger.callback (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
