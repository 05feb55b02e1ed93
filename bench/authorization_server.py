"""What tokens and introspection cost, beside npm's oidc-provider doing the same in its memory.

    python -m bench.authorization_server [--pairs 7] [--seconds 3] [--store sqlite] [--json FILE]

A token is a refresh grant (RFC 6749 section 6), an introspection is of an access token by its
client (RFC 7662). Each request has a fresh ES256 assertion (RFC 7523), and for a token a fresh
ES256 proof (RFC 9449), signed before the round. Ours marks assertion and proof as used, opens the
grant's key with the refresh token, wraps it for the new token, writes the log's entry, and answers
when all of that is on disk. The control keeps everything in the memory of its one process.

Both get their load from the same program over as many connections, in pairs whose order turns each
time (ours, control, control, ours). Ratios are of pairs; absolute figures are the machine's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import httpx

from api.oauth import clients
from bench import load
from bench.rig import PEOPLE, STORES, Rig, rig
from bench.signing import AssertionKey, ProofKey
from tests.interop import programs
from tests.interop.servers import EMAIL, Control
from tests.support.oauth_client import (
    ASSERTION_TYPE,
    Callback,
    Client,
    agreement_details,
    new_key,
    pkce_pair,
    public_jwks,
)
from tests.support.serving import free_port
from tests.support.world import CALLBACK

ALGORITHM = "ES256"
FORM = "Content-Type: application/x-www-form-urlencoded"
KINDS = ("token", "introspection")
FIRST_PORT = 8_410
WARM_UP_SECONDS = 2
_TOKEN_SECONDS = 300  # half an access token's life


@dataclass
class Party:
    """A server, a client of it, and the client's tokens, one of each for each person."""

    server: load.Server
    client: Client
    refresh_tokens: list[str]
    _access_tokens: list[str] = field(default_factory=list)
    _made_at: float = 0.0

    def lines(self, kind: str, count: int) -> Iterator[str]:
        """Make `count` requests of a kind for `load.run`; each is used once."""
        assertions = AssertionKey(self.client.key, ALGORITHM)
        proofs = ProofKey(self.client.dpop_key, ALGORITHM)
        url, now = self.client.endpoints[kind], int(time.time())
        tokens = self.refresh_tokens if kind == "token" else self.access_tokens()
        for number in range(count):
            token = tokens[number % len(tokens)]
            form = {
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertions.assertion(
                    self.client.client_id, self.client.issuer, now=now
                ),
            }
            headers = [FORM]
            if kind == "token":
                form |= {"grant_type": "refresh_token", "refresh_token": token}
                headers.append(f"DPoP: {proofs.proof('POST', url, now=now)}")
            else:
                form["token"] = token
            yield "\t".join(["POST", urlsplit(url).path, urlencode(form), *headers])

    def access_tokens(self) -> list[str]:
        """Return tokens that live for a while yet."""
        if time.monotonic() - self._made_at > _TOKEN_SECONDS or not self._made_at:
            self._access_tokens = [
                self.client.refresh(token).json()["access_token"] for token in self.refresh_tokens
            ]
            self._made_at = time.monotonic()
        return self._access_tokens


def our_party(made: Rig, server: load.Server) -> Party:
    """Give the client of a rig a key of the same kind as the control's has."""
    connected = [consent.connected for consent in made.consents[ALGORITHM]]
    client = connected[0].organisation.client
    key = new_key(ALGORITHM, kid="bench")
    made.world.services.uow.write(
        lambda session: clients.rotate_keys(session, UUID(client.client_id), public_jwks(key))
    )
    client.key = key
    return Party(server, client, [one.refresh_token for one in connected])


