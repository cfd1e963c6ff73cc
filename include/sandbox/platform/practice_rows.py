"""The rows of the practice database, made inside the database from a list of its people.

Twenty million attempts never pass through Python: each table is one INSERT … SELECT over the
temporary table ``people``. ``pg_temp.h(x, salt, n)`` is a number below n, always the same for the
same arguments, so that the seed decides everything and no random() is involved.
"""

from __future__ import annotations

HELPERS = """
CREATE TEMPORARY TABLE people (
    i bigint PRIMARY KEY, id bigint NOT NULL, name text NOT NULL, email text NOT NULL, ip inet NOT NULL,
    since timestamptz NOT NULL, until timestamptz NOT NULL, marker text
);
CREATE FUNCTION pg_temp.h(x bigint, salt int, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    $$ SELECT (hashint8extended(x, salt) & 9223372036854775807) % n $$;
"""

# Every person's ``i`` is free of gaps from 0, so a neighbour is ``i + 1``. Parameters: %(seed)s,
# %(as_of)s, %(attempts)s (a person), %(people)s.
EXERCISES = (
    "INSERT INTO skills SELECT s, 'Skill ' || s, NULLIF((s - 1) / 4, 0) FROM generate_series(1, 12) s",
    """
    INSERT INTO exercises
    SELECT e, 1 + e %% 12, 'Exercise ' || e, 1 + e %% 5, 'Play bars ' || e || ' to ' || e + 8
    FROM generate_series(1, 240) e
    """,
)

LEARNERS = """
INSERT INTO learners (account_id, display_name, goals, settings, joined_at, mentor_id)
SELECT p.id, p.name,
       CASE WHEN p.marker IS NOT NULL THEN 'I, ' || p.name || ', want to master ' || p.marker
            WHEN p.i %% 3 = 0 THEN 'Twenty minutes a day' END,
       jsonb_build_object('theme', (ARRAY['light', 'dark'])[1 + p.i %% 2], 'notification_email', p.email,
                          'weekly_minutes', 60 + 10 * (p.i %% 9)),
       p.since, m.id
FROM people p
-- one mentor for each group of 25; the second marker is the mentor of a few more
LEFT JOIN people m ON m.i <> p.i AND m.i = CASE
    WHEN p.i %% 25 IN (1, 2, 3) OR p.marker IS NOT NULL THEN p.i / 25 * 25
    WHEN p.i IN (12, 13, 14) THEN %(people)s - 1 WHEN p.i = 15 THEN %(people)s - 2 END
"""

ATTEMPTS = """
INSERT INTO attempts (id, learner_id, exercise_id, attempted_at, duration_ms, score, completed)
SELECT p.i * %(attempts)s + k, p.id, 1 + pg_temp.h(p.i * %(attempts)s + k, %(seed)s, 240),
       -- whole seconds of the last two years of activity
       p.until - make_interval(secs => pg_temp.h(p.i * %(attempts)s + k, %(seed)s + 1, w.seconds)),
       5000 + pg_temp.h(p.i * %(attempts)s + k, %(seed)s + 2, 600000),
       pg_temp.h(p.i * %(attempts)s + k, %(seed)s + 3, 101), k %% 10 <> 0
FROM people p
CROSS JOIN LATERAL (
    SELECT greatest(1, least(700 * 86400, extract(epoch FROM p.until - p.since)::bigint))
) w(seconds)
CROSS JOIN generate_series(1, %(attempts)s) k
"""

ATTEMPT_EVENTS = """
INSERT INTO attempt_events (id, attempt_id, attempted_at, kind, payload)
SELECT a.id, a.id, a.attempted_at, (ARRAY['hint', 'pause', 'restart'])[1 + a.id %% 3],
       jsonb_build_object('bar', a.id %% 40)
FROM attempts a JOIN people p ON p.id = a.learner_id WHERE a.id %% 20 = 0 OR p.marker IS NOT NULL
"""

