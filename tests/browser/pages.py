"""Every page, by the endpoint that shows it: what looks at pages takes them from here."""

from __future__ import annotations

from tests.support.auditing import asked_by

PUBLIC = {
    "home.show": ["/"],
    "signing_up.before": ["/sign-up"],
    "signing_up.form": ["/sign-up/passphrase"],
    "entrance.sign_in_form": ["/sign-in"],
    "recovering.form": ["/recover"],
    "limited.lost": ["/lost-passphrase"],
    "limited.asked": ["/lost-passphrase/asked"],
    "limited.link": ["/limited/link/nothing"],
    "deletion.show": ["/vault-deletion"],
    "deletion.done": ["/vault-deletion/done"],
    "help.show": ["/help"],
    "help.privacy": ["/privacy"],
    "help.organisation": ["/organisation"],
    "help.errors": ["/docs/errors"],
    "help.error": ["/docs/errors/consent-withdrawn"],
    "auditor_entrance.show": ["/auditor"],
    "reference.show": ["/docs"],
    "authorize.show": ["/oauth/authorize"],
    "invitations.show": ["/invitation/nothing"],
    "nowhere": ["/nowhere"],
}
"""Pages that need no sign-in; the last one is the page for what is not there."""

LOCKED = {
    "home.show": ["/"],
    "entrance.unlock_form": ["/unlock"],
    "connections.current": ["/connections"],
    "activity.show": ["/activity"],
}
"""Pages of someone who is signed in and has locked the vault."""

FILES = {
    "activity.proof",
    "agreement_files.download",
    "attachments.download",
    "documents.receipt_proof",
}
"""What is downloaded, and never shown."""

ELSEWHERE = {"letters.confirm_form", "passkeys.confirm_removal"}
"""Pages that one must have a letter or a device for; tests of their own look at them."""


def limited(life):
    """Return the pages of whoever lost the passphrase and came by a link."""
    return {
        "limited.show": ["/limited"],
        "limited.stop_form": [f"/limited/{life.agreement}/stop"],
        "limited.stop_all_form": ["/limited/stop-all"],
        "limited.delete_form": ["/limited/delete"],
    }


def own(life):
    """Return the pages of someone who is signed in and has unlocked."""
    held = life.invite()
    life.world.go_on(life.aysel, held)
    return {
        "home.show": ["/"],
        "vault.overview": ["/vault", "/vault?q=aysel", "/vault?q=nothing-like-it"],
        "collections.show": [
            "/vault/contact",
            "/vault/bookmarks",
            "/vault/contact?q=nothing-like-it",
            "/vault/contact?deleted=1-1",
            "/vault/address_book",
            "/vault/life_events",
            "/vault/intentions",
        ],
        "spending.show": ["/vault/transactions/months"],
        "deleted.show": ["/vault/recently-deleted"],
        "records.new_form": [
            "/vault/products/new",
            "/vault/address_book/new",
            "/vault/preferences/new",
        ],
        "records.record": [f"/vault/contact/{life.record}", life.document],
        "attachments.remove_form": [f"{life.file}/remove"],
        "records.delete_form": [f"/vault/contact/{life.record}/delete"],
        "imports.choose": ["/imports"],
        "imports.progress": [
            f"/imports/{life.import_id}",
            f"/imports/{life.staged_id}",
            f"/imports/{life.table_id}",
        ],
        "connections.current": ["/connections", "/connections?q=nothing-like-it"],
        "connections.history": ["/connections/history"],
        "connections.then": ["/connections/then"],
        "origins.show": ["/connections/sources"],
        "connections.stop_all_form": ["/connections/stop-all"],
        "connections.connection": [
            f"/connections/{life.agreement}",
            f"/connections/{life.stopped}",
            f"/connections/{life.paused}",
        ],
        "seen.show": [f"/connections/{life.agreement}/seen"],
        "claims.ask_form": [f"/connections/{life.agreement}/ask"],
        "claims.report_form": [f"/connections/{life.agreement}/report"],
        "connections.stop_form": [f"/connections/{life.agreement}/stop"],
        "connections.resume_form": [f"/connections/{life.paused}/resume"],
        "narrowing.form": [f"/connections/{life.agreement}/narrow"],
        "extending.form": [
            f"/connections/{life.agreement}/extend",
            f"/connections/{life.paused}/extend",
            f"/connections/{life.paused}/extend?duration=P90D",
        ],
        "documents.all_receipts": ["/receipts"],
        "documents.receipt": [f"/receipts/{life.receipt}"],
        "documents.notice": [f"/notices/{life.notice}"],
        "activity.show": ["/activity"],
        "unmaskings.show": ["/unmaskings"],
        "settings.show": ["/settings"],
        "recovery_codes.show": ["/settings/recovery-code"],
        "personal_apps.show": ["/settings/apps"],
        "login_names.show": ["/settings/name"],
        "signing_up.welcome": ["/welcome"],
        "letters.show": ["/settings/letters"],
        "deletion.show": ["/vault-deletion"],
        "export.show": ["/export"],
        "sessions.show": ["/settings/sessions"],
        "second_step.show": ["/settings/second-step"],
        "passkeys.show": ["/settings/passkeys"],
        "authorize.show": [
            life.ask_anew(),
            life.ask(),
            life.ask(life.sensitive),
            life.ask(invitation=held["id"]),
        ],
        "invitations.show": [life.invite()["url"], held["url"]],
    }


def desk(life, auditor):
    """Return the pages of an auditor at work in an engagement."""
    at = f"/auditor/engagements/{auditor.engagement_id}"
    asked_by(auditor, life.aysel)
    auditor.post("searches", {"name": "Reads", "filter": {"event": "data.read"}})
    sample = auditor.post("samples", {"size": 2}).json()["id"]
    return {
        "auditor_entrance.engagements": ["/auditor/engagements"],
        "auditor_desk.show": [at],
        "auditor_desk.events": [
            f"{at}/events",
            f"{at}/events?event=data.read",
            f"{at}/events?event=nothing.like-it",
        ],
        "auditor_agreements.show": [f"{at}/agreements/{life.agreement}"],
        "auditor_agreements.checks": [f"{at}/checks"],
        "auditor_alerts.show": [f"{at}/alerts"],
        "auditor_figures.show": [f"{at}/figures"],
        "auditor_packs.show": [f"{at}/packs"],
        "auditor_samples.show": [f"{at}/samples"],
        "auditor_unmaskings.show": [f"{at}/unmaskings"],
        "auditor_samples.one": [f"{at}/samples/{sample}"],
    }