@contextmanager
def control_party(folder: Path, http: httpx.Client) -> Iterator[Party]:
    """Start the control with one client, and play the flow for as many people as a rig has."""
    issuer, key = f"http://127.0.0.1:{free_port()}", new_key(ALGORITHM, kid="bench")
    registered = {"client_id": "bench", "redirect_uris": [CALLBACK], "jwks": public_jwks(key)}
    start = {"issuer": issuer, "clients": [registered], "initialAccessToken": ""}
    with programs.running("oidc-provider", start, errors=folder / "control") as process:
        if process.stdout.readline() != "serving\n":
            raise load.BenchmarkError("the control did not start")
        client = Client.of_metadata(http, "bench", issuer, key)
        decide = Control(issuer, "", {}).browser("allow")
        tokens = [refresh_token(client, decide) for _ in range(PEOPLE)]
        yield Party(load.Server(issuer, process), client, tokens)


def refresh_token(client: Client, decide: Callable[[str], str]) -> str:
    """Play the flow at the control; returns the refresh token."""
    verifier, challenge = pkce_pair()
    details = agreement_details("template", "0" * 64, attributes=[EMAIL])
    pushed = client.push(challenge, details=details).json()
    callback = Callback.of(decide(client.authorization_url(pushed["request_uri"])))
    answer: str = client.redeem(callback["code"], verifier).json()["refresh_token"]
    return answer


@dataclass
class Pairs:
    """The rounds of both parties, in pairs."""

    ours: list[load.Round] = field(default_factory=list)
    control: list[load.Round] = field(default_factory=list)

    def ratios(self, name: str) -> list[float]:
        """Return ours divided by the control's, pair by pair."""
        pairs = zip(self.ours, self.control, strict=True)
        return [getattr(ours, name) / getattr(control, name) for ours, control in pairs]


def measure(store: str, arguments: argparse.Namespace) -> dict[str, Pairs]:
    """Measure both parties, ours on one store; returns the pairs by kind."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pds-bench-load-")))
        made = stack.enter_context(rig(store, algorithms=[ALGORITHM]))
        server = stack.enter_context(
            load.serving(
                "read",
                made.instance,
                port=FIRST_PORT,
                workers=arguments.workers,
                threads=arguments.threads,
            )
        )
        http = stack.enter_context(httpx.Client(timeout=30))
        ours = our_party(made, server)
        control = stack.enter_context(control_party(folder, http))

        def round_of(party: Party, kind: str, seconds: int) -> load.Round:
            path = folder / "requests"
            count = arguments.per_second_most * seconds
            path.write_text("\n".join(party.lines(kind, count)), encoding="ascii")
            return load.run(
                party.server, seconds=seconds, connections=arguments.connections, requests=path
            )

        found = {kind: Pairs() for kind in KINDS}
        for kind, pairs in found.items():
            for party in (ours, control):
                round_of(party, kind, WARM_UP_SECONDS)
            for number in range(arguments.pairs):
                turn = [(ours, pairs.ours), (control, pairs.control)]
                for party, rounds in turn if number % 2 == 0 else reversed(turn):
                    rounds.append(round_of(party, kind, arguments.seconds))
        return found


def report(store: str, found: dict[str, Pairs]) -> dict[str, object]:
    """Print one table and return its figures."""
    figures: dict[str, object] = {}
    for kind, pairs in found.items():
        print(f"\n{store}, {kind}")
        for name, rounds in (("ours", pairs.ours), ("control", pairs.control)):
            rate, p50, p99, cpu = (
                statistics.median(getattr(one, figure) for one in rounds)
                for figure in ("per_second", "p50", "p99", "cpu")
            )
            print(
                f"  {name:8} {rate:7.0f} per second   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms"
                f"   processor {cpu:5.2f} ms each"
            )
        ratios = {name: pairs.ratios(name) for name in ("per_second", "p99", "cpu")}
        for name, values in ratios.items():
            least, middle, most = min(values), statistics.median(values), max(values)
            print(f"  ours / control, {name:10} {middle:.2f}  ({least:.2f} to {most:.2f})")
        figures[kind] = ratios
    return figures


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2, help="one a core")
    parser.add_argument("--threads", type=int, default=8, help="of each worker")
    parser.add_argument("--per-second-most", type=int, default=4_000, help="requests to prepare")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    load.require_wrk()
    found = {store: report(store, measure(store, arguments)) for store in arguments.store or STORES}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
