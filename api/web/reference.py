"""The API's description as a page, rendered from `/openapi.json`: no script, nothing vendored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from api.web import pages
from api.wiring import wiring

blueprint = Blueprint("reference", __name__)

_METHODS = ("get", "post", "put", "delete")
_REFERENCE = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter or a member of a body: name, type, whether it must be there, what it is."""

    name: str
    type: str
    required: bool
    description: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    token: str
    parameters: list[Member] = field(default_factory=list)
    body: str = ""
    answers: list[tuple[str, str]] = field(default_factory=list)


@blueprint.get("/docs")
def show() -> ResponseReturnValue:
    """Show every operation, and the shapes that they take and give."""
    extension: Any = current_app.extensions["flask-smorest"]
    document: dict[str, Any] = extension["apis"][""]["ext_obj"].spec.to_dict()
    schemas = document["components"].get("schemas", {})
    return pages.page(
        "reference.html",
        issuer=wiring().settings.server.issuer,
        groups=list(_groups(document)),
        schemas=[(name, _members(shape)) for name, shape in sorted(schemas.items())],
        description=document["info"].get("description", ""),
    )


def _groups(document: dict[str, Any]) -> Iterator[tuple[str, list[Operation]]]:
    for tag in document.get("tags", []):
        found = [
            _operation(path, method, item[method])
            for path, item in document["paths"].items()
            for method in _METHODS
            if method in item and tag["name"] in item[method].get("tags", [])
        ]
        yield tag.get("description") or tag["name"], found


def _operation(path: str, method: str, found: dict[str, Any]) -> Operation:
    security = found.get("security") or [{}]
    body = found.get("requestBody", {}).get("content", {}).get("application/json", {})
    return Operation(
        anchor=f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        method=method.upper(),  # ascii
        path=path,
        summary=found.get("summary", ""),
        description=found.get("description", ""),
        token=next(iter(security[0]), ""),
        parameters=[
            Member(
                one["name"],
                _type(one.get("schema", {})),
                bool(one.get("required")),
                one.get("description", ""),
                one["in"],
            )
            for one in found.get("parameters", [])
        ],
        body=_type(body.get("schema", {})) if body else "",
        answers=[
            (status, _answer(answer))
            for status, answer in sorted(found.get("responses", {}).items())
            if status.isdigit() and status.startswith("2")
        ],
    )


def _answer(answer: dict[str, Any]) -> str:
    content = answer.get("content", {}).get("application/json", {})
    return _type(content.get("schema", {})) if content else ""


def _members(shape: dict[str, Any]) -> list[Member]:
    required = set(shape.get("required", []))
    return [
        Member(name, _type(found), name in required, found.get("description", ""))
        for name, found in shape.get("properties", {}).items()
    ]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "enum" in schema:
        return f"{text}: " + ", ".join(map(str, schema["enum"]))
    return f"{text} ({schema['format']})" if "format" in schema else text
