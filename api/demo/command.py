"""`pds demo`: everything set up, seeded and running, with real programs on this machine only."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import CalledProcessError

import click

from api.demo import shop, stage, tryton
from api.demo.seed import Seeded, seed
from api.demo.stage import Connector, CrmView
from api.demo.story import StepFailedError, Story

FIRST_PORT = 8321


@click.command("demo")
@click.option("--script", is_flag=True, help="Play the whole story, assert each step, and end.")
@click.option("--seed-only", is_flag=True, help="Make and fill an instance, and end.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep everything in this folder.")
@click.option("--json", "as_json", is_flag=True, help="With --seed-only: print one JSON object.")
@click.option("--port", type=int, help="The first of three ports; else from 8321 on.")
def demo(
    *, script: bool, seed_only: bool, keep: Path | None, as_json: bool, port: int | None
) -> None:
    """Set up a demonstration with fictional people, organisations and a real CRM."""
    say: Callable[[str], None] = click.echo if not as_json else _say_aside
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(keep))
        first = port or stage.free_port(FIRST_PORT)
        say("DEMO DATA. Everybody here is fictional.")
        seeded = seed(folder / "instance", port=first, say=say)
        if seed_only:
            if as_json:
                click.echo(seeded.to_json())
            else:
                _print_sign_ins(seeded)
            return
        # Before the CRM, which takes longer: the server asks it as soon as it runs.
        asked = stage.free_port(first + 3)
        stack.enter_context(stage.witness(folder / "witness", folder / "instance", asked))
        say("A witness runs, which is not the operator's")
        crm = _crm(stack, say)
        stack.enter_context(stage.server(folder / "instance", seeded.base_url))
        connector = Connector.prepare(folder / "connector", seeded, crm, first + 2)
        view = CrmView(crm)
        if script:
            _play(Story(seeded, connector, view, folder, say))
            return
        stack.enter_context(shop.serving(connector, view, seeded.issuer, first + 1))
        _print_sign_ins(seeded)
        click.echo(f"\nOrganisation  http://127.0.0.1:{first + 1}/   its shop and its CRM")
        click.echo("Ctrl-C ends it" + ("." if keep else " and leaves nothing behind."))
        _wait_for_the_end()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield keep.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="pds-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _crm(stack: ExitStack, say: Callable[[str], None]) -> tryton.TrytonDatabase:
    cache = tryton.default_cache(Path.cwd())
    if not tryton.is_prepared(cache):
        say("Installing Tryton, a real CRM, into .cache/tryton (once, a minute or two) …")
    try:
        tryton.prepare(cache)
    except CalledProcessError as exc:
        raise click.ClickException(
            "Tryton could not be installed. It comes from the Python package index, so the first"
            " run needs a network; after that none is used."
        ) from exc
    running = stack.enter_context(tryton.running(cache))
    say("Tryton runs")
    return running.database


def _play(story: Story) -> None:
    try:
        story.play()
    except (StepFailedError, LookupError, CalledProcessError) as exc:
        click.echo(f"FAILED: {exc}", err=True)
        sys.exit(1)
    click.echo("Every step held.")


def _print_sign_ins(seeded: Seeded) -> None:
    click.echo(f"\nPerson        {seeded.base_url}/sign-in")
    for person in seeded.people:
        click.echo(f"              {person.login:8} passphrase: {person.passphrase}")
    auditor = seeded.auditors[0]
    click.echo(f"\nAuditor       {seeded.base_url}/auditor   ({auditor['name']})")
    click.echo(f"              access: {auditor['access']}")


def _say_aside(line: str) -> None:
    click.echo(line, err=True)


def _wait_for_the_end() -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
