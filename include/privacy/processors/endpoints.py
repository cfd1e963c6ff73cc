"""Where each processor is, for whoever looks at how it is reached."""

from __future__ import annotations

from importlib import import_module

from include.privacy.connections import ConnectionInfo, safe_endpoint

_OFFICIAL = {
    "paypal": ("paypal.adapter", "HOST"),
    "plausible": ("plausible", "HOST"),
    "postmark": ("postmark.calls", "OFFICIAL"),
    "stripe": ("stripe.client", "ENDPOINT"),
}
_SENDGRID = "https://api.sendgrid.com"
"""Written down in SendGrid's own library only."""


def endpoint_of(processor: str, info: ConnectionInfo) -> str:
    """The URL that the adapter of the processor calls. Raises ``LookupError`` for one that has none."""
    own = safe_endpoint(info)
    if own:
        return own
    if processor == "sendgrid":
        return _SENDGRID
    if processor not in _OFFICIAL:
        raise LookupError(
            f"nobody has written down where {processor!r} is; add it to processors/endpoints.py"
        )
    module, name = _OFFICIAL[processor]
    return str(getattr(import_module(f"include.privacy.processors.{module}"), name))
