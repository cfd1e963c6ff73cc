"""Our requests and the stand-in's answers against SendGrid's published API description, where at hand."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from include.privacy.letters.letter import Letter
from include.privacy.letters.rendering import Letters
from include.privacy.letters.samples import samples
from include.privacy.mail import MailError
from include.privacy.mail.sendgrid import SendGridMail
from include.privacy.policy.loading import ROOT, load_config
from tests.mail.conftest import Exchange, Post

SPECS = ROOT.parent / "shared" / "specs" / "sendgrid"
MAIL, LOGS = SPECS / "tsg_mail_v3.json", SPECS / "tsg_logs_v3.json"
pytestmark = pytest.mark.skipif(
    not (MAIL.exists() and LOGS.exists()), reason=f"no API description in ../{SPECS.relative_to(ROOT.parent)}"
)
LETTER = Letter("verify", "en", "Subject", "Text\n", "<p>Text</p>\n")


@cache
def spec(path: Path) -> dict[str, Any]:
    """The description, strict: a field that it does not name is wrong. Its known defects are put right."""
    described: dict[str, Any] = json.loads(path.read_text())
    if path == MAIL:
        body = described["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"][
            "schema"
        ]
        # Typed as a string; every example and the server take an object of strings.
        body["properties"]["custom_args"] = {"type": "object", "additionalProperties": {"type": "string"}}
    close(described)
    return described


def close(node: Any) -> None:
    """Forbid unknown fields wherever fields are named, and read ``nullable``, which 3.1 no longer knows."""
    if isinstance(node, list):
        for item in node:
            close(item)
        return
    if not isinstance(node, dict):
        return
    if isinstance(node.get("properties"), dict):
        node.setdefault("additionalProperties", False)
        # The rate-limit page shows `"field": null` in errors; the descriptions say it now and then only.
        if node["properties"].keys() >= {"message", "field"}:
            node["properties"]["field"]["nullable"] = True
    if node.get("nullable") and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
    for value in list(node.values()):
        close(value)


def problems(value: Any, schema: dict[str, Any], path: Path) -> list[str]:
    """What the description does not allow in the value."""
    whole = copy.copy(schema) | {"components": spec(path)["components"]}
    found = Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def judge(exchange: Exchange) -> Iterator[str]:
    """Everything in one exchange that is not as described."""
    path = MAIL if exchange.request.path == "/v3/mail/send" else LOGS
    operation = spec(path)["paths"][exchange.request.path][exchange.request.method.lower()]
    yield from problems(exchange.request.json(), content(operation["requestBody"], path), path)
    status = str(exchange.response.status)
    answer = operation["responses"].get(status, operation["responses"].get("default"))
    # 429 is on the rate-limit page only; it has the shape of the other errors.
    if answer is None and status == "429":
        answer = operation["responses"]["400"]
    assert answer is not None, f"{status} is no answer of {exchange.request.path}"
    schema = content(answer, path)
    if schema is None:
        assert exchange.response.body == b""
        return
    yield from problems(json.loads(exchange.response.body), schema, path)


def content(node: dict[str, Any], path: Path) -> Any:
    """The JSON schema of a body or answer; none when it has no content."""
    while "$ref" in node:
        target: Any = spec(path)
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node["content"]["application/json"]["schema"] if "content" in node else None


def test_every_letter_in_every_language_is_sent_as_described(
    post: Post, mail: Callable[..., SendGridMail]
) -> None:
    config = load_config(ROOT / "config")
    letters, port = (
        Letters(config.letters, config.policy.timezone),
        mail(reply_to="dpo@practice-engine.example"),
    )
    for language in config.letters.head.languages:
        for facts in samples():
            port.send(
                "p@practice.example",
                letters.render(facts.kind, facts, language=language),
                reference=secrets.token_urlsafe(16),
            )
    assert len(post.said) > 100
    assert {e.response.status for e in post.said} == {202}
    assert [line for exchange in post.said for line in judge(exchange)] == []


def test_looking_letters_up_is_asked_and_answered_as_described(
    post: Post, mail: Callable[..., SendGridMail]
) -> None:
    token, now = secrets.token_urlsafe(16), datetime.now(UTC)
    mail().send("p@practice.example", LETTER, reference=token)
    mail().find(token, now, as_of=now)
    mail().find(secrets.token_urlsafe(16), now, as_of=now + timedelta(hours=2))
    assert [len(json.loads(e.response.body)["messages"]) for e in post.said[1:]] == [1, 0]
    assert [line for exchange in post.said for line in judge(exchange)] == []


@pytest.mark.parametrize("status", [401, 403, 404, 405, 413, 429, 500])
@pytest.mark.parametrize("path", ["/v3/mail/send", "/v3/logs"])
def test_every_refusal_of_the_stand_in_has_the_described_shape(post: Post, path: str, status: int) -> None:
    from include.sandbox.processors.exchange import Request

    described = MAIL if path.endswith("send") else LOGS
    responses = spec(described)["paths"][path]["post"]["responses"]
    schema = content(responses.get(str(status), responses["400"]), described)
    assert problems(json.loads(post.stand_in.refusal(status).body), schema, described) == []
    assert Request.of("POST", path, {}).path == path


def test_a_mail_that_the_stand_in_refuses_is_refused_in_the_described_shape(
    post: Post, mail: Callable[..., SendGridMail]
) -> None:
    with pytest.raises(MailError):
        mail(key="SG.other").send("p@practice.example", LETTER, reference=secrets.token_urlsafe(16))
    assert post.said[0].response.status == 401
    assert list(judge(post.said[0])) == []


def test_the_judge_can_say_no() -> None:
    schema = spec(MAIL)["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"][
        "schema"
    ]
    good = {"from": {"email": "a@b.example"}, "personalizations": [{"to": [{"email": "c@d.example"}]}]}
    assert problems(good, schema, MAIL) == []
    for wrong in ({"subjekt": "x"}, {"from": {"mail": "x"}}, {"categories": ["a", "a"]}, {"send_at": "soon"}):
        assert problems(good | wrong, schema, MAIL)
