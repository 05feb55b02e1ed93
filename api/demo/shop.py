"""The market's own page in the demonstration: ask Aysel, and look into the CRM."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any
from uuid import UUID

from flask import Flask, Response, abort, redirect, render_template_string, request
from werkzeug.serving import WSGIRequestHandler, make_server

from api.demo.stage import Connector, CrmView

_STYLE = files("api.web").joinpath("static", "vendor", "pico.min.css")
_PAGE = """<!doctype html>
<html lang="az"><head><meta charset="utf-8"><title>Xəzər Market</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"></head>
<body><main class="container">
<h1>Xəzər Market</h1>
<p>DEMO. Bu, müəssisənin öz səhifəsidir. / This is the organisation's own page.</p>
<form method="post" action="/ask"><button>Loyallıq kartı al / Get a loyalty card</button></form>
<h2>CRM (Tryton)</h2>
<table><thead><tr><th>Ad / Name</th><th>Əlaqə / Contact</th><th>Aktiv / Active</th></tr></thead>
<tbody>
{% for party in parties %}<tr><td>{{ party.name or "—" }}</td>
<td>{{ party.contact_mechanisms | map(attribute="value") | join(", ") }}</td>
<td>{{ "✓" if party.active else "—" }}</td></tr>
{% else %}<tr><td colspan="3">Hələ heç kim yoxdur. / Nobody yet.</td></tr>{% endfor %}
</tbody></table>
<form method="post" action="/sync"><button class="secondary">Yenilə / Sync now</button></form>
{% if last %}<pre>{{ last }}</pre>{% endif %}
</main></body></html>"""


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_arguments: object) -> None:
        """Keep the terminal for the sign-ins."""


@contextmanager
def serving(connector: Connector, crm: CrmView, issuer: str, port: int) -> Iterator[None]:
    """Serve the page, and keep the CRM in step every few seconds, until the block ends."""
    watching = connector.start("run", "--watch", "5s", "--progress", "plain")
    server = make_server(
        "127.0.0.1", port, _app(connector, crm, issuer), threaded=True, request_handler=_Quiet
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        watching.terminate()
        server.shutdown()
        thread.join()


def _app(connector: Connector, crm: CrmView, issuer: str) -> Flask:
    app = Flask(__name__, static_folder=None)
    state: dict[str, Any] = {"last": "", "waiting": None}

    @app.get("/")
    def home() -> str:
        parties = [party for party in crm.parties() if party["code"]]
        return render_template_string(_PAGE, parties=parties, last=state["last"])

    @app.get("/style.css")
    def style() -> Response:
        return Response(_STYLE.read_bytes(), mimetype="text/css")

    @app.post("/ask")
    def ask() -> Response:
        return begin("")

    # OpenID Connect Core 1.0 section 4: a login that the vault starts, by either method.
    @app.route("/login", methods=["GET", "POST"])
    def login() -> Response:
        # Anybody can send a browser here: the issuer is compared, the vault checks the rest.
        if request.values.get("iss") != issuer:
            abort(400)
        invitation = request.values.get("invitation", type=UUID)
        return begin(str(invitation or ""))

    def begin(invitation: str) -> Response:
        waiting: subprocess.Popen[str] | None = state["waiting"]
        if waiting is not None and waiting.poll() is None:
            waiting.terminate()
            waiting.wait()
        url, state["waiting"] = connector.ask(invitation)
        return redirect(url, 303)  # type: ignore[return-value]  # werkzeug's response, which Flask takes

    @app.post("/sync")
    def sync() -> Response:
        done = connector.run("run", "--progress", "plain", check=False)
        state["last"] = (done.stdout + done.stderr).strip()[-600:]
        return redirect("/", 303)  # type: ignore[return-value]  # as above

    return app
