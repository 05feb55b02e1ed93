"""What one check of a DPoP proof costs, in microseconds: `python -m bench.proof`.

Beside ours stands joserfc's own reader with the key kept: the same signature, without the checks of
RFC 9449 section 4.3. Each figure is of the best round, since anything else that runs only adds.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt

from api.oauth.ext.dpop_rfc9449 import ProofVerifier
from bench.rig import ALGORITHMS
from bench.signing import ProofKey
from tests.support.oauth_client import new_key

URL = "https://vault.example/v1/records"
TOKEN = "pds_at.of-no-server.0"  # noqa: S105 - nobody's
LOOPS, ROUNDS = 50, 200


def microseconds(check: Callable[[], object]) -> float:
    """Return the best round's microseconds of processor time for each call."""
    rounds = timeit.repeat(check, timer=time.thread_time, number=LOOPS, repeat=ROUNDS)
    return min(rounds) / LOOPS * 1e6


def main() -> None:
    """Print the figures."""
    verifier, now = ProofVerifier(), int(time.time())
    for algorithm in ALGORITHMS:
        key = new_key(algorithm)
        proof = ProofKey(key, algorithm).proof("GET", URL, now=now, access_token=TOKEN)

        def by_us(proof: str = proof) -> object:
            return verifier.verify([proof], method="GET", url=URL, now=now, access_token=TOKEN)

        def by_joserfc(proof: str = proof, key: object = key, algorithm: str = algorithm) -> object:
            return jwt.decode(proof, key, algorithms=[algorithm])

        print(
            f"{algorithm}: {microseconds(by_us):.0f} us as here,"
            f" {microseconds(by_joserfc):.0f} us by joserfc with the key kept"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(b"", ec.ECDSA(SHA256()))
    public = key.public_key()
    print(
        f"of it the signature alone, ES256:"
        f" {microseconds(lambda: public.verify(signature, b'', ec.ECDSA(SHA256()))):.0f} us"
    )


if __name__ == "__main__":
    main()
