"""Our requests and the stand-in's answers against SendGrid's published API description, where at hand."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.privacy.letters.letter import Letter
from include.privacy.letters.rendering import Letters
from include.privacy.letters.samples import samples
from include.privacy.mail import MailError
from include.privacy.mail.sendgrid import SendGridMail
from include.privacy.mail.sendgrid_bulk import SendGridBulk
from include.privacy.policy.loading import ROOT, load_config
from tests.mail.conftest import KEY, SENDER, Post
from tests.mail.test_sendgrid_bulk import people, token
from tests.processors.openapi import Description, needs
from tests.processors.standing import Exchange
from tests.processors.test_sendgrid_spec import corrected

FILES = [f"sendgrid/tsg_{name}_v3.json" for name in ("mail", "logs", "suppressions")]
pytestmark = needs(*FILES)
LETTER = Letter("verify", "en", "Subject", "Text\n", "<p>Text</p>\n")


def _corrected(document: dict[str, Any]) -> None:
    """What the descriptions have wrong of mail, besides what they have wrong elsewhere."""
    corrected(document)
    paths = document["paths"]
    if "/v3/mail/send" in paths:
        body = document["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]
        # Typed as a string; every example and the server take an object of strings.
        body["schema"]["properties"]["custom_args"] = {
            "type": "object",
            "additionalProperties": {"type": "string"},
        }
        # On the rate-limit page only; it has the shape of the other errors.
        answers = paths["/v3/mail/send"]["post"]["responses"]
        answers["429"] = answers["400"]


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    return [Description(name, _corrected) for name in FILES]


def problems(descriptions: list[Description], said: Iterable[Any]) -> list[str]:
    """Everything that is not as described. A call that none describes is wrong."""
    return [
        line
        for exchange in said
        for line in next((d for d in descriptions if d.knows(exchange)), descriptions[0]).judge(exchange)
    ]


def test_every_letter_in_every_language_is_sent_as_described(
    post: Post, mail: Callable[..., SendGridMail], descriptions: list[Description]
) -> None:
    config = load_config(ROOT / "config")
    letters = Letters(config.letters, config.policy.timezone)
    port = mail(reply_to="dpo@practice-engine.example")
    for language in config.letters.head.languages:
        for facts in samples():
            letter = letters.render(facts.kind, facts, language=language)
            port.send("p@practice.example", letter, reference=secrets.token_urlsafe(16))
    assert len(post.said) > 100
    assert {e.response.status for e in post.said} == {202}
    assert problems(descriptions, post.said) == []


def test_looking_letters_up_is_asked_and_answered_as_described(
    post: Post, mail: Callable[..., SendGridMail], descriptions: list[Description]
) -> None:
    reference, now = secrets.token_urlsafe(16), datetime.now(UTC)
    mail().send("p@practice.example", LETTER, reference=reference)
    mail().find(reference, now, as_of=now)
    mail().find(secrets.token_urlsafe(16), now, as_of=now + timedelta(hours=2))
    assert [len(json.loads(e.response.body)["messages"]) for e in post.said[1:]] == [1, 0]
    assert problems(descriptions, post.said) == []


def test_a_batch_its_fates_and_the_lists_are_asked_and_answered_as_described(
    post: Post, descriptions: list[Description]
) -> None:
    port = SendGridBulk(KEY, SENDER, reply_to="dpo@practice-engine.example", endpoint_url=post.endpoint)
    to, batch, now = people(40), token(), datetime.now(UTC)
    post.control.configure(bounce_share=0.2, block_share=0.2, drop_share=0.2)
    for place, name in enumerate(("bounces", "blocks", "invalid_emails", "spam_reports")):
        post.stand_in.suppressions.put(name, to[place].address)
    port.send(LETTER, to, batch=batch)
    assert len({fated.reason for fated in port.fates(batch, now, as_of=now)}) > 5
    later = now + timedelta(hours=1)
    assert len(list(port.suppressed(now - timedelta(hours=1), later, as_of=later))) > 4
    assert {e.request.path.rpartition("/")[2] for e in post.said} >= {"send", "logs", "bounces", "blocks"}
    assert problems(descriptions, post.said) == []


@pytest.mark.parametrize("status", [401, 403, 404, 405, 413, 429, 500])
@pytest.mark.parametrize("path", ["/v3/mail/send", "/v3/logs"])
def test_every_refusal_of_the_stand_in_has_the_described_shape(
    post: Post, path: str, status: int, descriptions: list[Description], mail: Callable[..., SendGridMail]
) -> None:
    mail().send("p@practice.example", LETTER, reference=secrets.token_urlsafe(16))
    mail().find(secrets.token_urlsafe(16), datetime.now(UTC), as_of=datetime.now(UTC))
    [said] = [each for each in post.said if each.request.path == path]
    refused = Exchange(said.request, post.stand_in.refusal(status))
    assert problems(descriptions, [refused]) == []


def test_a_mail_that_the_stand_in_refuses_is_refused_in_the_described_shape(
    post: Post, mail: Callable[..., SendGridMail], descriptions: list[Description]
) -> None:
    with pytest.raises(MailError):
        mail(key="SG.other").send("p@practice.example", LETTER, reference=secrets.token_urlsafe(16))
    assert post.said[0].response.status == 401
    assert problems(descriptions, post.said) == []


@pytest.mark.parametrize(
    "wrong",
    [{"subjekt": "x"}, {"from": {"mail": "x"}}, {"categories": ["a", "a"]}, {"send_at": "soon"}],
    ids=lambda wrong: " ".join(wrong),
)
def test_the_judge_can_say_no(
    post: Post, mail: Callable[..., SendGridMail], descriptions: list[Description], wrong: dict[str, Any]
) -> None:
    mail().send("p@practice.example", LETTER, reference=secrets.token_urlsafe(16))
    [said] = post.said
    body = json.dumps(said.request.json() | wrong).encode()
    assert problems(descriptions, [Exchange(replace(said.request, body=body), said.response)])
