"""One run, in the order that protects people: expire, learn, erase, and only then write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connector.clock import Clock
from connector.crm.base import (
    Capabilities,
    CheckReport,
    CrmAdapter,
    CrmRecord,
    CrmRef,
    EraseOutcome,
    ErasePlan,
    ObjectSchema,
    Outcome,
    Residue,
    Upsert,
)
from connector.engine import apply, erase, log_check, pull, receipts
from connector.engine.context import Point, Policy, Progress, ReceiptSigner, RunContext
from connector.engine.plan import Plan
from connector.errors import (
    ConnectorError,
    CrmError,
    MappingError,
    OrganisationExcludedError,
    ServerError,
)
from connector.mapping.lint import lint
from connector.mapping.rules import MapRule
from connector.pds.client import PDSClient
from connector.state.store import StateStore
from consent.formats.note import Verifier


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run went: counts by name, plans, and what kept it from finishing."""

    counts: Mapping[str, int]
    plans: Sequence[Plan] = field(repr=False)
    problem: ConnectorError | None


def _nowhere(_point: Point) -> None:
    """Do nothing at a point: nobody watches."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs have in common; without `log_keys` the server's log is not looked at."""

    client: PDSClient
    store: StateStore
    crm: CrmAdapter
    crm_name: str
    rules: Sequence[MapRule]
    policy: Policy
    clock: Clock
    signer: ReceiptSigner | None
    log_keys: Sequence[Verifier] = ()
    reach: Callable[[Point], None] = _nowhere

    def run(
        self, *, progress: Progress, only: str | None = None, retry: str = "all", mode: str = "run"
    ) -> RunReport:
        """Run once.

        Args:
            progress: shows how far it is.
            only: apply and erase this connection only.
            retry: `all` rejects, or only those that are `due` (for a run that repeats itself).
            mode: `run`, or `dry` to plan and write nothing to the CRM.

        Raises:
            LeaseHeldError: another run is under way.
        """
        lease = self.store.acquire()
        ctx = RunContext(
            client=self.client,
            store=self.store,
            crm=ReadOnlyCrm(self.crm) if mode == "dry" else self.crm,
            crm_name=self.crm_name,
            rules=self.rules,
            policy=self.policy,
            clock=self.clock,
            signer=self.signer,
            lease=lease,
            reach=self.reach,
            progress=progress,
            only=only,
            log_keys=self.log_keys,
        )
        self.reach(Point.LEASED)
        plans: list[Plan] = []
        problem: ConnectorError | None = None
        try:
            plans = _steps(ctx, is_dry=mode == "dry", due_only=retry == "due")
        except (ServerError, CrmError, MappingError) as error:
            problem = error
        except KeyboardInterrupt:
            self.store.release(ctx.lease, outcome="interrupted", counts={})
            raise
        counts = {name: count for name, count in sorted(ctx.counts.items()) if count}
        outcome = "done" if problem is None else problem.code
        self.store.release(ctx.lease, outcome=outcome, counts=counts)
        return RunReport(counts, plans, problem)


def _steps(ctx: RunContext, *, is_dry: bool, due_only: bool) -> list[Plan]:
    pull.expire(ctx)
    refusal = _learn(ctx)
    if not is_dry:
        erase.erase_due(ctx)
        if refusal is None or isinstance(refusal, OrganisationExcludedError):
            receipts.hand_in(ctx)
    if refusal is not None:
        # What has to go went; without the server's word nothing is written.
        raise refusal
    log_check.look_up(ctx)
    require_fitting(ctx.crm, ctx.rules)
    with ctx.store.write(ctx.lease) as state:
        state.queue.revive(due_only=due_only)
    ended = ctx.counts["ended"]
    plans = apply.apply_due(ctx, is_dry=is_dry)
    if ctx.counts["ended"] > ended and not is_dry:
        # A consent ended while we were writing.
        erase.erase_due(ctx)
        receipts.hand_in(ctx)
    return plans


def _learn(ctx: RunContext) -> ServerError | None:
    excluded: ServerError | None = None
    try:
        try:
            pull.pull(ctx)
            pull.refresh_terms(ctx)
        except OrganisationExcludedError as error:
            excluded = error  # all its consents ended, and what is owed says so (CM-10)
        pull.pull_obligations(ctx)
    except ServerError as error:
        return error
    return excluded


def require_fitting(crm: CrmAdapter, rules: Sequence[MapRule]) -> None:
    """Refuse a mapping that does not fit the CRM, before any write (CON-10).

    Raises:
        MappingError: it names the first problems.
    """
    schemas = {obj: crm.describe(obj) for obj in sorted({rule.object for rule in rules})}
    problems = lint(rules, schemas)
    if problems:
        raise MappingError("; ".join(problems[:5]))


class WriteInDryRunError(AssertionError):
    """A dry run was about to write: an error of this program."""


class ReadOnlyCrm:
    """A CRM that can only be read: a dry run takes the same path, and a write is impossible."""

    def __init__(self, crm: CrmAdapter) -> None:
        self._crm = crm

    @property
    def capabilities(self) -> Capabilities:
        """Say what the CRM can do."""
        return self._crm.capabilities

    def check(self) -> CheckReport:
        """Try the CRM."""
        return self._crm.check()

    def describe(self, obj: str) -> ObjectSchema:
        """Return an object's fields."""
        return self._crm.describe(obj)

    def find_by_key(
        self, obj: str, keys: Sequence[str], *, fields: Sequence[str]
    ) -> Mapping[str, CrmRecord]:
        """Return contacts by key."""
        return self._crm.find_by_key(obj, keys, fields=fields)

    def read(
        self, refs: Sequence[CrmRef], *, fields: Sequence[str]
    ) -> Mapping[CrmRef, CrmRecord | None]:
        """Return contacts by id."""
        return self._crm.read(refs, fields=fields)

    def upsert(self, batch: Sequence[Upsert]) -> Sequence[Outcome]:
        """Refuse."""
        raise WriteInDryRunError(f"{len(batch)} rows")

    def erase(self, ref: CrmRef, plan: ErasePlan) -> EraseOutcome:
        """Refuse."""
        raise WriteInDryRunError(f"{ref.object} {plan.mode}")

    def verify_erased(self, ref: CrmRef, plan: ErasePlan) -> Sequence[Residue]:
        """Name what is left."""
        return self._crm.verify_erased(ref, plan)
