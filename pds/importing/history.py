"""Browser history: Chrome and its kin, Firefox and Safari (SQLite, also gzipped), Takeout (JSON).

Every visit with a time becomes a `browsing_history` record, to the second; bookmarks that stand in
Firefox's database become `bookmarks`. The three browsers count time from 1601, 1970 and 2001.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from pds.importing.archives import gunzip
from pds.importing.charsets import without_bom
from pds.importing.dates import EPOCH_1601, EPOCH_1970, EPOCH_2001, instant
from pds.importing.json_files import read_json, text_of
from pds.importing.results import Findings, ImportResult, Position, unusable_file
from pds.importing.sqlite import MAGIC, Tables, opened

FORMAT = "browser history"

_MICROSECONDS = 1_000_000
_SUBFRAMES = ("AUTO_SUBFRAME", "MANUAL_SUBFRAME")
_FIREFOX_BOOKMARK, _FIREFOX_FOLDER = 1, 2


def read_history(data: bytes) -> ImportResult:
    """Read a browser's history.

    Raises:
        ValidationFailedError: it is no history that is known here, or it is damaged.
        LimitExceededError: it holds too much, or unpacks to too much.
    """
    plain = gunzip(data) if data.startswith(b"\x1f\x8b") else data
    if plain.startswith(MAGIC):
        return _read_database(plain)
    if without_bom(plain).lstrip()[:1] in (b"{", b"["):
        return _read_takeout(plain)
    raise unusable_file("not_this_format", FORMAT)


def _read_database(data: bytes) -> ImportResult:
    findings = Findings()
    readers: Mapping[tuple[str, str], Callable[[Tables, Findings], None]] = {
        ("urls", "visits"): _read_chrome,
        ("moz_places", "moz_historyvisits"): _read_firefox,
        ("history_items", "history_visits"): _read_safari,
    }
    with opened(data) as tables:
        reader = next((each for names, each in readers.items() if tables.has(*names)), None)
        if reader is None:
            raise unusable_file("schema_unknown")
        reader(tables, findings)
    return findings.result()


def _read_chrome(tables: Tables, findings: Findings) -> None:
    pages = tables.by_id("urls", ("id", "url", "title"))
    visits = sorted(tables.rows("visits", ("visit_time", "url")), key=_time)
    for number, (time, page) in enumerate(visits, start=1):
        url, title = pages.get(page, (None, None))
        _offer(findings, number, url, title, _instant(time, EPOCH_1601, _MICROSECONDS), "Chrome")


def _read_firefox(tables: Tables, findings: Findings) -> None:
    pages = tables.by_id("moz_places", ("id", "url", "title"))
    visits = sorted(tables.rows("moz_historyvisits", ("visit_date", "place_id")), key=_time)
    for number, (time, page) in enumerate(visits, start=1):
        url, title = pages.get(page, (None, None))
        _offer(findings, number, url, title, _instant(time, EPOCH_1970, _MICROSECONDS), "Firefox")
    if tables.has("moz_bookmarks"):
        _read_firefox_bookmarks(tables, pages, findings)


def _read_firefox_bookmarks(
    tables: Tables, pages: Mapping[object, Iterable[object]], findings: Findings
) -> None:
    columns = ("id", "type", "fk", "parent", "title", "dateAdded")
    entries = tables.by_id("moz_bookmarks", columns)
    marks = [entry for entry in entries.values() if entry[0] == _FIREFOX_BOOKMARK]
    for number, (_, page, parent, title, added) in enumerate(marks, start=1):
        url, _ = pages.get(page, (None, None))
        position = Position("bookmark", number)
        folder = entries.get(parent)
        if not isinstance(url, str) or not url.lower().startswith(("http:", "https:")):  # ascii
            findings.refuse(position, "address_unusable", text_of(url)[:80])
            continue
        bookmark = {
            "url": url,
            "title": text_of(title),
            "folder": text_of(folder[3]) if folder and folder[0] == _FIREFOX_FOLDER else "",
            "added_at": _instant(added, EPOCH_1970, _MICROSECONDS),
        }
        findings.offer("bookmarks", bookmark, position)


def _read_safari(tables: Tables, findings: Findings) -> None:
    pages = tables.by_id("history_items", ("id", "url"))
    columns = ("visit_time", "history_item", "title")
    for number, row in enumerate(sorted(tables.rows("history_visits", columns), key=_time), 1):
        time, page, title = row
        (url,) = pages.get(page, (None,))
        _offer(findings, number, url, title, _instant(time, EPOCH_2001, 1), "Safari")


def _read_takeout(data: bytes) -> ImportResult:
    content = read_json(data)
    entries = content.get("Browser History") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise unusable_file("not_this_format", FORMAT)
    findings = Findings()
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            findings.refuse(Position("visit", number), "entry_unreadable")
        elif text_of(entry.get("page_transition")).upper() in _SUBFRAMES:  # ascii
            findings.refuse(Position("visit", number), "subframe", text_of(entry.get("url"))[:80])
        else:
            time = _instant(entry.get("time_usec"), EPOCH_1970, _MICROSECONDS)
            _offer(findings, number, entry.get("url"), entry.get("title"), time, "Chrome")
    return findings.result()


def _offer(  # noqa: PLR0917 - the parts of a visit
    findings: Findings, number: int, url: object, title: object, time: str | None, browser: str
) -> None:
    position = Position("visit", number)
    if not isinstance(url, str) or not url.lower().startswith(("http:", "https:")):  # ascii
        findings.refuse(position, "address_unusable", text_of(url)[:80])
    elif time is None:
        findings.refuse(position, "date_missing")
    else:
        visit = {"url": url, "title": text_of(title), "visited_at": time, "browser": browser}
        findings.offer("browsing_history", visit, position)


def _instant(time: object, since: datetime, scale: int) -> str | None:
    if isinstance(time, bool) or not isinstance(time, int | float) or time <= 0:
        return None
    return instant(time / scale, since=since)


def _time(row: Iterable[object]) -> float:
    time = next(iter(row))
    return float(time) if isinstance(time, int | float) else 0.0
