"""C2SP tlog-policy: which logs, which witnesses, and how many of them are enough.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...      names defined above; each a member once at most
    quorum <name>|none                      exactly one such line

Lines end in a newline; items are parted by spaces and tabs; `#` begins a comment line. Names live
in the file alone: a witness counts by its key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from consent.formats.cosignature import CosignatureVerifier
from consent.formats.errors import MalformedError
from consent.formats.note import Verifier

MOST_LINES = 1_000

_NONE = "none"
_NOT_ALLOWED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quorum:
    """At least so many of its members, which are public keys of 32 bytes or quorums themselves."""

    least: int = 0
    members: tuple[bytes | Quorum, ...] = ()

    @classmethod
    def of(cls, least: int, witnesses: Sequence[CosignatureVerifier]) -> Quorum:
        """Return k of these witnesses, each counted by its key, whatever names it goes by."""
        return cls(least, tuple(dict.fromkeys(each.public_key for each in witnesses)))

    def met_by(self, keys: Collection[bytes]) -> bool:
        """Tell whether cosignatures by these public keys are enough."""
        met = sum(
            member.met_by(keys) if isinstance(member, Quorum) else member in keys
            for member in self.members
        )
        return met >= self.least


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log that is accepted."""

    key: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness; `url` is its submission prefix."""

    name: str
    key: CosignatureVerifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as read."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    quorum: Quorum

    @classmethod
    def from_bytes(cls, data: bytes) -> Policy:
        """Read a policy file.

        Raises:
            MalformedError: it breaks the form; the message begins with the number of the line.
        """
        # Octets beyond ASCII are opaque; this keeps whatever they are apart.
        text = data.decode("utf-8", "surrogateescape")
        lines = text.split("\n")
        if lines.pop() != "" or len(lines) > MOST_LINES:
            raise MalformedError(f"a policy has 1 to {MOST_LINES} lines, each with its newline")
        reading = _Reading()
        for number, line in enumerate(lines, start=1):
            try:
                reading.take(line)
            except MalformedError as exc:
                raise MalformedError(f"line {number}: {exc}") from exc
        if reading.quorum is None:
            raise MalformedError("no quorum line")
        return cls(tuple(reading.logs), tuple(reading.witnesses), reading.quorum)


@dataclass(slots=True)
class _Reading:
    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: list[PolicyWitness] = field(default_factory=list)
    quorum: Quorum | None = None
    _named: dict[str, Quorum] = field(default_factory=dict)
    _members: set[str] = field(default_factory=set)

    def take(self, line: str) -> None:
        if _NOT_ALLOWED.search(line):
            raise MalformedError("a control character")
        items = [item for item in re.split(r"[ \t]+", line) if item]
        if not items or items[0].startswith("#"):
            return
        match items:
            case ["log", vkey, *url] if len(url) <= 1:
                self._take_log(PolicyLog(Verifier.from_text(vkey), *url))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                key = CosignatureVerifier.from_text(vkey)
                self._take_witness(PolicyWitness(name, key, *url))
            case ["group", name, least, *names] if names:
                members = tuple(self._member(each) for each in names)
                self._define(name, Quorum(_least(least, len(names)), members))
            case ["quorum", name]:
                self._take_quorum(name)
            case _:
                raise MalformedError("no line of a policy")

    def _take_log(self, log: PolicyLog) -> None:
        if log.key.public_key in {each.key.public_key for each in self.logs}:
            raise MalformedError("this log's key is listed twice")
        self.logs.append(log)

    def _take_witness(self, witness: PolicyWitness) -> None:
        key = witness.key.public_key
        if key in {each.key.public_key for each in self.witnesses}:
            raise MalformedError("this witness's key is listed twice")
        self._define(witness.name, Quorum(1, (key,)))
        self.witnesses.append(witness)

    def _take_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise MalformedError("a second quorum line")
        self.quorum = Quorum() if name == _NONE else self._defined(name)

    def _define(self, name: str, quorum: Quorum) -> None:
        if name == _NONE or name in self._named:
            raise MalformedError("this name is taken")
        self._named[name] = quorum

    def _defined(self, name: str) -> Quorum:
        if name not in self._named:
            raise MalformedError("a name that is not defined above")
        return self._named[name]

    def _member(self, name: str) -> Quorum:
        if name in self._members:
            raise MalformedError("a name that is a member already")
        self._members.add(name)
        return self._defined(name)


def _least(text: str, count: int) -> int:
    if text == "any":
        return 1
    if text == "all":
        return count
    if _COUNT.fullmatch(text) is None or int(text) > count:
        raise MalformedError("a group needs all, any, or a number from 1 to that of its members")
    return int(text)
