"""Data-sharing agreement templates: uniform terms, few variants.

A template version is canonical JSON, signed by its organisation (P-27), immutable, and known by
the SHA-256 of its bytes (CM-3). What an organisation may choose is in `_SHAPE`; everything else is
the same for all agreements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import fastjsonschema
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consent import durations
from consent.formats import canonical, jws
from consent.formats.errors import FormatError
from consent.models import TemplateVersion
from consent.vocabulary import AccessMode, Action, LawfulBasis, Purpose
from pds.catalogue import CATALOGUE
from pds.errors import ConflictError, Issue, NotFoundError, ValidationFailedError

TYPE = "pds-template"
VERSION = f"{TYPE}/1"
PURPOSE_TEXT_CHARACTERS = 160  # CUX-2

_WORDING: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["az", "en"],
    "properties": {
        "az": {"type": "string", "minLength": 1, "maxLength": 600},
        "en": {"type": "string", "minLength": 1, "maxLength": 600},
    },
}
_UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_ATTRIBUTES: dict[str, Any] = {
    "type": "array",
    "maxItems": 60,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "reason"],
        "properties": {"name": {"type": "string"}, "reason": _WORDING},
    },
}
_SHAPE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "type": {"const": VERSION},
        "id": _UUID,
        "version": {"type": "integer", "minimum": 1},
        "organisation": _UUID,
        "name": _WORDING,
        "purpose": {"enum": [purpose.value for purpose in Purpose]},
        "purpose_text": _WORDING,
        "lawful_basis": {"enum": [basis.value for basis in LawfulBasis]},
        "attributes": _ATTRIBUTES,
        "optional_attributes": _ATTRIBUTES,
        "actions": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": [action.value for action in Action]},
        },
        "access": {
            "type": "object",
            "additionalProperties": False,
            "required": ["mode", "fetches_per_day"],
            "properties": {
                "mode": {"enum": [mode.value for mode in AccessMode]},
                "fetches_per_day": {"type": "integer", "minimum": 1, "maximum": 1440},
            },
        },
        "data_from": {
            "type": "object",
            "additionalProperties": {"type": "string", "format": "date"},
        },
        "max_duration": {"type": "string"},
        "retention": {
            "type": "object",
            "additionalProperties": False,
            "required": ["after_end", "text"],
            "properties": {"after_end": {"type": "string"}, "text": _WORDING},
        },
        "storage_location": {"type": "string", "minLength": 2, "maxLength": 80},
        "recipients": {"type": "array", "maxItems": 20, "items": {"type": "string"}},
        "automated_decisions": {"type": "boolean"},
        "if_refused": _WORDING,
        "complaint": _WORDING,
        "jurisdiction": {"type": "string", "pattern": "^[A-Z]{2}$"},
    },
}
_SHAPE["required"] = list(_SHAPE["properties"])
_check_shape: Callable[[object], object] = fastjsonschema.compile(_SHAPE, use_default=False)


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

    def reason(self, attribute: str, locale: str) -> str:
        """Return why an attribute is asked for, in `az` or `en`."""
        for item in (*self.document["attributes"], *self.document["optional_attributes"]):
            if item["name"] == attribute:
                return str(item["reason"][locale])
        raise NotFoundError(attribute)


def check(document: Mapping[str, Any]) -> None:
    """Check a template's form and its words against the catalogue.

    Raises:
        ValidationFailedError: with an issue for each member that is wrong.
    """
    try:
        _check_shape(dict(document))
    except fastjsonschema.JsonSchemaValueException as exc:
        path = ".".join(str(part) for part in exc.path[1:]) or "template"
        raise ValidationFailedError([Issue(path, exc.rule or "shape", exc.message)]) from exc
    issues = [*_unknown(document), *_durations(document), *_contradictions(document)]
    if issues:
        raise ValidationFailedError(issues)


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
        raise ValidationFailedError([Issue("proof", "signature", str(exc))]) from exc
    check(document)
    template = Template(canonical.sha256_hex(document), document)
    existing = session.scalars(
        select(TemplateVersion).where(TemplateVersion.id == template.id).with_for_update()
    ).all()
    for row in existing:
        if row.sha256 == template.sha256:
            return template
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


def is_published(session: Session, sha256: str) -> bool:
    """Tell whether a template version may be asked under now."""
    query = select(TemplateVersion.state).where(TemplateVersion.sha256 == sha256)
    return session.execute(query).scalar_one_or_none() == "published"


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


def read(row: TemplateVersion) -> Template:
    """Return a stored template version, read."""
    document = canonical.parse(row.document)
    if not isinstance(document, dict):
        raise NotFoundError
    return Template(row.sha256, document)


def _unknown(document: Mapping[str, Any]) -> list[Issue]:
    issues: list[Issue] = []
    seen: set[str] = set()
    for member in ("attributes", "optional_attributes"):
        for position, item in enumerate(document[member]):
            path = f"{member}.{position}.name"
            try:
                CATALOGUE.attribute(item["name"])
            except NotFoundError:
                issues.append(
                    Issue(path, "unknown_attribute", f"the catalogue has no {item['name']!r}")
                )
            if item["name"] in seen:
                issues.append(Issue(path, "twice", f"{item['name']!r} is asked for twice"))
            seen.add(item["name"])
    return issues


def _durations(document: Mapping[str, Any]) -> list[Issue]:
    issues = []
    for path, value in (
        ("max_duration", document["max_duration"]),
        ("retention.after_end", document["retention"]["after_end"]),
    ):
        try:
            durations.parse(value)
        except ValueError as exc:
            issues.append(Issue(path, "duration", str(exc)))
    return issues


def _contradictions(document: Mapping[str, Any]) -> list[Issue]:
    issues: list[Issue] = []
    if Action.READ in document["actions"] and not (
        document["attributes"] or document["optional_attributes"]
    ):
        issues.append(Issue("attributes", "empty", "reading needs at least one attribute"))
    issues += [
        Issue(
            f"purpose_text.{locale}",
            "too_long",
            f"say it in one sentence of at most {PURPOSE_TEXT_CHARACTERS} characters",
        )
        for locale in ("az", "en")
        if len(document["purpose_text"][locale]) > PURPOSE_TEXT_CHARACTERS
    ]
    names = {item["name"] for item in (*document["attributes"], *document["optional_attributes"])}
    collections = {name.partition(".")[0] for name in names}
    issues += [
        Issue(f"data_from.{name}", "no_range", "it has no data range")
        for name in document["data_from"]
        if name not in collections or CATALOGUE.collection(name).range_field is None
    ]
    return issues
