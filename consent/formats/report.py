"""What a verification found, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from consent.formats.canonical import JSONValue
from consent.formats.errors import FormatError


class Verdict(StrEnum):
    """How far the result carries; the exit codes are 0, 3 and 1 (P-34)."""

    VERIFIED = "VERIFIED"
    SELF_CONSISTENT_ONLY = "SELF_CONSISTENT_ONLY"
    FAILED = "FAILED"

    @property
    def exit_code(self) -> int:
        """The status that the command ends with."""
        return _EXIT_CODES[self]


class Outcome(StrEnum):
    """What became of one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


_WORSE = (Outcome.PASSED, Outcome.NOT_CHECKED, Outcome.FAILED)
_EXIT_CODES = {Verdict.VERIFIED: 0, Verdict.FAILED: 1, Verdict.SELF_CONSISTENT_ONLY: 3}


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of check over the whole, in words that a person reads."""

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is wrong, or noticed: where exactly, by which rule, and how."""

    where: str
    rule: str
    detail: str

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object."""
        return {"where": self.where, "rule": self.rule, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Report:
    """The result: `SELF_CONSISTENT_ONLY` means that a forger could have made it all.

    `notices` are what was proved to be so and ought not to be: they change no verdict.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    failures: tuple[Failure, ...]
    notices: tuple[Failure, ...] = ()

    @property
    def exit_code(self) -> int:
        """The status that the command ends with: 0, 3 or 1."""
        return self.verdict.exit_code

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object of `verify --json`."""
        return {
            "verdict": self.verdict.value,
            "checks": [
                {"name": each.name, "outcome": each.outcome.value, "detail": each.detail}
                for each in self.checks
            ],
            "failures": [each.to_dict() for each in self.failures],
            "notices": [each.to_dict() for each in self.notices],
        }


@dataclass(slots=True)
class _Attempt:
    findings: Findings
    where: str
    rule: str

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> bool:
        if isinstance(error, FormatError):
            self.findings.fail(self.where, self.rule, str(error))
        return isinstance(error, FormatError)


@dataclass(slots=True)
class Findings:
    """Collects checks and failures while a verification goes on, and goes on after a failure."""

    checks: list[Check] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notices: list[Failure] = field(default_factory=list)

    def fail(self, where: str, rule: str, detail: str) -> None:
        """Note a failure."""
        self.failures.append(Failure(where, rule, detail))

    def notice(self, where: str, rule: str, detail: str) -> None:
        """Note what is so, and ought not to be, but shows no fault in what is verified."""
        self.notices.append(Failure(where, rule, detail))

    def attempt(self, where: str, rule: str) -> _Attempt:
        """Return a context in which a FormatError becomes a failure and ends the block."""
        return _Attempt(self, where, rule)

    @contextmanager
    def check(self, name: str) -> Iterator[Callable[[str], None]]:
        """Note the check: passed unless a failure comes up inside; call the value to describe."""
        before = len(self.failures)
        said = [""]
        yield lambda detail: said.__setitem__(0, detail)
        failed = len(self.failures) - before
        outcome = Outcome.FAILED if failed else Outcome.PASSED
        detail = f"{failed} wrong" if failed else said[0]
        self.checks.append(Check(name, outcome, detail))

    def skip(self, name: str, reason: str) -> None:
        """Note that something was not checked, and why."""
        self.checks.append(Check(name, Outcome.NOT_CHECKED, reason))

    def absorb(self, part: Findings, *, of: str) -> None:
        """Take over what was found in a part, named by it; a kind of check stands once.

        A check that failed in one part has failed, and one that was not made in one was not made.
        """
        before = f"{of}: " if of else ""
        self.failures += [replace(each, where=before + each.where) for each in part.failures]
        self.notices += [replace(each, where=before + each.where) for each in part.notices]
        kinds = {each.name: at for at, each in enumerate(self.checks)}
        for check in part.checks:
            at = kinds.get(check.name)
            if at is None:
                self.checks.append(check)
            elif check.outcome is Outcome.PASSED is self.checks[at].outcome:
                self.checks[at] = replace(check, detail="in every part")
            elif _WORSE.index(check.outcome) >= _WORSE.index(self.checks[at].outcome):
                self.checks[at] = check

    def report(self, *, trusted: bool) -> Report:
        """Return the result; `trusted` says that every key came from the caller."""
        verdict = Verdict.VERIFIED if trusted else Verdict.SELF_CONSISTENT_ONLY
        if self.failures:
            verdict = Verdict.FAILED
        return Report(verdict, tuple(self.checks), tuple(self.failures), tuple(self.notices))
