"""What an organisation asks for, as it was pushed and found valid (P-27)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from consent.templates import Template


@dataclass(frozen=True, slots=True)
class Ask:
    """A client's request under a template."""

    client_id: UUID
    client_name: str
    redirect_uri: str
    template: Template
    actions: tuple[str, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    duration: str
    invitation: UUID | None = None  # by which it was asked; None: by none
    flags: tuple[str, ...] = ()  # limits of the purpose that it is unusually near to
    merges: UUID | None = None  # the grant that it must amend; None: whichever stands, or none
    client_names: Mapping[str, str] = field(default_factory=dict)  # by language, where it has some
    starts_anew: bool = False  # a fresh grant, in the place of one that stands
