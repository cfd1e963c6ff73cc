"""Postmark as a processor (P5.6): messages, bounces and suppressions of people.

Sources: Postmark's published description (2026) and its reference pages on message streams, suppressions and
data removals.
"""

from __future__ import annotations

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.postmark.adapter import Postmark
from include.privacy.processors.postmark.calls import PostmarkCalls
from include.privacy.processors.postmark.settings import PostmarkSettings

__all__ = ["Postmark", "connect"]


def connect(mapped: ProcessorMap, info: ConnectionInfo, endpoint_url: str | None) -> Postmark:
    """The adapter. Raises ``ValueError`` for settings or tokens that cannot be right.

    ``password``: the token of the server. Extra ``account_token``: that of the account, for data removals.
    """
    settings = PostmarkSettings.of(mapped)
    account = info.extra.get("account_token")
    calls = PostmarkCalls(
        info.password or "",
        str(account) if account else None,
        endpoint_url,
        calls_per_minute=settings.calls_per_minute,
    )
    return Postmark(calls, mapped, settings)
