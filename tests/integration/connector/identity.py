"""Who the connector of the tests is, and its rules: all that a process of its own needs of them."""

from __future__ import annotations

from connector.mapping.expressions import compile_expression
from connector.mapping.rules import Conflict, MapRule

CLIENT = "acme-crm"
SECRET = b"a connector secret of the tests"


def rules_of(table, *, obj, conflict=Conflict.VAULT_WINS):
    return [
        MapRule(category, obj, field, compile_expression(expr), transforms, conflict)
        for category, field, expr, transforms in table
    ]
