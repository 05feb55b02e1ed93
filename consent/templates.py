"""Data-sharing agreement templates: published, found, compared.

A template version is canonical JSON, signed by its organisation (P-27), immutable, and known by
the SHA-256 of its bytes (CM-3). `consent.template_format` says what may stand in one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consent import clauses, limits, template_format
from consent.differences import Difference, differences
from consent.formats import canonical, jws
from consent.formats.errors import FormatError
from consent.limits import Extent, Severity
from consent.models import TemplateVersion
from consent.template_format import TYPE
from consent.vocabulary import Instances
from pds.catalogue import CATALOGUE
from pds.errors import ConflictError, Issue, NotFoundError, ValidationFailedError


@dataclass(frozen=True, slots=True)
class Template:
    """A template version, read. `document` is what was signed, without its proof."""

    sha256: str
    document: Mapping[str, Any]

    @property
    def id(self) -> UUID:
        """The template's id, the same in all its versions."""
        return UUID(self.document["id"])

    @property
    def version(self) -> int:
        """The version, from 1."""
        return int(self.document["version"])

    @property
    def organisation_id(self) -> UUID:
        """Whose template it is."""
        return UUID(self.document["organisation"])

    @property
    def required(self) -> tuple[str, ...]:
        """Attributes without which there is no agreement."""
        return tuple(item["name"] for item in self.document["attributes"])

    @property
    def optional(self) -> tuple[str, ...]:
        """Attributes that the person may add."""
        return tuple(item["name"] for item in self.document["optional_attributes"])

    @property
    def clauses(self) -> clauses.Clauses | None:
        """The uniform clauses that it cites; None for one of `pds-template/1`."""
        cited = self.document.get("clauses")
        return clauses.find(cited) if cited is not None else None

    def reason(self, attribute: str, locale: str) -> str:
        """Return why an attribute is asked for, in `az` or `en`."""
        return str(self._item(attribute)["reason"][locale])

    def coarsened_to(self, attribute: str) -> str | None:
        """Return the coarser form in which an attribute is asked for; None: the value itself."""
        found = self._item(attribute).get("coarsened_to")
        return str(found) if found is not None else None

    def coarsenings(self, attribute: str) -> tuple[str, ...]:
        """Return the coarser forms that a person may choose instead of the one asked for.

        Of a required attribute those that the organisation said will do: anything less would be a
        refusal. Of an optional one whatever is coarser, since nothing of it need be shared at all.
        """
        item = self._item(attribute)
        named = tuple(item.get("coarsenings", ()))
        if attribute in self.required or "coarsened_to" in item:
            return named
        return tuple(CATALOGUE.attribute(attribute).coarsenings)

    def instances(self, collection: str) -> Instances:
        """Return which records of a collection are asked for."""
        return Instances(self.document.get("instances", {}).get(collection, Instances.ALL))

    def _item(self, attribute: str) -> Mapping[str, Any]:
        for item in (*self.document["attributes"], *self.document["optional_attributes"]):
            if item["name"] == attribute:
                found: Mapping[str, Any] = item
                return found
        raise NotFoundError(attribute)


@dataclass(frozen=True, slots=True)
class Published:
    """A version as it was published, and what differs from the one before it."""

    template: Template
    state: str
    published_at: datetime
    differences: Sequence[Difference]


@dataclass(frozen=True, slots=True)
class Lint:
    """What is wrong with a template, and what is unusual for its purpose."""

    errors: tuple[Issue, ...]
    flags: tuple[Issue, ...] = ()


def lint(document: object, *, on: date) -> Lint:
    """Check a template's form and words, and hold it against its purpose's limits on a day."""
    errors = template_format.issues(document)
    if errors or not isinstance(document, dict):
        return Lint(tuple(errors))
    found = limits.findings(Extent.of_template(document, on=on))

    def of(severity: Severity) -> tuple[Issue, ...]:
        return tuple(
            Issue(each.pointer, each.rule, each.detail)
            for each in found
            if each.severity is severity
        )

    return Lint(of(Severity.REFUSED), of(Severity.FLAGGED))


def check(document: object, *, on: date) -> None:
    """Check that a template may be published on a day.

    Raises:
        ValidationFailedError: with an issue for each member that is wrong.
    """
    if found := lint(document, on=on).errors:
        raise ValidationFailedError(found)


