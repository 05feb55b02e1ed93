"""What each page of a person's takes: server time, statements and weight, with 10,000 records.

    python -m bench.pages [--records 10000] [--times 20]

The times are of one process with nothing else to do, from the request to the last byte of the
answer, without a network: as a clock tells them, and of this process's processor alone. The aim is
100 ms at the 95th percentile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from api.serving import spare_the_collector
from pds.records import Draft
from tests.browser import pages
from tests.support.life import live
from tests.support.statements import recorded
from tests.support.stores import Stores
from tests.support.web_browser import WebBrowser
from tests.support.worlds import world_on

AIM_MS = 100
_BATCH = 500


def main() -> int:
    """Measure and print; the exit code says nothing of the aim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="pds-bench-pages-") as folder,
        Stores(Path(folder), lambda: None).migrated("sqlite") as store,
        world_on(store) as world,
    ):
        life = live(world, world.issuer)
        _fill(life, options.records)
        browser = WebBrowser(world)
        browser.sign_in("aysel")
        spare_the_collector()  # as the server does
        slow = 0
        print(f"{'median':>7} {'p95':>7} {'cpu p95':>7} {'statements':>10} {'KiB':>5}  page")
        for endpoint, paths in pages.own(life).items():
            for number, path in enumerate(paths, start=1):
                name = f"{endpoint} {number}"
                slow += _measured(browser, path, name, times=options.times) > AIM_MS
    print(f"{slow} pages above {AIM_MS} ms at the 95th percentile")
    return 0


def _fill(life, records: int) -> None:
    for start in range(0, records, _BATCH):
        drafts = [
            Draft(
                "transactions",
                {
                    "date": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}",
                    "amount": {"value": f"-{number % 900 + 1}.50", "currency": "AZN"},
                    "payee": f"Mağaza {number % 500}",
                },
            )
            for number in range(start, min(start + _BATCH, records))
        ]
        life.aysel.records.save_all(drafts, event="records.imported")


def _measured(browser, path: str, name: str, *, times: int) -> float:
    with recorded(browser.world) as found:
        answer = browser.follow(browser.get(path))
    assert answer.status == 200, (name, answer.status)  # noqa: PLR2004, S101 - what is measured, holds
    took, worked = [], []
    for _ in range(times):
        start, at_work = time.perf_counter(), time.process_time()
        browser.get(path)
        took.append((time.perf_counter() - start) * 1000)
        worked.append((time.process_time() - at_work) * 1000)
    p95, cpu = (statistics.quantiles(each, n=20, method="inclusive")[-1] for each in (took, worked))
    statements = len(found.reads) + sum(map(len, found.jobs))
    weight = len(answer.text.encode()) / 1024
    median = statistics.median(took)
    print(f"{median:5.1f}ms {p95:5.1f}ms {cpu:5.1f}ms {statements:10} {weight:5.1f}  {name}")
    return p95


if __name__ == "__main__":
    sys.exit(main())
