"""The data files that come with the program."""

from __future__ import annotations

from importlib.resources import files

import yaml


def read_yaml(name: str, *, package: str = "pds.catalogue") -> object:
    """Return the content of a YAML file that comes with `package`."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    # The C parser of libyaml, ten times as fast: every start of the program reads all of this.
    return yaml.load(text, Loader=yaml.CSafeLoader)


def collection_names() -> list[str]:
    """Return the names of the collection files, sorted, without `.yaml`."""
    folder = files("pds.catalogue").joinpath("collections")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir())