REST: tuple[str, ...] = (
    """
    INSERT INTO progress (learner_id, skill_id, level, points, updated_at)
    SELECT p.id, 1 + (p.i + 3 * k) %% 12, 1 + pg_temp.h(p.i * 4 + k, %(seed)s + 4, 9),
           pg_temp.h(p.i * 4 + k, %(seed)s + 5, 5000), p.until
    FROM people p CROSS JOIN generate_series(0, 3) k
    """,
    """
    INSERT INTO assessments (id, learner_id, skill_id, score, feedback, taken_at)
    SELECT p.i * 2 + k, p.id, 1 + (p.i + k) %% 12, pg_temp.h(p.i * 2 + k, %(seed)s + 6, 101),
           'Steady rhythm' || coalesce(', ' || p.name || ' (' || p.marker || ')', ''),
           p.until - make_interval(days => k::int)
    FROM people p CROSS JOIN generate_series(1, 2) k
    """,
    """
    INSERT INTO assessment_answers (assessment_id, question_no, answer)
    SELECT p.i * 2 + k, q, 'In my own words: answer ' || q || coalesce(' ' || p.marker, '')
    FROM people p CROSS JOIN generate_series(1, 2) k CROSS JOIN generate_series(1, 2) q
    """,
    """
    INSERT INTO recommendations (id, learner_id, exercise_id, score, reason, model_version, created_at)
    SELECT p.i * 3 + k, p.id, 1 + pg_temp.h(p.i * 3 + k, %(seed)s + 7, 240),
           pg_temp.h(p.i * 3 + k, %(seed)s + 8, 1000) / 1000.0,
           'weak in skill ' || 1 + (p.i + k) %% 12 || coalesce(' ' || p.marker, ''), 'r7', p.until
    FROM people p CROSS JOIN generate_series(1, 3) k
    """,
    """
    INSERT INTO devices (id, learner_id, fingerprint, last_ip, os, browser, first_seen_at, last_seen_at)
    SELECT p.i + 1, p.id,
           CASE WHEN p.marker IS NULL THEN md5('device ' || %(seed)s || ' ' || p.i)
                ELSE 'fp-marker-' || p.id END,
           p.ip, (ARRAY['iPadOS 26', 'Windows 11', 'Android 16', 'Ubuntu 26.04'])[1 + p.i %% 4],
           (ARRAY['Firefox', 'Safari', 'Chrome'])[1 + p.i %% 3], p.since, p.until
    FROM people p
    """,
    # Every fortieth person uses the device of the one before; one uses a marker's.
    """
    INSERT INTO sessions (id, learner_id, device_id, ip, user_agent, token_hash, started_at, ended_at)
    SELECT md5('session ' || %(seed)s || ' ' || p.i * 3 + k)::uuid, p.id,
           1 + CASE WHEN p.i = 16 THEN %(people)s - 1 WHEN p.i = 17 THEN %(people)s - 2
                    WHEN p.i %% 40 = 5 THEN p.i - 1 ELSE p.i END,
           p.ip, 'Mozilla/5.0 (sandbox ' || 1 + p.i %% 4 || ')',
           sha256(('token ' || %(seed)s || ' ' || p.i * 3 + k)::bytea),
           p.until - make_interval(hours => (24 * k)::int),
           p.until - make_interval(hours => (24 * k)::int, mins => -25)
    FROM people p CROSS JOIN generate_series(1, 3) k
    """,
    """
    INSERT INTO mentor_reviews (id, learner_id, mentor_id, mentor_name, rating, review, created_at)
    SELECT p.i + 1, p.id, m.id, m.name, 1 + p.i %% 5,
           'Works well on bar ' || p.i %% 40 || coalesce('; ' || p.name || ' (' || p.marker || ')', ''),
           p.until
    FROM people p JOIN learners l ON l.account_id = p.id JOIN people m ON m.id = l.mentor_id
    """,
    # A comment by everyone; a reply by the next person to every third; a reaction of the one after.
    # Wrapped around, so that the markers answer and are answered by others.
    """
    INSERT INTO comments (id, author_id, exercise_id, parent_id, body, created_at)
    SELECT p.i + 1, p.id, 1 + p.i %% 240, NULL, 'Try it slower first' || coalesce(', says ' || p.marker, ''),
           p.since
    FROM people p
    UNION ALL
    SELECT %(people)s + p.i + 1, r.id, 1 + p.i %% 240, p.i + 1,
           'That helped' || coalesce(', says ' || r.marker, ''), greatest(p.since, r.since)
    FROM people p JOIN people r ON r.i = (p.i + 1) %% %(people)s
    WHERE p.i %% 3 = 0 OR p.marker IS NOT NULL OR r.marker IS NOT NULL
    ORDER BY 1
    """,
    """
    INSERT INTO comment_reactions (comment_id, learner_id, emoji)
    SELECT p.i + 1, r.id, 'thumbs up'
    FROM people p JOIN people r ON r.i = (p.i + 2) %% %(people)s
    WHERE p.i %% 2 = 0 OR p.marker IS NOT NULL OR r.marker IS NOT NULL
    """,
    """
    INSERT INTO exercise_ratings (id, public_ref, exercise_id, learner_id, stars, remark, rated_on)
    SELECT p.i + 1, md5('rating ' || %(seed)s || ' ' || p.i)::uuid, 1 + p.i %% 240, p.id, 1 + p.i %% 5,
           CASE WHEN p.marker IS NOT NULL THEN 'Lovely, writes ' || p.name || ' ' || p.marker END,
           (p.until AT TIME ZONE 'UTC')::date
    FROM people p WHERE p.i %% 4 = 0 OR p.marker IS NOT NULL
    """,
    # One statement for both tables: the cycle between them can be neither nulled nor deferred.
    """
    WITH plan AS (
        INSERT INTO practice_plans (id, learner_id, current_revision_id, created_at)
        SELECT p.i + 1, p.id, p.i * 2 + 2, p.since FROM people p
    )
    INSERT INTO plan_revisions (id, plan_id, author_id, body, created_at)
    SELECT p.i * 2 + k, p.i + 1, CASE WHEN k = 2 THEN l.mentor_id END,
           'Week ' || k || ': scales' || coalesce(' for ' || p.name || ' ' || p.marker, ''), p.since
    FROM people p JOIN learners l ON l.account_id = p.id CROSS JOIN generate_series(1, 2) k
    """,
    # Some invitees have an account by now: the only trace of an e-mail in this database besides settings.
    """
    INSERT INTO invitations (id, inviter_id, invitee_email, message, sent_at)
    SELECT p.i + 1, p.id, CASE WHEN p.i %% 12 = 0 OR r.marker IS NOT NULL THEN r.email
                               ELSE 'friend' || p.i || '@elsewhere.example' END,
           'Join me' || coalesce(', your ' || p.name || ' ' || p.marker, ''), p.since
    FROM people p JOIN people r ON r.i = (p.i + 17) %% %(people)s
    WHERE p.i %% 6 = 0 OR p.marker IS NOT NULL OR r.marker IS NOT NULL
    """,
    # Two months at most; every tenth entry is a visitor who is not signed in.
    """
    INSERT INTO access_log (id, account_id, ip, path, user_agent, occurred_at)
    SELECT p.i * 5 + k, CASE WHEN (p.i * 5 + k) %% 10 <> 3 OR p.marker IS NOT NULL THEN p.id END, p.ip,
           '/exercises/' || 1 + p.i %% 240, 'Mozilla/5.0 (sandbox ' || 1 + p.i %% 4 || ')',
           p.until - make_interval(hours => pg_temp.h(p.i * 5 + k, %(seed)s + 9, 24 * 20)::int)
    FROM people p CROSS JOIN generate_series(1, 5) k
    WHERE p.until > %(as_of)s - interval '42 days'
    """,
    # The same as in the accounts database: each database is asked by jobs of its own.
    """
    INSERT INTO privacy_restrictions (account_id, purpose, reason, since)
    SELECT p.id, 'personalize.content', 'objection', p.since FROM people p
    WHERE p.marker IS NOT NULL OR p.i %% 60 = 31
    """,
)

# What others give and get in a crowd, for somebody who is added alone: from themselves to themselves.
ALONE: tuple[str, ...] = (
    """
    INSERT INTO mentor_reviews (id, learner_id, mentor_id, mentor_name, rating, review, created_at)
    SELECT p.i + 1, p.id, p.id, p.name, 3, 'Works well; ' || p.name || ' (' || p.marker || ')', p.until
    FROM people p
    """,
    """
    INSERT INTO comment_reactions (comment_id, learner_id, emoji)
    SELECT p.i + 1, p.id, 'thumbs up' FROM people p
    """,
    """
    INSERT INTO invitations (id, inviter_id, invitee_email, message, sent_at)
    SELECT p.i + 1, p.id, p.email, 'Join me, your ' || p.name || ' ' || p.marker, p.since FROM people p
    """,
)
