"""PayPal (P5.2), a controller of its own: what we control there is deleted, the rest it decides itself."""

from include.privacy.processors.paypal.adapter import PayPal, connect
from include.privacy.processors.paypal.notice import notice

__all__ = ["PayPal", "connect", "notice"]
