"""The commands of `pds witness`; the folder is all that they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from consent.formats.encoding import b64
from consent.formats.errors import FormatError
from witness import serving
from witness.errors import WitnessError
from witness.state import State, Watched

_USAGE_ERROR = 2
_FORK = "fork"


class _Group(click.Group):
    """Says what is wrong and what to do, in one line, instead of a trace."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        try:
            return super().invoke(ctx)
        except (WitnessError, FormatError) as exc:
            click.echo(f"pds witness: {exc}", err=True)
            raise click.exceptions.Exit(_USAGE_ERROR) from exc


def _folder(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the witness's folder as its first argument, as a `State`."""

    @click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
    @wraps(command)
    def with_state(folder: Path, **arguments: Any) -> Any:  # noqa: ANN401 - the command's
        return command(State(folder, now=serving.now), **arguments)

    return with_state


@click.group("witness", cls=_Group)
def witness() -> None:
    """Witness logs: cosign only trees that grow. Run it on a machine of somebody else's."""


@witness.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Of the key: a URL without scheme, witness.example/w1.")
def init(folder: Path, name: str) -> None:
    """Make a witness with a fresh key; print the key that logs and verifiers are given."""
    click.echo(State.create(folder, name, now=serving.now).cosigner.verifier.to_text())


@witness.command("key")
@_folder
def key(state: State) -> None:
    """Print the public key (a vkey)."""
    click.echo(state.cosigner.verifier.to_text())


@witness.command("add-log")
@_folder
@click.argument("vkey")
def add_log(state: State, vkey: str) -> None:
    """Watch a log, given its public key (a vkey)."""
    click.echo(f"Watching {state.add_log(vkey).name}.")


@witness.command("serve")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--bind", default="127.0.0.1:8331", show_default=True, metavar="HOST:PORT")
def serve(folder: Path, bind: str) -> None:
    """Answer logs (C2SP tlog-witness); put TLS before it."""
    host, _, port = bind.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - TCP
        raise click.BadParameter("give host and port, such as 127.0.0.1:8331", param_hint="--bind")
    serving.serve(folder, host=host.strip("[]"), port=int(port))


@witness.command("status")
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(state: State, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Say what was cosigned last and what was refused; exit status 1 if a log has forked."""
    logs = state.watched()
    if as_json:
        click.echo(json.dumps(_document(state, logs), indent=2, ensure_ascii=False))
    else:
        click.echo(state.cosigner.verifier.to_text())
        for log in logs:
            click.echo(_in_words(log))
    if any(each.evidence == _FORK for log in logs for each in log.refused):
        raise click.exceptions.Exit(1)


def _document(state: State, logs: list[Watched]) -> dict[str, Any]:
    return {
        "key": state.cosigner.verifier.to_text(),
        "logs": [
            {
                "origin": log.origin,
                "keys": [each.to_text() for each in log.keys],
                "size": log.tree.size,
                "root": b64(log.tree.root),
                "cosigned_at": log.cosigned_at.isoformat() if log.cosigned_at else None,
                "checkpoint": log.note,
                "refused": [
                    {
                        "evidence": each.evidence,
                        "size": each.size,
                        "root": b64(each.root),
                        "refused_at": each.refused_at.isoformat(),
                        "checkpoint": each.note,
                    }
                    for each in log.refused
                ],
            }
            for log in logs
        ],
    }


def _in_words(log: Watched) -> str:
    if log.cosigned_at is None:
        lines = [f"{log.origin}: nothing cosigned yet"]
    else:
        when = log.cosigned_at.isoformat(sep=" ")
        lines = [f"{log.origin}: size {log.tree.size}, root {b64(log.tree.root)}, at {when}"]
    for each in log.refused:
        what = "FORK" if each.evidence == _FORK else "not proved to extend the last tree"
        when = each.refused_at.isoformat(sep=" ")
        lines.append(f"  {what}: size {each.size}, root {b64(each.root)}, at {when}")
    return "\n".join(lines)
