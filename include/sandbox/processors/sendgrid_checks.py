"""What ``POST /v3/mail/send`` refuses with 400, as far as SendGrid documents it, and every unknown field."""

from __future__ import annotations

import re
import time
from typing import Any

PEOPLE_PER_CALL = 1000
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\[\]\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_BODY = {
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments",
    "template_id", "headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name",
    "mail_settings", "tracking_settings",
}  # fmt: skip
_ENVELOPE = {
    "from", "to", "cc", "bcc", "subject", "headers", "substitutions", "dynamic_template_data", "custom_args",
    "send_at",
}  # fmt: skip
_SWITCHES = {
    "mail_settings": {
        "bypass_list_management", "bypass_spam_management", "bypass_bounce_management",
        "bypass_unsubscribe_management", "footer", "sandbox_mode",
    },
    "tracking_settings": {"click_tracking", "open_tracking", "subscription_tracking", "ganalytics"},
}  # fmt: skip


_SWITCH = {
    "enable", "enable_text", "text", "html", "substitution_tag", "utm_source", "utm_medium", "utm_term",
    "utm_content", "utm_campaign",
}  # fmt: skip


class BadRequestError(Exception):
    """A 400: what SendGrid says, and which field it names."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def check_mail(body: Any) -> None:
    """Raise :class:`BadRequestError` for the first thing that is wrong."""
    _object(body, _BODY, "")
    _party(body.get("from"), "from")
    if "reply_to" in body:
        _party(body["reply_to"], "reply_to")
    envelopes = body.get("personalizations")
    if not isinstance(envelopes, list) or not envelopes:
        raise BadRequestError(
            "The personalizations field is required and must have at least one personalization.",
            "personalizations",
        )
    if len(envelopes) > PEOPLE_PER_CALL:
        raise BadRequestError("You can only have up to 1000 personalizations.", "personalizations")
    people: set[str] = set()
    for number, envelope in enumerate(envelopes):
        _envelope(envelope, f"personalizations.{number}", body, people)
    if len(people) > PEOPLE_PER_CALL:
        raise BadRequestError("The total number of recipients must be no more than 1000.", "personalizations")
    _content(body.get("content"))
    _categories(body.get("categories", []))
    _arguments(body.get("custom_args", {}), "custom_args")
    for name, known in _SWITCHES.items():
        _object(body.get(name, {}), known, name)
        for switch, value in body.get(name, {}).items():
            _object(value, _SWITCH, f"{name}.{switch}")
    _bypasses(body.get("mail_settings", {}))
    send_at = body.get("send_at", 0)
    if not isinstance(send_at, int):
        raise BadRequestError("Invalid type. Expected: integer.", "send_at")
    if send_at > time.time() + 72 * 3600:
        raise BadRequestError("Scheduled send times must not be more than 72 hours ahead.", "send_at")


def _envelope(envelope: Any, where: str, body: dict[str, Any], seen: set[str]) -> None:
    _object(envelope, _ENVELOPE, where)
    if not envelope.get("to"):
        raise BadRequestError("The to array is required for all personalization objects.", f"{where}.to")
    for field in ("to", "cc", "bcc"):
        for number, party in enumerate(_list(envelope.get(field, []), f"{where}.{field}")):
            _party(party, f"{where}.{field}.{number}")
            address = party["email"].lower()
            if address in seen:
                raise BadRequestError(
                    "Each unique email address in the personalizations array should only be included once "
                    "between to, cc, and bcc.",
                    where,
                )
            seen.add(address)
    subject = envelope.get("subject", body.get("subject"))
    if not isinstance(subject, str) or not subject:
        raise BadRequestError("The subject is required.", "subject")
    if any(ord(c) < 32 for c in subject):
        raise BadRequestError("The subject must not hold control characters.", "subject")
    _arguments(envelope.get("custom_args", {}), f"{where}.custom_args")


def _party(value: Any, where: str) -> None:
    _object(value, {"email", "name"}, where)
    if not isinstance(value.get("email"), str) or not _ADDRESS.fullmatch(value["email"]):
        raise BadRequestError("Does not contain a valid address.", f"{where}.email")
    if not value["email"].isascii():
        raise BadRequestError("Unicode characters are not supported in an address.", f"{where}.email")
    name = value.get("name", "")
    if not isinstance(name, str) or any(sign in name for sign in ";,"):
        raise BadRequestError("The name must not contain ; or ,", f"{where}.name")


def _content(content: Any) -> None:
    if not isinstance(content, list) or not content:
        raise BadRequestError(
            "Unless a valid template_id is provided, the content parameter is required.", "content"
        )
    for number, part in enumerate(content):
        _object(part, {"type", "value"}, f"content.{number}")
        if not all(isinstance(part.get(name), str) and part[name] for name in ("type", "value")):
            raise BadRequestError(
                "The content value must be a string at least one character in length.",
                f"content.{number}.value",
            )
    kinds = [part["type"] for part in content]
    if len(set(kinds)) < len(kinds):
        raise BadRequestError("If present, text/plain and text/html may only be provided once.", "content")
    if "text/plain" in kinds[1:] or "text/html" in kinds[2:]:
        raise BadRequestError("The text/plain part must be first, then text/html, then others.", "content")


def _categories(value: Any) -> None:
    if any(not isinstance(name, str) or not 0 < len(name) <= 255 for name in _list(value, "categories")):
        raise BadRequestError("A category is a string of up to 255 characters.", "categories")
    if len(value) > 10 or len(set(value)) < len(value):
        raise BadRequestError("There may be up to 10 categories, each once.", "categories")


def _arguments(value: Any, where: str) -> None:
    if not isinstance(value, dict) or any(not isinstance(v, str) for v in value.values()):
        raise BadRequestError("The custom_args values must be strings.", where)
    if sum(len(k.encode()) + len(v.encode()) for k, v in value.items()) >= 10_000:
        raise BadRequestError("The custom_args must be less than 10000 bytes.", where)


def _bypasses(settings: dict[str, Any]) -> None:
    on = [name for name, value in settings.items() if name.startswith("bypass_") and value.get("enable")]
    if "bypass_list_management" in on and len(on) > 1:
        raise BadRequestError("bypass_list_management cannot be combined with others.", "mail_settings")


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequestError("Invalid type. Expected: array.", where)
    return value


def _object(value: Any, known: set[str], where: str) -> None:
    if not isinstance(value, dict):
        raise BadRequestError("Invalid type. Expected: object.", where or None)
    for name in value.keys() - known:
        raise BadRequestError("Unknown field.", f"{where}.{name}".lstrip("."))
