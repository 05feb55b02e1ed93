"""The API's description: OpenAPI 3.1, the data dictionary, and a rendered page."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Flask, Response, request
from flask_smorest import Api
from marshmallow import Schema, fields

from api.schemas.webhooks import described_messages
from consent import limits
from consent.clauses import CURRENT
from consent.formats import canonical
from pds.catalogue import CATALOGUE

blueprint = Blueprint("documentation", __name__)
_OPENAPI = "3.1.0"


class FieldErrorSchema(Schema):
    """One thing wrong with a request."""

    pointer = fields.String(required=True, metadata={"description": "JSON pointer (RFC 6901)."})
    rule = fields.String(required=True)
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """A problem document (RFC 9457), sent as application/problem+json."""

    type = fields.Url(required=True, metadata={"description": "Leads to its explanation."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldErrorSchema))


class DescribedApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """flask-smorest with the application's own error format."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Leave errors to the application: there is one error format (RFC 9457)."""


def describe(app: Flask, *, issuer: str, version: str) -> Api:
    """Register the description; resources join through `register_blueprint`."""
    app.config |= {
        "API_TITLE": "Personal data store",
        "API_VERSION": version,
        "OPENAPI_VERSION": _OPENAPI,
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": "openapi.json",
    }
    flow = {"tokenUrl": f"{issuer}/oauth/token", "scopes": {}}
    options: dict[str, Any] = {
        "servers": [{"url": issuer}],
        "info": {
            "description": "Consented data, by agreement. Every answer with data names its log"
            " entry in `PDS-Log-Entry`. Errors are problem details (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "webhooks": described_messages(),
        "components": {
            "securitySchemes": {
                "grantToken": {
                    "type": "oauth2",
                    "description": "DPoP-bound token of one person's grant (RFC 9449).",
                    "flows": {
                        "authorizationCode": flow
                        | {"authorizationUrl": f"{issuer}/oauth/authorize"}
                    },
                },
                "personalAppToken": {
                    "type": "http",
                    "scheme": "dpop",
                    "description": "Token of a person's own program, made under Settings and bound"
                    " to the program's key (RFC 9449); opens their own vault only.",
                },
                "organisationToken": {
                    "type": "oauth2",
                    "description": "DPoP-bound token of client credentials; opens no data.",
                    "flows": {
                        "clientCredentials": flow
                        | {"scopes": {"organisation": "The organisation's own affairs"}}
                    },
                },
            }
        },
    }
    return DescribedApi(app, spec_kwargs=options)


@blueprint.get("/v1/catalogue")
def catalogue() -> Response:
    """Return the data dictionary: schemas, wording, kinds of personal data."""
    locale = request.args.get("locale")
    etag = f'"{CATALOGUE.sha256}{locale or ""}"'
    return _public(CATALOGUE.public_description(locale), etag)


@blueprint.get("/v1/clauses")
def uniform_clauses() -> Response:
    """Return what every agreement says, in both languages; templates cite its hash."""
    sha256 = CURRENT.sha256
    return _public(CURRENT.document | {"sha256": sha256}, f'"{sha256}"')


@blueprint.get("/v1/limits")
def purpose_limits() -> Response:
    """Return fair use: the most that may be asked for, for each purpose."""
    table = limits.public()
    return _public(table, f'"{canonical.sha256_hex(table)}"')


def _public(document: object, etag: str) -> Response:
    response = Response(orjson.dumps(document), mimetype="application/json")
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "public, max-age=300"
    response.make_conditional(request)
    return response
