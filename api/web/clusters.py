"""Items as every page groups them, without those that the catalogue does not know any more."""

from __future__ import annotations

from collections.abc import Iterable

from pds.catalogue import CATALOGUE, Attribute, Cluster
from pds.errors import NotFoundError


def clusters_of(names: Iterable[str]) -> list[tuple[Cluster, list[Attribute]]]:
    """Group attributes by the clusters of every screen (CUX-5), passing over unknown ones."""
    known = [name for name in names if is_known(name)]
    return list(CATALOGUE.clusters_of(known).items())


def is_known(name: str) -> bool:
    """Say whether the catalogue has the attribute."""
    try:
        CATALOGUE.attribute(name)
    except NotFoundError:
        return False
    return True
