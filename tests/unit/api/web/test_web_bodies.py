"""Bodies that do not say their length, and JSON that is too deep (SEC-S42)."""

from __future__ import annotations

from io import BytesIO

import pytest
from flask import Flask
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from api.resources.parsing import DEPTH_MAX, json_body
from api.web.uploads import InMemoryRequest

LIMIT = 64
FORM = "application/x-www-form-urlencoded"


class Trickle(BytesIO):
    """A body that comes a few bytes at a time, as a network has it."""

    def readinto(self, buffer):
        chunk = self.read(min(7, len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def chunked(body, content_type=FORM, *, input_type=Trickle):
    """Return a request as a server gives it that reads chunks: no length, an end."""
    request = InMemoryRequest(
        {
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": content_type,
            "wsgi.input": input_type(body),
            "wsgi.input_terminated": True,
        }
    )
    request.max_content_length = LIMIT
    return request


def form_of(size):
    return b"decision=allow&attributes=a&note=" + b"x" * (size - 33)


@pytest.mark.parametrize("input_type", [BytesIO, Trickle])
def test_a_form_in_chunks_above_the_limit_is_never_read_in_part_sec_s42(input_type):
    with pytest.raises(RequestEntityTooLarge):
        _ = chunked(form_of(LIMIT + 1), input_type=input_type).form


@pytest.mark.parametrize("size", [34, LIMIT - 1, LIMIT])
def test_a_form_in_chunks_up_to_the_limit_is_whole(size):
    form = chunked(form_of(size)).form

    assert (form["decision"], len(form["note"])) == ("allow", size - 33)


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_any_other_body_in_chunks_is_whole_or_refused_too_sec_s42(kind):
    assert chunked(b"[1]", kind).get_data() == b"[1]"
    with pytest.raises(RequestEntityTooLarge):
        chunked(b"[" + b" " * LIMIT + b"]", kind).get_data()


def test_a_form_of_parts_in_chunks_above_the_limit_is_refused_sec_s42():
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'

    with pytest.raises(RequestEntityTooLarge):
        _ = chunked(part * 3 + b"--x--", "multipart/form-data; boundary=x").form


def nested(depth):
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        (nested(DEPTH_MAX), True),
        (nested(DEPTH_MAX + 1), False),
        (b"[" + b",".join([b"{}"] * 200) + b"]", True),
        (b'{"a":' * 20 + nested(20) + b"}" * 20, False),
    ],
)
def test_json_is_so_deep_and_no_deeper_sec_s42(body, passes):
    app = Flask(__name__)
    with app.test_request_context(data=body, content_type="application/json", method="POST"):
        if passes:
            assert json_body() is not None
        else:
            with pytest.raises(BadRequest):
                json_body()
