"""The statements of one read: two reads and one write job, counted as the stores see them (P-7)."""

from __future__ import annotations

import httpx

from bench.rig import Rig
from tests.support.statements import recorded


def count_statements(made: Rig) -> str:
    """Read once in this process; assert the shape of P-7 and say what was sent."""
    (algorithm, *_) = made.consents
    path, token, proof = next(made.requests(algorithm, 1))
    with recorded(made.world) as found:
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        answer = made.world.http.get(made.world.url(path), headers=headers)
    assert answer.status_code == httpx.codes.OK, answer.text  # noqa: S101 - what is measured, holds
    assert len(found.reads) == 2, found.reads  # noqa: PLR2004, S101 - P-7: two reads
    assert len(found.jobs) == 1, found.jobs  # noqa: S101 - and one write job
    return f"2 reads and 1 write job of {len(found.jobs[0])} statements"
