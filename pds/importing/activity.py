"""What people did and kept on the web, as the services hand it out: JSON of three kinds.

Google My Activity    pages visited and searched for become `browsing_history`
Pocket                saved articles become `bookmarks`
Twitter's like.js     liked posts become `bookmarks`; the script around the JSON is cut off,
                      never run
"""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pds.importing.charsets import without_bom
from pds.importing.dates import instant_of_digits
from pds.importing.json_files import read_json, text_of
from pds.importing.results import Findings, ImportResult, Position, unusable_file

FORMAT = "My Activity, Pocket, Twitter"

_SCRIPT = re.compile(rb"\s*window\.YTD\.(like|likes)\.part[0-9]{1,4}\s*=\s*")
_VISITED = "Visited "
_REDIRECTS = frozenset({"www.google.com", "google.com"})


def read_activity(data: bytes) -> ImportResult:
    """Read a file of one of the three kinds.

    Raises:
        ValidationFailedError: it is of none of them, or damaged.
        LimitExceededError: it holds too much.
    """
    findings = Findings()
    raw = without_bom(data)
    script = _SCRIPT.match(raw)
    if script is not None:
        _read_likes(read_json(raw[script.end() :].rstrip().removesuffix(b";")), findings)
        return findings.result()
    if raw.lstrip()[:1] not in (b"{", b"["):
        raise unusable_file("not_this_format", FORMAT)
    content = read_json(raw)
    if isinstance(content, dict) and "list" in content:
        _read_pocket(content["list"], findings)
    elif isinstance(content, list) and any(_is_google(each) for each in content[:10]):
        _read_google(content, findings)
    else:
        raise unusable_file("not_this_format", FORMAT)
    return findings.result()


def _is_google(entry: object) -> bool:
    return isinstance(entry, dict) and "header" in entry and "title" in entry


def _read_google(entries: list[Any], findings: Findings) -> None:
    for number, entry in enumerate(entries, start=1):
        position = Position("entry", number)
        if not isinstance(entry, dict):
            findings.refuse(position, "entry_unreadable")
            continue
        title = text_of(entry.get("title"))
        url = _unwrapped(text_of(entry.get("titleUrl")))
        if not url:
            findings.refuse(position, "no_address", title[:80])
        elif not text_of(entry.get("time")):
            findings.refuse(position, "date_missing")
        else:
            visit = {
                "url": url,
                "title": title.removeprefix(_VISITED),
                "visited_at": text_of(entry.get("time")),
                "browser": text_of(entry.get("header")),
            }
            findings.offer("browsing_history", visit, position)


def _unwrapped(url: str) -> str:
    """Return where a redirect of Google's leads, else the address itself; nothing is fetched."""
    try:
        parts = urlsplit(url)
        wrapped = parse_qs(parts.query, max_num_fields=50).get("q", [""])[0]
    except ValueError:
        return url
    if parts.netloc in _REDIRECTS and parts.path == "/url" and wrapped:
        return wrapped
    return url


def _read_pocket(entries: object, findings: Findings) -> None:
    # PHP writes an empty object as a list.
    items = list(entries.values()) if isinstance(entries, dict) else entries
    if not isinstance(items, list):
        raise unusable_file("not_this_format", FORMAT)
    for number, item in enumerate(items, start=1):
        position = Position("entry", number)
        if not isinstance(item, dict):
            findings.refuse(position, "entry_unreadable")
            continue
        written = str(item.get("time_added") or "")
        added = instant_of_digits(written)
        if written not in ("", "0") and added is None:
            findings.skip(position, "date_invalid", written[:40])
        tags = item.get("tags")
        bookmark = {
            "url": text_of(item.get("resolved_url")) or text_of(item.get("given_url")),
            "title": text_of(item.get("resolved_title")) or text_of(item.get("given_title")),
            "description": text_of(item.get("excerpt")),
            "tags": list(tags) if isinstance(tags, dict) else [],
            "folder": "Pocket",
            "added_at": added,
        }
        findings.offer("bookmarks", bookmark, position)


def _read_likes(entries: object, findings: Findings) -> None:
    if not isinstance(entries, list):
        raise unusable_file("not_this_format", FORMAT)
    for number, entry in enumerate(entries, start=1):
        like = entry.get("like") if isinstance(entry, dict) else None
        position = Position("entry", number)
        if not isinstance(like, dict):
            findings.refuse(position, "entry_unreadable")
            continue
        bookmark = {
            "url": text_of(like.get("expandedUrl")),
            "description": html.unescape(text_of(like.get("fullText"))),
            "folder": "Twitter",
        }
        findings.offer("bookmarks", bookmark, position)