def publish(
    session: Session, signed: object, *, keys: Mapping[str, bytes], now: datetime
) -> Template:
    """Publish a signed template version; publishing the same bytes again changes nothing.

    Args:
        session: of the write job.
        signed: the document with its proof.
        keys: the organisation's 32-byte Ed25519 public keys by `kid`.
        now: the instant of publication.

    Raises:
        ValidationFailedError: the document or its signature is wrong.
        ConflictError: another document has this id and version, or it is not the next version.
    """
    try:
        document = jws.verify(signed, keys, typ=TYPE)
        text = canonical.canonical_bytes(document)
    except FormatError as exc:
        raise ValidationFailedError([Issue("/proof", "signature", str(exc))]) from exc
    template = Template(canonical.sha256_hex(document), document)
    if _is_known(session, template.sha256):
        return template
    check(document, on=now.date())
    existing = session.scalars(
        select(TemplateVersion).where(TemplateVersion.id == template.id).with_for_update()
    ).all()
    if template.version != len(existing) + 1:
        raise ConflictError(f"the next version of this template is {len(existing) + 1}")
    if any(row.organisation_id != template.organisation_id for row in existing):
        raise ConflictError("this template id belongs to another organisation")
    session.execute(
        update(TemplateVersion)
        .where(TemplateVersion.id == template.id, TemplateVersion.state == "published")
        .values(state="superseded")
    )
    proof: Any = signed
    session.execute(
        insert(TemplateVersion).values(
            id=template.id,
            version=template.version,
            organisation_id=template.organisation_id,
            sha256=template.sha256,
            document=text,
            signature=proof["proof"]["jws"],
            state="published",
            published_at=now,
        )
    )
    return template


def find(session: Session, sha256: str) -> Template:
    """Return a template version by its hash; superseded ones are still found.

    Raises:
        NotFoundError: there is none.
    """
    row = session.scalars(
        select(TemplateVersion).where(TemplateVersion.sha256 == sha256)
    ).one_or_none()
    if row is None:
        raise NotFoundError
    return read(row)


def find_all(session: Session, hashes: Collection[str]) -> dict[str, Template]:
    """Return template versions by their hashes; unknown ones are passed over."""
    query = select(TemplateVersion).where(TemplateVersion.sha256.in_(hashes))
    return {row.sha256: read(row) for row in session.scalars(query)}


def is_published(session: Session, sha256: str) -> bool:
    """Tell whether a template version may be asked under now."""
    query = select(TemplateVersion.state).where(TemplateVersion.sha256 == sha256)
    return session.execute(query).scalar_one_or_none() == "published"


def in_force(session: Session, template_id: UUID, organisation_id: UUID) -> Template:
    """Return the version of an organisation's template that may be asked under now.

    Raises:
        NotFoundError: the organisation has no such template, or offers it no more.
    """
    query = select(TemplateVersion).where(
        TemplateVersion.id == template_id,
        TemplateVersion.organisation_id == organisation_id,
        TemplateVersion.state == "published",
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        raise NotFoundError
    return read(row)


def of_organisation(session: Session, organisation_id: UUID) -> list[Template]:
    """Return the published templates of an organisation, oldest first."""
    query = (
        select(TemplateVersion)
        .where(
            TemplateVersion.organisation_id == organisation_id,
            TemplateVersion.state == "published",
        )
        .order_by(TemplateVersion.published_at, TemplateVersion.id)
    )
    return [read(row) for row in session.scalars(query)]


def versions(session: Session, template_id: UUID, organisation_id: UUID) -> list[Published]:
    """Return every version of an organisation's template, oldest first.

    Raises:
        NotFoundError: the organisation has no template of that id.
    """
    query = (
        select(TemplateVersion)
        .where(
            TemplateVersion.id == template_id, TemplateVersion.organisation_id == organisation_id
        )
        .order_by(TemplateVersion.version)
    )
    found: list[Published] = []
    for row in session.scalars(query):
        template = read(row)
        changes = differences(found[-1].template.document, template.document) if found else []
        found.append(Published(template, row.state, row.published_at, changes))
    if not found:
        raise NotFoundError
    return found


def read(row: TemplateVersion) -> Template:
    """Return a stored template version, read."""
    document = canonical.parse(row.document)
    if not isinstance(document, dict):
        raise NotFoundError
    return Template(row.sha256, document)


def _is_known(session: Session, sha256: str) -> bool:
    query = select(TemplateVersion.version).where(TemplateVersion.sha256 == sha256)
    return session.execute(query).one_or_none() is not None
