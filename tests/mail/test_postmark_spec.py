"""Every call of bulk mail and every answer of Postmark's stand-in against the published description."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.privacy.mail import MailError
from include.privacy.mail.postmark_bulk import STREAM, PostmarkBulk
from tests.mail.conftest import SENDER
from tests.mail.test_sendgrid_bulk import LETTER, people, token
from tests.processors.openapi import Description, needs
from tests.processors.standing import standing
from tests.processors.test_postmark_spec import completed

pytestmark = needs("postmark/server.json")
KEY = "a-token-for-tests"


def _completed(document: dict[str, Any]) -> None:
    """Streams and metadata are younger than the description: reference pages email-api and messages-api."""
    completed(document)
    schemas = document["components"]["schemas"]
    for name in ("SendEmailRequest", "OutboundMessageDetail"):
        schemas[name]["properties"] |= {
            "Metadata": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 80}},
            "MessageStream": {"type": "string"},
        }


@pytest.fixture(scope="module")
def description() -> Description:
    return Description("postmark/server.json", _completed)


def test_batches_their_records_and_the_list_are_asked_and_answered_as_described(
    tmp_path: Path, description: Description
) -> None:
    now = datetime.now(UTC)
    with standing("postmark", tmp_path, KEY) as running:
        to, batch = people(30), token()
        running.control.configure(bounce_share=0.3)
        running.stand_in.server.suppress(STREAM, to[0].address, "SpamComplaint", "Recipient")
        port = PostmarkBulk(
            KEY, SENDER, reply_to="dpo@practice-engine.example", endpoint_url=running.endpoint
        )
        results = port.send(LETTER, to, batch=batch).results
        assert {each.reason for each in results} == {"", "inactive_recipient"}
        assert {fated.reason for fated in port.fates(batch, now, as_of=now)} == {"", "hard_bounce"}
        later = now + timedelta(hours=1)
        assert list(port.suppressed(now - timedelta(hours=1), later, as_of=later))
        port.close()
        wrong = PostmarkBulk("another", SENDER, endpoint_url=running.endpoint)
        with pytest.raises(MailError):
            wrong.send(LETTER, people(1), batch=token())
        wrong.close()
    assert {e.response.status for e in running.said} == {200, 401}
    assert {e.request.path for e in running.said} == {
        "/email/batch", "/messages/outbound", "/bounces", f"/message-streams/{STREAM}/suppressions/dump",
    }  # fmt: skip
    assert [line for exchange in running.said for line in description.judge(exchange)] == []
    sent = running.said[0]
    for change in ({"Betreff": "x"}, {"TrackLinks": "All"}, {"TrackOpens": "no"}):
        body = json.dumps([sent.request.json()[0] | change]).encode()
        changed = replace(sent, request=replace(sent.request, body=body))
        assert list(description.judge(changed)), "the judge cannot say no"
