"""What columns and tables are commonly called, and what that means for a map: guesses, all of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from include.privacy.detection.patterns import label
from include.privacy.policy.looks import CATEGORIES, SECRET, WORDS, Kind

PEOPLE = frozenset({
    "user", "account", "customer", "member", "person", "profile", "client", "patient", "learner", "student",
    "subscriber", "player", "contact", "participant", "donor", "guest", "buyer", "reader", "owner", "holder",
})  # fmt: skip
"""What tables of people, and keys that lead to them, are called."""
STAFF = re.compile(r"(?:.*_)?(?:admin|staff|employee|operator|moderator|backoffice)(?:_.*)?s?")
# Who did something to a row, and need not be the one whose row it is.
ACTING = re.compile(
    r"(?:.*_)?(?:author|creator|created|updated|deleted|approved|reviewed|reviewer|approver|assigned|assignee|mentor"
    r"|moderator|editor|inviter|invited|referred|referrer|recommender|handled|processed|changed|coach|teacher|manager"
    r"|seller|sender|from|to|recipient|invitee|parent|target|blocked|followed|friend)(?:_by|_to)?(?:_.*)?"
)
SOMEBODY_ELSE = re.compile(
    r"(?:.*_)?(?:invit\w*|recipient|friend|guest|to|contact|refer\w*|cc|bcc|forward\w*)(?:_.*)?"
)
MONEY = re.compile(
    r"(?:.*_)?(?:invoice|payment|order|receipt|transaction|refund|charge|payout|bill)s?(?:_.*)?"
)

_BY_NAME: tuple[tuple[str, str], ...] = (
    (r"(?:.*_)?e?_?mail(?:_address)?|(?:.*_)?email(?:_.*)?", "user.contact.email"),
    (r"(?:.*_)?(?:phone|mobile|tel|telephone|fax|msisdn)(?:_?(?:no|number|nr))?",
     "user.contact.phone_number"),
    (r"(?:.*_)?(?:password|passwd|pwd|passphrase)(?:_.*)?", CATEGORIES[Kind.password]),
    (r"(?:.*_)?(?:secret|token|api_key|private_key|otp|totp|recovery_codes?)(?:_.*)?",
     CATEGORIES[Kind.token]),
    (r"(?:.*_)?ip(?:_?addr(?:ess)?)?|remote_addr", "user.device.ip_address"),
    (r"(?:first|given)_?name|forename|vor_?name", "user.name.first"),
    (r"(?:last|family|sur)_?name|surname|nach_?name", "user.name.last"),
    (r"(?:user|nick|screen|display)_?name|login|handle|nick", "user.account.username"),
    (r"(?:full|legal|middle|maiden|billing|customer|contact|recipient|sender|requester|holder|owner|author|mentor"
     r"|guest|payer|cardholder)_?name", "user.name"),
    (r"(?:.*_)?(?:address|street|city|zip|post_?code|zip_code|postal_code)(?:_?(?:line)?_?\d)?",
     "user.contact.address"),
    (r"(?:.*_)?(?:birth_?da(?:y|te)|born(?:_on|_at)?|dob|date_of_birth)", "user.demographic.date_of_birth"),
    (r"gender|sex|salutation|pronouns?", "user.demographic.gender"),
    (r"(?:.*_)?(?:lat|lng|lon|latitude|longitude|geo|location|position)", "user.location"),
    (r"(?:.*_)?(?:iban|bic|bank_account|account_number|sort_code)", "user.financial.bank_account"),
    (r"(?:.*_)?(?:card_number|pan|last4|card_last_?four|card_brand)", "user.financial.credit_card"),
    (r"(?:.*_)?(?:vat_id|tax_id|ssn|national_id|passport)(?:_.*)?", "user.government_id"),
    (r"(?:.*_)?(?:fingerprint|device_id|imei|idfa|push_token|mac_address)", "user.device.device_id"),
    (r"(?:.*_)?(?:cookie|cookie_id|session_id|visitor_id|anonymous_id)", "user.device.cookie_id"),
    (r"(?:.*_)?(?:user_agent|browser|os|os_version|platform|device|device_name|model)", "user.device"),
    (r"(?:.*_)?(?:locale|language|lang|time_?zone|tz|theme|settings|preferences|prefs)", "user.settings"),
    (r"(?:.*_)?(?:avatar|photo|picture|image|selfie)(?:_url|_path|_key)?", "user.content.self_image"),
    (r"(?:.*_)?(?:body|message|comment|note|notes|bio|about|content|text|subject|remark|feedback|review|answer"
     r"|description|caption|goals?|reason)", "user.content.private"),
    (r"(?:.*_)?(?:path|url|page|referr?er)", "user.behavior.browsing_history"),
    (r"(?:.*_)?(?:consent|opt_in|opted_in|opted_out|unsubscribed|granted|subscribed)(?:_.*)?",
     "user.privacy_preferences"),
)  # fmt: skip
_BY_NAME_COMPILED = tuple((re.compile(pattern), category) for pattern, category in _BY_NAME)
_IDENTIFIERS = re.compile(r"(?:stripe|paypal|braintree|adyen|mollie|klarna|gateway|customer|payer)_\w*id")
_PUBLIC = re.compile(r"(?:public|external|global|user|account|customer)_?(?:id|uuid|ref|number|no)|uuid|guid")
_SOFT = re.compile(r"(?:is_)?deleted(?:_at|_on)?|removed_at|archived_at|discarded_at")
_DELETED_AT = ("deleted_at", "removed_at", "erased_at", "discarded_at")
_SERVICE_ENDED = (
    "service_ended_at", "ended_at", "cancelled_at", "canceled_at", "closed_at", "deactivated_at",
    "terminated_at", "churned_at", "expires_at", "disabled_at",
)  # fmt: skip

_PURPOSES: tuple[tuple[str, str], ...] = (
    (r"(?:.*_)?(?:session|device|login|access|audit|security|signin)s?(?:_.*)?",
     "essential.service.security"),
    (r"(?:.*_)?(?:credential|password|token|mfa|factor|verification)s?(?:_.*)?",
     "essential.service.authentication"),
    (r"(?:.*_)?(?:newsletter|marketing|campaign|mailing|subscriber)s?(?:_.*)?",
     "marketing.communications.email"),
    (r"(?:.*_)?(?:ticket|support|helpdesk|case)s?(?:_.*)?", "essential.service.operations.support"),
    (r"(?:.*_)?(?:event|analytics|tracking|pageview|metric)s?(?:_.*)?", "analytics.reporting"),
    (r"(?:.*_)?(?:recommendation|suggestion)s?(?:_.*)?", "personalize.content"),
)  # fmt: skip
DEFAULT_PURPOSE = "essential.service.operations"
PAYMENT_PURPOSE = "essential.service.payment_processing"


@dataclass(frozen=True)
class Guess:
    """A category, and whether somebody should look at it."""

    category: str
    check: str | None = None
    secret: bool = False
    identifier: str | None = None


def guess_column(name: str, type_: str, kinds: Collection[Kind]) -> Guess | None:
    """What content and name say; ``None`` where neither says anything. Content weighs more than the name."""
    word = label(name)
    for kind in (Kind.password, Kind.token, Kind.card, Kind.iban, Kind.email, Kind.phone, Kind.ip):
        if kind in kinds and type_ not in ("json", "jsonb"):
            by_name = _named(word)
            # A first name is also a name; a column called body that quotes addresses is a text.
            category = by_name if by_name and by_name.startswith("user.content") else CATEGORIES[kind]
            return Guess(
                category, None if category == by_name else "by what values look like", kind in SECRET
            )
    if _IDENTIFIERS.fullmatch(word) or (Kind.gateway_id in kinds and type_ not in ("json", "jsonb")):
        return Guess("user.unique_id", identifier=word)
    found = _named(word)
    if found is not None:
        return Guess(found, secret=found.startswith("user.authorization"))
    if type_ in ("json", "jsonb"):
        seen = ", ".join(WORDS[kind] for kind in sorted(kinds)) or "nothing that looks personal"
        return Guess("user.content.private", f"a document is as personal as its worst key; in it: {seen}")
    if _PUBLIC.fullmatch(word):
        return Guess("user.unique_id", identifier=word)
    if type_ in ("inet", "cidr"):
        return Guess("user.device.ip_address")
    if type_ == "macaddr":
        return Guess("user.device.device_id")
    if Kind.name in kinds:
        return Guess("user.name", "by what values look like")
    if Kind.free_text in kinds:
        return Guess("user.content.private", "sentences: who writes them?")
    if type_ == "bytea":
        return Guess("user.content.private", "bytes: what are they?")
    return None


def is_soft_delete(name: str) -> bool:
    """Whether the column marks rows as deleted that are still there."""
    return _SOFT.fullmatch(label(name)) is not None


def clock(columns: Mapping[str, str], names: str) -> str | None:
    """The timestamp column that says when service ended (``ended``) or the account was ``deleted``."""
    wanted = _DELETED_AT if names == "deleted" else _SERVICE_ENDED
    timed = {label(c): c for c, type_ in columns.items() if type_.startswith("timestamp")}
    return next((timed[each] for each in wanted if each in timed), None)


def guess_purpose(table: str, known: Collection[str]) -> str:
    """A purpose of the policy for the table; the first one where none fits by name."""
    word = label(table)
    found = next((p for pattern, p in _PURPOSES if re.fullmatch(pattern, word)), None)
    if MONEY.fullmatch(word):
        found = PAYMENT_PURPOSE
    for each in (found, DEFAULT_PURPOSE):
        if each is not None and (each in known or not known):
            return each
    return sorted(known)[0]


def singulars(word: str) -> set[str]:
    """``categories`` → ``category``; the word itself is one of them."""
    found = {word}
    if word == "people":
        found.add("person")
    if word.endswith("ies"):
        found.add(word[:-3] + "y")
    if word.endswith("es"):
        found.add(word[:-2])
    if word.endswith("s") and not word.endswith("ss"):
        found.add(word[:-1])
    return found


def singular(word: str) -> str:
    """The one singular to call a role after."""
    if word == "people":
        return "person"
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _named(word: str) -> str | None:
    return next((category for pattern, category in _BY_NAME_COMPILED if pattern.fullmatch(word)), None)
