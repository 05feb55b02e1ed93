"""Reading as an organisation's program does: pages, cursors, what it then holds."""

from __future__ import annotations

from dataclasses import dataclass, field


def page(connected, **parameters):
    """Return the body of one page of the feed."""
    answer = connected.get("/v1/records", params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["PDS-Log-Entry"]
    return answer.json()


def values(body, attribute):
    """Return the values of an attribute in a page, deleted records left out."""
    return [r["data"][attribute] for r in body["records"] if attribute in r.get("data", {})]


@dataclass
class Mirror:
    """What a reader holds after following the feed: records by id, and its cursor."""

    connected: object
    limit: int = 100
    cursor: str | None = None
    held: dict = field(default_factory=dict)
    has_more: bool = True

    def step(self):
        """Take one page; returns its body."""
        where = {} if self.cursor is None else {"cursor": self.cursor}
        body = page(self.connected, limit=self.limit, **where)
        for record in body["records"]:
            if record["deleted"]:
                self.held.pop(record["id"], None)
            else:
                self.held[record["id"]] = record
        self.cursor, self.has_more = body["next_cursor"], body["has_more"]
        return body

    def catch_up(self):
        """Take pages until there are no more; returns all records told, in order."""
        told = []
        self.has_more = True
        while self.has_more:
            told += self.step()["records"]
        return told

    def values(self, attribute):
        """Return the values held of an attribute, sorted."""
        found = (record["data"].get(attribute) for record in self.held.values())
        return sorted(value for value in found if value is not None)
