-- A campaign tells everybody of one version of the policy, once. Who hears of it is sealed under the
-- campaign's key; a person is found again by a keyed mark, so that an erased one can be taken out.
CREATE TABLE ledger.notice_campaign (
    id uuid PRIMARY KEY, version text NOT NULL UNIQUE, previous text NOT NULL, digest text NOT NULL,
    announced_on date NOT NULL, effective_on date NOT NULL, effective_at timestamptz NOT NULL,
    dispatch_by timestamptz NOT NULL, state text NOT NULL, audience bigint, key_id uuid REFERENCES ledger.sealing_key,
    proposed_at timestamptz NOT NULL, presented_at timestamptz, decided_at timestamptz, decided_by_sealed bytea,
    frozen_at timestamptz, joined_at timestamptz, stopped_at timestamptz, people_per_minute integer
        CHECK (people_per_minute > 0),
    proven_through timestamptz, outage_since timestamptz, report jsonb,
    CONSTRAINT proven_says_through_when CHECK ((state IN ('proven', 'in_force', 'superseded')) = (proven_through IS NOT NULL)),
    CONSTRAINT sending_has_an_audience CHECK (state NOT IN ('sending', 'proven', 'in_force') OR audience IS NOT NULL),
    UNIQUE (id, version, effective_at, proven_through)
);
CREATE TRIGGER notice_transition BEFORE INSERT OR UPDATE OF state ON ledger.notice_campaign
    FOR EACH ROW EXECUTE FUNCTION ledger.check_transition('notice');

-- Which version applies. One that changes what is promised cannot be entered before its campaign is proven
-- and 30 days of 24 hours have passed since the last person was written to (P8.1): whoever asks for it.
CREATE TABLE ledger.policy_in_force (
    version text PRIMARY KEY, entered text NOT NULL CHECK (entered IN ('initial', 'editorial', 'announced')),
    campaign_id uuid, proven_through timestamptz, effective_at timestamptz NOT NULL,
    entered_at timestamptz NOT NULL, current boolean NOT NULL, accepted_through timestamptz,
    CONSTRAINT not_before_it_applies CHECK (entered_at >= effective_at),
    CONSTRAINT announced_30_days_before CHECK (entered <> 'announced' OR (campaign_id IS NOT NULL
        AND proven_through IS NOT NULL AND effective_at >= proven_through + interval '720 hours')),
    FOREIGN KEY (campaign_id, version, effective_at, proven_through)
        REFERENCES ledger.notice_campaign (id, version, effective_at, proven_through) MATCH SIMPLE
);
CREATE UNIQUE INDEX policy_in_force_current ON ledger.policy_in_force (current) WHERE current;
CREATE UNIQUE INDEX policy_in_force_initial ON ledger.policy_in_force (entered) WHERE entered = 'initial';

-- One call to a provider. Claimed before the call; what is still claimed when nobody sends any more may have
-- been sent, and is settled by the provider's own records.
CREATE TABLE ledger.notice_batch (
    id uuid PRIMARY KEY, campaign_id uuid NOT NULL REFERENCES ledger.notice_campaign, provider text NOT NULL,
    size integer NOT NULL, state text NOT NULL CHECK (state IN ('claimed', 'accepted', 'doubtful', 'settled', 'void')),
    claimed_at timestamptz NOT NULL, answered_at timestamptz, look_at timestamptz, looks integer NOT NULL DEFAULT 0
);
CREATE INDEX notice_batch_open ON ledger.notice_batch (campaign_id, look_at) WHERE state IN ('claimed', 'accepted', 'doubtful');

CREATE TABLE ledger.notice_delivery (
    token uuid PRIMARY KEY, campaign_id uuid NOT NULL REFERENCES ledger.notice_campaign,
    subject_mark bytea NOT NULL, subject_sealed bytea NOT NULL, language text NOT NULL, joined boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'claimed', 'accepted', 'delivered', 'silent', 'undeliverable',
                                         'told_in_app', 'left')),
    provider text NOT NULL, batch_id uuid REFERENCES ledger.notice_batch, address_mark bytea, reason text,
    attempts smallint NOT NULL DEFAULT 0, dispatched_at timestamptz, settled_at timestamptz,
    UNIQUE (campaign_id, subject_mark),
    CONSTRAINT whoever_was_reached_was_written_to CHECK (state NOT IN ('accepted', 'delivered', 'silent', 'told_in_app')
        OR dispatched_at IS NOT NULL)
);
CREATE INDEX notice_delivery_queue ON ledger.notice_delivery (campaign_id, provider, language, token) WHERE state = 'queued';
CREATE INDEX notice_delivery_undeliverable ON ledger.notice_delivery (campaign_id, token) WHERE state = 'undeliverable';
CREATE INDEX notice_delivery_batch ON ledger.notice_delivery (batch_id) WHERE batch_id IS NOT NULL;
