"""Whatever is tampered with is found, and called by its name (LOG-29, REL-R12).

`PDS_TAMPERINGS` sets how many changes are made, in equal parts of each kind; `make drill-tamper`
makes 50,000. `PDS_SEED` repeats a run.
"""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

from consent.formats.verify import verify_bundle
from tests.support import tampering
from tests.support.mutations import SEED, chance

TAMPERINGS = int(os.environ.get("PDS_TAMPERINGS", "110"))


def test_the_untouched_evidence_is_right():
    """Else the drill would find what it did not do."""
    report = verify_bundle(tampering.honest(), tampering.trust())
    assert report.failures == ()
    assert report.verdict == "VERIFIED"
    assert tampering.check_files(tampering.published()[1]).failures == ()


@pytest.mark.drill
def test_every_change_is_found_and_called_by_its_name():
    """Flipped, deleted, inserted, reordered, swapped, truncated, forked, replayed: all of it."""
    draw, missed, done = chance("tampering"), [], Counter()
    for number in range(TAMPERINGS):
        way = tampering.WAYS[number % len(tampering.WAYS)]
        tampered = way(draw)
        done[way.__name__] += 1
        if not tampered.called_right():
            told = [(each.where, each.rule) for each in tampered.report.failures][:5]
            missed.append((number, way.__name__, tampered.what, told))

    figures = f"seed {SEED}: {sum(done.values())} changes of {len(done)} kinds"
    sys.stdout.write(f"{figures}, {len(missed)} missed\n")
    by_kind = {kind: told for _, kind, *told in missed}
    assert not missed, (figures, by_kind)
