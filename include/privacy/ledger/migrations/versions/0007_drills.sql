-- A drill plants a synthetic person and uses every right on it. What was planted is sealed under the drill's
-- key, which is destroyed when it ends; ``notes`` has names of stores and ids of requests only.
CREATE TABLE ledger.drill (
    id uuid PRIMARY KEY, state text NOT NULL, began_at timestamptz NOT NULL, moved_at timestamptz NOT NULL,
    ended_at timestamptz, failure text, notes jsonb NOT NULL DEFAULT '{}',
    key_id uuid REFERENCES ledger.sealing_key, planted_sealed bytea,
    CONSTRAINT an_ended_drill_has_a_verdict CHECK ((ended_at IS NOT NULL) = (state IN ('passed', 'failed'))),
    CONSTRAINT a_failed_drill_says_why CHECK ((state IN ('clearing', 'failed')) = (failure IS NOT NULL))
);
-- One at a time: two synthetic people would be taken for each other.
CREATE UNIQUE INDEX drill_under_way ON ledger.drill ((true)) WHERE ended_at IS NULL;
CREATE INDEX drill_began ON ledger.drill (began_at);
CREATE TRIGGER drill_transition BEFORE INSERT OR UPDATE OF state ON ledger.drill
    FOR EACH ROW EXECUTE FUNCTION ledger.check_transition('drill');
