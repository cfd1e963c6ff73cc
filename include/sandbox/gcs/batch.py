"""``POST /batch/storage/v1``: up to 100 calls in one request, each with a result of its own."""

from __future__ import annotations

import email.message
import email.parser
import email.policy
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus

from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request, Response

MOST_CALLS = 100
MOST_BYTES = 10 * 1024 * 1024


def answer_batch(request: Request, answer: Callable[[Request], Response]) -> Response:
    """Answer every call in turn; one that fails does not touch the others.

    Documented limits: 100 calls, 10 MB, no uploads or downloads.
    """
    calls = _calls(request)
    boundary = f"batch_{secrets.token_hex(12)}"
    parts = []
    for content_id, call in calls:
        result = answer(call) if call is not None else _refused()
        parts.append(_part(content_id, result))
    body = (
        b"".join(b"--%s\r\n%s" % (boundary.encode(), part) for part in parts)
        + b"--%s--\r\n" % boundary.encode()
    )
    return Response(200, body, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


def _refused() -> Response:
    return Response.of_error(ApiError(400, "Uploads and downloads are not supported in a batch."))


def _calls(request: Request) -> list[tuple[str, Request | None]]:
    if len(request.body) > MOST_BYTES:
        raise ApiError(413, "The batch is larger than 10 MB.", reason="uploadTooLarge")
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    if not message.is_multipart():
        raise ApiError(400, "Failed to parse batch request: not a multipart body.", reason="badRequest")
    parts = [part for part in message.iter_parts() if isinstance(part, email.message.Message)]
    if not 0 < len(parts) <= MOST_CALLS:
        raise ApiError(400, f"A batch has 1 to {MOST_CALLS} calls, not {len(parts)}.", reason="badRequest")
    return [(part.get("Content-ID", ""), _call(part, request.base_url)) for part in parts]


def _call(part: email.message.Message, base_url: str) -> Request | None:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    head, _, body = raw.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
    line, *header_lines = head.decode("utf-8", "replace").split("\n")
    words = line.split(" ")
    if len(words) < 2:
        raise ApiError(400, "Failed to parse batch request: a part has no request line.", reason="badRequest")
    headers = dict(re.split(r":\s*", each, maxsplit=1) for each in header_lines if ":" in each)
    call = Request.of(words[0], words[1], headers, body.rstrip(b"\n"), base_url)
    return (
        None if call.path.startswith(("/upload", "/download")) or call.query.get("alt") == "media" else call
    )


def _part(content_id: str, result: Response) -> bytes:
    reference = f"Content-ID: <response-{content_id.strip('<>')}>\r\n" if content_id else ""
    headers = "".join(f"{name}: {value}\r\n" for name, value in result.headers.items())
    status = f"HTTP/1.1 {result.status} {HTTPStatus(result.status).phrase}"
    inner = f"{status}\r\n{headers}Content-Length: {len(result.body)}\r\n\r\n"
    return f"Content-Type: application/http\r\n{reference}\r\n{inner}".encode() + result.body + b"\r\n"
