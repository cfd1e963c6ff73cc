"""Texts for a member of staff: what PayPal is told, and what the person is told about PayPal.

PayPal has no interface for erasing a payer, and no duty to follow our order: it is a controller of its
own. We owe it the notice that the person wants their data erased or corrected (Art. 17(2) and 19 GDPR), and
owe the person the way to ask there (Art. 12(2)). Pure functions: facts in, text out; nothing here sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

PRIVACY_URL = "https://www.paypal.com/myaccount/privacy/privacyhub"


@dataclass(frozen=True)
class Evidence:
    """What is attached to a notice: ids and dates that PayPal knows, nothing else of the person.

    ``transactions``: id and date of each, the oldest first. ``reported_until``: how far PayPal's report went.
    """

    payer_ids: tuple[str, ...] = field(default=(), repr=False)
    subscriptions: tuple[str, ...] = field(default=(), repr=False)
    transactions: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    payment_methods_deleted: int = 0
    reported_until: str | None = None


def evidence_of(memo: Mapping[str, Any], payer_ids: tuple[str, ...] = ()) -> Evidence:
    """The evidence in the memo of an erasure's report (:func:`.erasing.erase_one`)."""
    return Evidence(
        payer_ids,
        tuple(map(str, memo.get("subscriptions", ()))),
        tuple((str(t[0]), str(t[1])) for t in memo.get("transactions", ())),
        len((memo.get("done") or {}).get("payment_token", ())),
        memo.get("reported_until"),
    )


def notice(case: str, controller: str, received: date, action: str, person: Mapping[str, Any]) -> str:
    """What to send to PayPal for a task that is manual; ``person`` as the task keeps it sealed."""
    evidence = evidence_of(person["memo"], tuple(person["ids"].get("paypal_payer_id", ())))
    right: Literal["erasure", "rectification"] = "rectification" if action == "rectify" else "erasure"
    return to_paypal(case, controller, received, evidence, right=right)


def to_paypal(
    case: str,
    controller: str,
    received: date,
    evidence: Evidence,
    *,
    right: Literal["erasure", "rectification"],
) -> str:
    """The notice to PayPal, in English. ``case``: our opaque reference; ``controller``: who we are."""
    wish, article, deed = {
        "erasure": ("erased", "17", "erased what we control at PayPal"),
        "rectification": ("corrected", "16", "corrected the drafts of invoices that we control at PayPal"),
    }[right]
    lines = [
        f"Notice under Article 19 GDPR, our reference {case}",
        "",
        f"A person whose payments to us you processed asked {controller} on {received.isoformat()} to have "
        f"their personal data {wish} (Article {article} GDPR). The request was verified. We have {deed}.",
        "",
        "You hold data of this person as a controller of your own. We inform you of the request and ask you "
        "to examine it for the data you received through our account. The person has been told that you "
        "decide, and where to ask you.",
        "",
        "How you find the person:",
    ]
    lines += [f"- PayPal account id: {each}" for each in evidence.payer_ids]
    lines += [f"- subscription: {each}" for each in evidence.subscriptions]
    lines += [f"- transaction: {number}, {_day(at)}" for number, at in evidence.transactions]
    if lines[-1].endswith(":"):
        lines.append("- no id is known to us; please ask for what you need")
    if evidence.payment_methods_deleted:
        lines += ["", f"Payment methods deleted from the vault by us: {evidence.payment_methods_deleted}."]
    if evidence.reported_until:
        lines += ["", f"Transactions are those that you reported until {evidence.reported_until}."]
    return "\n".join([*lines, "", "Please confirm to the reference above.", ""])


def to_person(language: str, evidence: Evidence, *, url: str = PRIVACY_URL) -> str:
    """What the person is told of PayPal, in English or German (any other language: English)."""
    count = len(evidence.transactions)
    if language.partition("-")[0] == "de":
        payments = {0: "", 1: " Dort liegt eine Zahlung an uns."}.get(
            count, f" Dort liegen {count} Zahlungen an uns."
        )
        return (
            "PayPal ist für Ihre Daten selbst verantwortlich und entscheidet selbst, was es löscht oder "
            f"berichtigt.{payments} Was wir dort in der Hand haben, haben wir gelöscht oder beendet, "
            "und wir haben PayPal von Ihrem Wunsch unterrichtet. Zahlungen muss PayPal nach eigenen Angaben "
            f"bis zu zehn Jahre aufbewahren. Wenden Sie sich für alles Weitere an PayPal selbst: {url}\n"
        )
    payments = {0: "", 1: " It holds one payment to us."}.get(count, f" It holds {count} payments to us.")
    return (
        f"PayPal answers for your data itself and decides itself what it erases or corrects.{payments} What "
        "we control there we have erased or ended, and we have told PayPal of your wish. PayPal says that it "
        f"has to keep payments for up to ten years. For everything else please ask PayPal: {url}\n"
    )


def _day(written: str) -> str:
    try:
        return datetime.fromisoformat(written).date().isoformat()
    except ValueError:
        return "no date"
