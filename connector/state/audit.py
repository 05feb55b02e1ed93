"""The connector's own trail: what it did to whose contact and why, chained, without values.

Row: `chain` = hex HMAC-SHA-256(audit key, previous chain || canonical JSON of the row). Whoever
edits or removes a row without the connector's secret breaks the chain from there on; cutting off
its end is not detectable here (the server's log is the other witness).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from connector.clock import Clock, rfc3339
from connector.state.schema import audit

BEGINNING = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """The trail within one transaction."""

    sql: Connection
    key: bytes
    clock: Clock

    def append(self, event: str, connection: str, detail: Mapping[str, object]) -> None:
        """Add one line; `detail` holds names, counts and reasons only."""
        latest = self.sql.execute(
            select(audit.c.seq, audit.c.chain).order_by(audit.c.seq.desc()).limit(1)
        ).one_or_none()
        seq, previous = (1, BEGINNING) if latest is None else (latest.seq + 1, latest.chain)
        now = self.clock.now().replace(microsecond=0)
        line = [seq, rfc3339(now), event, connection, dict(detail)]
        self.sql.execute(
            insert(audit).values(
                seq=seq,
                at=now,
                event=event,
                connection=connection,
                detail=dict(detail),
                chain=self._chain(previous, line),
            )
        )

    def broken_at(self) -> int | None:
        """Return the number of the first line that does not follow, or None."""
        previous = BEGINNING
        for number, row in enumerate(self.sql.execute(select(audit).order_by(audit.c.seq)), 1):
            line = [number, rfc3339(row.at), row.event, row.connection, row.detail]
            if row.seq != number or row.chain != self._chain(previous, line):
                return number
            previous = row.chain
        return None

    def _chain(self, previous: str, line: object) -> str:
        message = previous + json.dumps(line, sort_keys=True, separators=(",", ":"))
        return hmac.digest(self.key, message.encode(), hashlib.sha256).hex()
