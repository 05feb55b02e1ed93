"""What a consented read costs, beside a bare route and beside the same read without its log entry.

    python -m bench.consented_read [--rounds 7] [--seconds 3] [--store sqlite] [--json FILE]

A read here is all of it: DPoP proof, live check of the grant, decryption, field filter, and an
answer that waits until its log entry is durable. The servers take turns, round by round, so that
whatever else the machine does meets all of them; the figures are medians of the rounds. Absolute
figures are the machine's; the ratios are what is claimed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import load
from bench.rig import ALGORITHMS, FETCHES_PER_DAY, PEOPLE, STORES, rig
from bench.statements import count_statements

BARE = ("hello", "flask")
READS = ("read", "unlogged")
FIRST_PORT = 8_400
WARM_UP_SECONDS = 1


@dataclass
class Measured:
    """The rounds of one server."""

    rounds: list[load.Round] = field(default_factory=list)

    def median(self, name):
        """Return the median of one figure."""
        return statistics.median(getattr(one, name) for one in self.rounds)

    def figures(self):
        """Return the medians."""
        return {name: round(self.median(name), 2) for name in ("per_second", "p50", "p99")}


def measure(kind, arguments):
    """Measure every server on one store; returns the results by algorithm."""
    with ExitStack() as stack:
        made = stack.enter_context(rig(kind))
        print(f"\n{kind}: {count_statements(made)}")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pds-bench-load-")))
        servers = {
            variant: stack.enter_context(
                load.serving(
                    variant,
                    made.instance,
                    port=FIRST_PORT + number,
                    workers=arguments.workers,
                    threads=arguments.threads,
                )
            )
            for number, variant in enumerate((*BARE, *READS))
        }
        for variant, server in servers.items():
            _round(made, server, variant, ALGORITHMS[0], WARM_UP_SECONDS, folder, arguments)
        return {
            algorithm: _rounds(made, servers, algorithm, folder, arguments)
            for algorithm in ALGORITHMS
        }


def _rounds(made, servers, algorithm, folder, arguments):
    results = {variant: Measured() for variant in servers}
    for _ in range(arguments.rounds):
        for variant, server in servers.items():
            seconds = arguments.seconds
            done = _round(made, server, variant, algorithm, seconds, folder, arguments)
            results[variant].rounds.append(done)
    return results


def _round(made, server, variant, algorithm, seconds, folder, arguments):
    options = {"seconds": seconds, "connections": arguments.connections}
    if variant in BARE:
        return load.run(server, **options)
    made.reset()
    # As many as the grants may fetch in a day, or as this machine can send.
    count = min(arguments.per_second_most * seconds, PEOPLE * FETCHES_PER_DAY)
    path = folder / "requests"
    lines = (
        f"GET\t{target}\t\tAuthorization: DPoP {token}\tDPoP: {proof}"
        for target, token, proof in made.requests(algorithm, count)
    )
    path.write_text("\n".join(lines), encoding="ascii")
    return load.run(server, **options, requests=path)


def report(kind, algorithm, results):
    """Print one table and return its figures."""
    rates = {variant: measured.median("per_second") for variant, measured in results.items()}
    ratios = {
        "read / hello": rates["read"] / rates["hello"],
        "read / flask": rates["read"] / rates["flask"],
        "read / unlogged": rates["read"] / rates["unlogged"],
    }
    print(f"\n{kind}, {algorithm}")
    for variant, measured in results.items():
        figures = measured.figures()
        print(
            f"  {variant:9} {figures['per_second']:9.0f} per second"
            f"   p50 {figures['p50']:7.2f} ms   p99 {figures['p99']:7.2f} ms"
        )
    for name, ratio in ratios.items():
        print(f"  {name:16} {ratio:.2f}")
    figures = {variant: measured.figures() for variant, measured in results.items()}
    return {"servers": figures, "ratios": {name: round(one, 3) for name, one in ratios.items()}}


def main():
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2, help="one a core")
    parser.add_argument("--threads", type=int, default=8, help="of each worker")
    parser.add_argument("--per-second-most", type=int, default=6_000, help="proofs to prepare")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    load.require_wrk()
    found = {
        kind: {
            algorithm: report(kind, algorithm, results)
            for algorithm, results in measure(kind, arguments).items()
        }
        for kind in arguments.store or STORES
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
