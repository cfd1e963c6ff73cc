"""``objects.list``: prefix, delimiter, offsets, versions, soft-deleted versions, pages."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request
from include.sandbox.gcs.resources import Bucket, Version

LARGEST_PAGE = 1000


@dataclass
class Page:
    """One page of a listing and the token of the next."""

    items: list[Version] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_token: str | None = None


def list_versions(bucket: Bucket, request: Request) -> Page:
    """The page that the request asks for; names in UTF-8 order, generations of a name ascending."""
    soft, versions = request.flag("softDeleted"), request.flag("versions")
    if soft and versions:
        raise ApiError(400, "softDeleted and versions cannot both be true.", location="softDeleted")
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
    size = min(request.integer("maxResults") or LARGEST_PAGE, LARGEST_PAGE)
    end, after = request.query.get("endOffset", ""), _after(request)
    page, last = Page(), ""
    # After a collapsed prefix comes the first name beyond everything that starts with it.
    start = max(prefix, request.query.get("startOffset", ""), after[0])
    for name, all_versions in (bucket.soft_deleted if soft else bucket.versions).starting_at(start):
        if not name.startswith(prefix) or (end and name >= end):
            break
        folder = _folder(name, prefix, delimiter)
        chosen = (
            all_versions
            if soft or versions
            else [each for each in all_versions if each.noncurrent_at is None]
        )
        chosen = [each for each in chosen if (name, each.generation) > after]
        if not chosen or (folder and folder in (last, after[2])):
            continue
        if folder:
            if len(page.items) + len(page.prefixes) == size:
                return _more(page)
            page.prefixes.append(folder)
            last = folder
            continue
        for version in chosen:
            if len(page.items) + len(page.prefixes) == size:
                return _more(page)
            page.items.append(version)
    return page


def _folder(name: str, prefix: str, delimiter: str) -> str:
    """The collapsed prefix a name falls under, or empty."""
    if not delimiter:
        return ""
    head, found, _ = name[len(prefix) :].partition(delimiter)
    return prefix + head + delimiter if found else ""


def _more(page: Page) -> Page:
    item = page.items[-1] if page.items else None
    folder = page.prefixes[-1] if page.prefixes else ""
    name, generation = (item.name, item.generation) if item else ("", 0)
    if folder > name:
        name, generation = folder, 0
    token = json.dumps([name, generation, folder])
    page.next_token = base64.urlsafe_b64encode(token.encode()).decode()
    return page


def _after(request: Request) -> tuple[str, int, str]:
    """Where the last page ended: name, generation, collapsed prefix."""
    token = request.query.get("pageToken")
    if not token:
        return "", 0, ""
    try:
        name, generation, folder = json.loads(base64.urlsafe_b64decode(token))
        return str(name), int(generation), str(folder)
    except (ValueError, TypeError):
        raise ApiError(400, "Invalid pageToken.", location="pageToken") from None
