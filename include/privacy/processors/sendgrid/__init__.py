"""SendGrid as a processor (P5.5): contacts, suppressions, messages. Letters go by ``include.privacy.mail``.

Sources: Twilio SendGrid's OpenAPI descriptions (2026-01) of contacts, suppressions, recipients' data
erasure, logs and scopes.
"""

from __future__ import annotations

from include.privacy.connections import ConnectionInfo
from include.privacy.policy.processors import ProcessorMap
from include.privacy.processors.sendgrid.adapter import SendGrid
from include.privacy.processors.sendgrid.calls import SendGridCalls
from include.privacy.processors.sendgrid.settings import SendGridSettings

__all__ = ["SendGrid", "connect"]


def connect(mapped: ProcessorMap, info: ConnectionInfo, endpoint_url: str | None) -> SendGrid:
    """The adapter. Raises ``ValueError`` for settings or a key that cannot be right."""
    settings = SendGridSettings.of(mapped)
    if not info.password:
        raise ValueError("has no password: put an API key there")
    calls = SendGridCalls(info.password, endpoint_url, calls_per_minute=settings.calls_per_minute)
    return SendGrid(calls, mapped, settings)
