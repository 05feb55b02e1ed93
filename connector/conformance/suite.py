"""The adapter suite (CON-40). Inherit `AdapterConformance` in a pytest module and fill it in.

    class TestMine(AdapterConformance):
        values = {"name": "A"}; changed = {"name": "B"}; unknown_field = "nope"

        @pytest.fixture
        def crm(self): ...

The CRM behind `crm` must be empty of the suite's keys for each test.
"""

# ruff: noqa: S101 - a test suite asserts

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from connector.crm.base import (
    CrmAdapter,
    CrmRecord,
    CrmRef,
    Duplicate,
    Erased,
    ErasePlan,
    Rejected,
    Upsert,
    Value,
    Written,
)

WHOLE = ErasePlan("erase", is_whole=True, fields=())
RACERS = 8


class AdapterConformance:
    """What the engine relies on; each test cites the guarantee that breaks without it."""

    values: ClassVar[Mapping[str, Value]]
    changed: ClassVar[Mapping[str, Value]]
    unknown_field: ClassVar[str]

    def archive(self, crm: CrmAdapter, ref: CrmRef) -> None:
        """Archive a contact as the CRM's staff would."""
        raise NotImplementedError

    def test_check_finds_no_problem(self, crm: CrmAdapter) -> None:
        """`check` passes on a CRM that is set up."""
        assert not crm.check().problems

    def test_every_field_used_is_described(self, crm: CrmAdapter) -> None:
        """The lint sees what is written, and does not see what is not there (CON-10)."""
        fields = crm.describe(crm.capabilities.default_object).fields

        assert all(name.partition("[")[0] in fields for name in self.values)
        assert self.unknown_field not in fields

    def test_a_contact_is_created_and_found_by_its_key(self, crm: CrmAdapter) -> None:
        """What was written is read back, by key and by id."""
        created = self._create(crm, "KEY1")

        found = crm.find_by_key(created.ref.object, ["KEY1", "KEY2"], fields=list(self.values))
        read = crm.read([created.ref], fields=list(self.values))

        assert set(found) == {"KEY1"}
        assert found["KEY1"].ref == created.ref
        assert read[created.ref] is not None
        assert dict(found["KEY1"].fields) == dict(created.fields)

    def test_a_second_create_is_a_duplicate(self, crm: CrmAdapter) -> None:
        """A replay after a lost answer makes no second contact (CON-G2)."""
        self._create(crm, "KEY1")

        (outcome,) = crm.upsert([self._new(crm, "KEY1")])

        assert outcome == Duplicate()

    def test_of_creates_at_once_one_wins(self, crm: CrmAdapter) -> None:
        """The key is unique in the CRM itself, not by looking first (CON-6)."""
        with ThreadPoolExecutor(RACERS) as pool:
            batches = pool.map(crm.upsert, [[self._new(crm, "RACE")] for _ in range(RACERS)])
            outcomes = [outcome for batch in batches for outcome in batch]

        assert sum(isinstance(outcome, Written) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, Duplicate) for outcome in outcomes) == RACERS - 1

    def test_an_update_changes_what_it_names_and_nothing_else(self, crm: CrmAdapter) -> None:
        """Fields that are not in the row stay."""
        created = self._create(crm, "KEY1")
        row = Upsert(created.ref.object, "KEY1", created.ref, self.changed, (), created.version)

        (outcome,) = crm.upsert([row])

        assert isinstance(outcome, Written)
        record = self._read(crm, created.ref)
        for name, value in {**self.values, **self.changed}.items():
            assert record.fields[name] == value

    def test_a_cleared_field_reads_as_none(self, crm: CrmAdapter) -> None:
        """What is no longer shared goes (CON-G6)."""
        created = self._create(crm, "KEY1")
        name = max(self.values)
        row = Upsert(created.ref.object, "KEY1", created.ref, {}, [name], created.version)

        crm.upsert([row])

        assert self._read(crm, created.ref).fields[name] is None

    def test_one_bad_row_leaves_the_others_of_its_batch(self, crm: CrmAdapter) -> None:
        """One outcome for each row, in order (CON-19)."""
        obj = crm.capabilities.default_object
        bad = Upsert(obj, "BAD", None, {**self.values, self.unknown_field: "x"})

        first, second, third = crm.upsert([self._new(crm, "A"), bad, self._new(crm, "B")])

        assert isinstance(first, Written)
        assert isinstance(second, Rejected)
        assert isinstance(third, Written)

    def test_an_archived_contact_is_found(self, crm: CrmAdapter) -> None:
        """Else the next run would create it a second time (CON-9)."""
        created = self._create(crm, "KEY1")
        self.archive(crm, created.ref)

        found = crm.find_by_key(created.ref.object, ["KEY1"], fields=())

        assert found["KEY1"].is_archived

    def test_an_erased_contact_leaves_no_residue(self, crm: CrmAdapter) -> None:
        """The re-read sees values before, and none after (CON-G4)."""
        created = self._create(crm, "KEY1")
        assert crm.verify_erased(created.ref, WHOLE)

        assert crm.erase(created.ref, WHOLE) == Erased()

        assert not crm.verify_erased(created.ref, WHOLE)

    def test_an_archived_contact_is_erased(self, crm: CrmAdapter) -> None:
        """Hiding is not erasing (CON-23)."""
        created = self._create(crm, "KEY1")
        self.archive(crm, created.ref)

        assert crm.erase(created.ref, WHOLE) == Erased()

        assert not crm.verify_erased(created.ref, WHOLE)

    def test_erasing_twice_or_nothing_succeeds(self, crm: CrmAdapter) -> None:
        """A retry after a lost answer is no error (CON-22)."""
        created = self._create(crm, "KEY1")

        assert crm.erase(created.ref, WHOLE) == Erased()
        assert crm.erase(created.ref, WHOLE) == Erased()
        assert crm.erase(CrmRef(created.ref.object, "987654"), WHOLE) == Erased()

    def test_a_partial_erasure_leaves_the_rest(self, crm: CrmAdapter) -> None:
        """A narrowed consent loses just what is no longer agreed (CON-G6)."""
        created = self._create(crm, "KEY1")
        gone, *_ = sorted(self.values)
        plan = ErasePlan("erase", is_whole=False, fields=[gone])

        assert crm.erase(created.ref, plan) == Erased()

        assert not crm.verify_erased(created.ref, plan)
        record = self._read(crm, created.ref)
        kept = {name: value for name, value in record.fields.items() if value is not None}
        assert kept == {name: value for name, value in self.values.items() if name != gone}

    def _new(self, crm: CrmAdapter, key: str) -> Upsert:
        return Upsert(crm.capabilities.default_object, key, None, self.values)

    def _create(self, crm: CrmAdapter, key: str) -> CrmRecord:
        (outcome,) = crm.upsert([self._new(crm, key)])
        assert isinstance(outcome, Written)
        return outcome.record

    def _read(self, crm: CrmAdapter, ref: CrmRef) -> CrmRecord:
        record = crm.read([ref], fields=list(self.values))[ref]
        assert record is not None
        return record
