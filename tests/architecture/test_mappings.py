"""What stands twice in a mapping: the later one wins, without a word."""

from __future__ import annotations

import ast
from collections import Counter

from tests.support.source import modules


def test_no_mapping_has_a_key_twice():
    twice = [
        (path, key)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, count in Counter(ast.unparse(key) for key in node.keys if key).items()
        if count > 1
    ]

    assert not twice
