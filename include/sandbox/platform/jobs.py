"""Three jobs of the platform, each as a role that sees the views of its purpose and no table.

They are written as any platform would write them: plain SQL, with the views' schema as search path, so
that a table's name means the view. Whoever objected is left out without a line here that says so.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

RECOMMENDER, ANALYTICS, MARKETING = "platform_recommender", "platform_analytics", "platform_marketing"

_RECOMMEND = """
SET LOCAL search_path = for_personalize_content;
WITH weakest AS (
    SELECT DISTINCT ON (learner_id) learner_id, skill_id FROM progress
    ORDER BY learner_id, points, skill_id
)
SELECT l.account_id, ARRAY(
    SELECT e.id FROM exercises e
    WHERE e.skill_id = w.skill_id
      AND NOT EXISTS (SELECT FROM attempts a WHERE a.learner_id = l.account_id AND a.exercise_id = e.id)
    ORDER BY e.difficulty, e.id LIMIT 3)
FROM learners l JOIN weakest w ON w.learner_id = l.account_id
ORDER BY l.account_id
"""

_ANALYSE = """
SET LOCAL search_path = for_analytics_reporting;
SELECT s.name, count(DISTINCT a.learner_id), count(*), round(avg(a.score), 1)::float
FROM attempts a JOIN exercises e ON e.id = a.exercise_id JOIN skills s ON s.id = e.skill_id
GROUP BY s.id, s.name ORDER BY s.id
"""

_NEWSLETTER = """
SET LOCAL search_path = for_marketing_communications_email;
SELECT email FROM newsletter_subscribers WHERE confirmed_at IS NOT NULL ORDER BY email
"""
_SUPPRESSED = "SELECT mark FROM for_marketing_communications_email.suppressed_contacts"


@dataclass(frozen=True)
class SkillReport:
    """One line of the analytics: how many people practise a skill, and how well."""

    skill: str
    people: int
    attempts: int
    average_score: float


def recommend(practice: psycopg.Connection[Any]) -> Mapping[int, Sequence[int]]:
    """Exercises to do next for every learner, from their weakest skill; run as ``RECOMMENDER``."""
    return dict(_rows(practice, _RECOMMEND))


def analyse(practice: psycopg.Connection[Any]) -> list[SkillReport]:
    """Progress and performance by skill; run as ``ANALYTICS``."""
    return [SkillReport(*row) for row in _rows(practice, _ANALYSE)]


def newsletter(accounts: psycopg.Connection[Any], key: bytes) -> list[str]:
    """Whom the next issue goes to; run as ``MARKETING``.

    ``key`` is the suppression key. A suppressed address is left out however it came onto the list.
    """
    addresses = [email for (email,) in _rows(accounts, _NEWSLETTER)]
    suppressed = {bytes(mark) for (mark,) in _rows(accounts, _SUPPRESSED)}
    return [email for email in addresses if mark(key, email) not in suppressed]


def mark(key: bytes, email: str) -> bytes:
    """The mark of an address on the suppression list, as docs/INTEGRATION.md defines it."""
    plain = unicodedata.normalize("NFC", email.strip()).lower()
    return hmac.digest(key, b"email\x1f" + plain.encode(), "sha256")


def _rows(connection: psycopg.Connection[Any], script: str) -> list[tuple[Any, ...]]:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(script.encode())
        while cursor.nextset():  # the last result is the query's
            pass
        return cursor.fetchall()
