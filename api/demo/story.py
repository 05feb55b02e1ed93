"""The whole story, played without a person: each step is asserted and printed.

A person imports, an organisation asks, the person allows part of it and some of that in a coarser
form, the organisation pulls it, the connector puts it into a real CRM, the person pauses, goes on,
shares less, is asked again, adds something and stops sharing, the CRM is cleaned, and an auditor
verifies all of it offline.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from api.demo.browser import Browser, Page
from api.demo.empty_environment import EmptyEnvironment
from api.demo.personas import MARKET
from api.demo.seed import Seeded
from api.demo.stage import POLICY_FILE, Connector, CrmView

Say = Callable[[str], None]
_OK, _SEE_OTHER = 200, 303
_SETTLE_SECONDS = 15
_CONFIRMED = ("Təsdiqlənib", "Confirmed")
_AWAITED = ("Cavab gözlənilir", "Answer awaited")


class StepFailedError(Exception):
    """A step did not hold; the message says what was expected."""


@dataclass
class Story:
    """The actors and what they hold."""

    seeded: Seeded
    connector: Connector
    crm: CrmView
    folder: Path
    say: Say
    browser: Browser = field(init=False)
    pack: Path = field(init=False)
    verifier: EmptyEnvironment = field(init=False)
    agreement_path: str = field(init=False, default="")

    def play(self) -> None:
        """Play every step in order.

        Raises:
            StepFailedError: a step did not hold.
        """
        self.browser = Browser(self.seeded.base_url)
        self.pack = self.folder / "evidence.zip"
        steps: list[tuple[str, Callable[[], str]]] = [
            ("Aysel signs in and finds what she imported", self._signs_in),
            ("The market's connector is ready", self._connector_is_ready),
            ("The market asks, Aysel allows part of it", self._allows_part),
            ("The connector puts it into the CRM", self._syncs),
            ("Running the connector again changes nothing", self._syncs_again),
            ("Aysel corrects her e-mail, the CRM follows", self._corrects),
            ("The connector finds its reads in the log", self._looks_up),
            ("Aysel sees who read what", self._sees_reads),
            ("Aysel pauses, and what changes meanwhile stays hers", self._pauses),
            ("Aysel goes on sharing, and the CRM catches up", self._resumes),
            ("Aysel shares less on her own, and it leaves the CRM", self._shares_less),
            ("The market asks again, Aysel adds her phone", self._amends),
            ("Aysel stops sharing in two steps", self._stops_sharing),
            ("The CRM is cleaned, Aysel sees the confirmation", self._is_erased),
            ("The auditor takes an evidence pack", self._takes_evidence),
            ("The pack verifies where nothing of ours is installed", self._verifies),
            ("One changed byte makes it fail", self._tampers),
            ("The whole log verifies as it is published", self._verifies_the_log),
        ]
        for number, (title, step) in enumerate(steps, start=1):
            outcome = step()
            self.say(f"  {number:2}. {title}: {outcome}")
        self.browser.close()

    def _signs_in(self) -> str:
        person = self.seeded.person("aysel")
        page = self.browser.get("/sign-in")
        page = self.browser.submit(
            page, "passphrase", login=person.login, passphrase=person.passphrase
        )
        _expect(page.status == _OK, f"signing in answered {page.status}")
        page = self.browser.get("/vault/contact")
        _expect("aysel.mammadova@poct.example" in page.text, "her imported e-mail is listed")
        return "her e-mail from the imported card is there"

    def _connector_is_ready(self) -> str:
        done = self.connector.run("check", "--json", check=False)
        _expect(done.returncode == 0, f"`check` says: {done.stdout} {done.stderr}")
        facts = json.loads(done.stdout)["facts"]
        return f"{len(facts)} checks passed before anything was written"

    def _allows_part(self) -> str:
        url, waiting = self.connector.ask()
        page = self.browser.get(url)
        form = page.form("decision")
        offered = form.checkboxes.get("attributes", [])
        _expect(MARKET.name[0] in page.text, "the organisation is named")
        _expect(set(offered) == set(MARKET.optional), "every optional item can be chosen")
        _expect(form.ticked == 0, "nothing is ticked beforehand")
        page = self.browser.submit(
            page,
            "decision",
            decision="allow",
            attributes=["addresses.locality", "addresses.postal_code"],
            duration="P30D",
            **{"coarsen.addresses.postal_code": "postal_area"},
        )
        _expect(page.url.startswith("http://" + self.connector.listen), f"landed on {page.url}")
        output = waiting.communicate(timeout=60)[0]
        _expect(waiting.returncode == 0, f"the connector could not connect: {output}")
        return (
            f"2 of {len(offered)} optional items, of the postcode only its beginning,"
            f" 30 days instead of {MARKET.duration}"
        )

    def _syncs(self) -> str:
        self.connector.run("run", "--progress", "plain")
        found = self._active_parties()
        _expect(len(found) == 1, f"one party in the CRM, not {len(found)}")
        _expect(found[0]["name"] == "Aysel Məmmədova", f"her name, not {found[0]['name']}")
        values = _values(found[0])
        _expect("aysel.mammadova@poct.example" in values, f"her e-mail, not {values}")
        _expect(not any(value.startswith("+994") for value in values), "no phone: not agreed")
        postcodes = _postcodes(found[0])
        _expect(postcodes == ["AZ10"], f"the beginning of her postcode, not {postcodes}")
        return "one party with name, e-mail and AZ10; no phone, because that was not agreed"

    def _syncs_again(self) -> str:
        for _ in range(2):
            self.connector.run("run", "--progress", "plain")
        _expect(len(self._active_parties()) == 1, "still one party")
        return "still one party after two more runs"

    def _corrects(self) -> str:
        self._change_email("aysel.mammadova@poct.example", "aysel.yeni@poct.example")
        self._until(
            lambda: "aysel.yeni@poct.example" in _values(self._after_run()),
            "the CRM has the corrected e-mail",
        )
        return "aysel.yeni@poct.example"

    def _change_email(self, old: str, new: str) -> None:
        page = self.browser.get(_link_to_record(self.browser.get("/vault/contact"), old))
        page = self.browser.submit(page, "email", email=new)
        _expect(page.status == _OK, f"saving answered {page.status}")

    def _looks_up(self) -> str:
        def is_found() -> bool:
            self.connector.run("run", "--progress", "plain")
            status = json.loads(self.connector.run("status", "--json").stdout)
            return bool(status["log_checked"]) and status["log_waiting"] == 0

        self._until(is_found, "the log holds what the answers named")
        return "every entry that an answer named, proved under the pinned key"

    def _sees_reads(self) -> str:
        page = self.browser.get("/activity")
        _expect(MARKET.name[0] in page.text, "the market's reads are listed")
        return "the market's reads are listed with their log entries"

    def _pauses(self) -> str:
        self.agreement_path = self._agreement_path()
        page = self.browser.post(
            self.browser.get(self.agreement_path), f"{self.agreement_path}/pause"
        )
        _expect(page.status == _OK, f"pausing answered {page.status}")
        self._change_email("aysel.yeni@poct.example", "aysel.sonra@poct.example")
        self.connector.run("run", "--progress", "plain", check=False)
        values = _values(self._active_parties()[0])
        _expect("aysel.sonra@poct.example" not in values, "nothing is read in the pause")
        return "the CRM keeps what it had and reads nothing new"

    def _resumes(self) -> str:
        page = self.browser.get(f"{self.agreement_path}/resume")
        page = self.browser.submit(page, "confirm", confirm="yes")
        _expect(page.status == _OK, f"resuming answered {page.status}")
        self._until(
            lambda: "aysel.sonra@poct.example" in _values(self._after_run()),
            "the CRM has what changed in the pause",
        )
        return "aysel.sonra@poct.example"

    def _shares_less(self) -> str:
        page = self.browser.get(f"{self.agreement_path}/narrow")
        page = self.browser.submit(page, "agreement_sha256", attributes=["addresses.locality"])
        _expect(page.url.endswith(self.agreement_path), f"sharing less led to {page.url}")
        self._until(lambda: _postcodes(self._after_run()) == [], "no postcode is left in the CRM")
        return "version 2 of the same agreement; the postcode is gone"

    def _amends(self) -> str:
        url, waiting = self.connector.ask()
        page = self.browser.get(url)
        self.browser.submit(
            page,
            "decision",
            decision="allow",
            attributes=["addresses.locality", "contact.phone"],
            duration="P30D",
        )
        output = waiting.communicate(timeout=60)[0]
        _expect(waiting.returncode == 0, f"the connector could not connect: {output}")
        _expect(self._agreement_path() == self.agreement_path, "it is still the same agreement")
        self._until(
            lambda: any(value.startswith("+994") for value in _values(self._after_run())),
            "the CRM has the phone that was added",
        )
        return "version 3 of the same agreement; the phone is in the CRM"

    def _stops_sharing(self) -> str:
        page = self.browser.get(f"{self.agreement_path}/stop")
        page = self.browser.submit(page, "confirm", confirm="yes", request_deletion="yes")
        _expect(page.status == _OK, f"stopping answered {page.status}")
        status = self.connector.run("run", "--progress", "plain", check=False)
        _expect(status.returncode == 0, f"the connector says: {status.stdout} {status.stderr}")
        return "effective with the answer"

    def _is_erased(self) -> str:
        self._until(lambda: not self._active_parties(), "no active party is left in the CRM")
        left = [value for party in self.crm.parties() for value in _values(party)]
        names = [party["name"] for party in self.crm.parties() if party.get("code")]
        _expect(not any("aysel" in value for value in left), f"no e-mail is left, but: {left}")
        _expect("Aysel Məmmədova" not in names, "no name is left")
        self.connector.run("run", "--progress", "plain", check=False)
        page = self.browser.get(self.agreement_path)
        _expect(any(words in page.text for words in _CONFIRMED), "the deletion shows as confirmed")
        _expect(not any(words in page.text for words in _AWAITED), "and nothing else is owed")
        return "erased, read again to prove it, and confirmed with a signed receipt"

    def _takes_evidence(self) -> str:
        def is_complete() -> bool:
            answer = self._audit("bundle")
            return answer.status_code == _OK and b"erasure.confirmed" in answer.content

        self._until(is_complete, "the evidence holds the confirmed erasure")
        answer = self._audit("pack")
        _expect(answer.status_code == _OK, f"the pack answered {answer.status_code}")
        self.pack.write_bytes(answer.content)
        # In life an auditor has these keys from the operator beforehand, not from the pack.
        for name, path in (("vkeys", "/log/vkeys"), ("receipt-keys.json", "/receipts/keys")):
            found = httpx.get(f"{self.seeded.base_url}{path}", timeout=30)
            found.raise_for_status()
            (self.folder / name).write_bytes(found.content)
        with zipfile.ZipFile(self.pack) as pack:
            entries = len(json.loads(pack.read("bundle.json"))["entries"])
            return f"{len(pack.namelist())} files, {entries} entries, without anyone's name in them"

    def _audit(self, path: str) -> httpx.Response:
        access = self.seeded.auditors[0]["access"]
        return httpx.get(
            f"{self.seeded.base_url}/v1/audit/{path}",
            headers={"Authorization": f"Bearer {access}"},
            timeout=60,
        )

    def _verifies(self) -> str:
        self.verifier = EmptyEnvironment.make(self.folder / "auditor")
        done = self._verify(self.pack)
        _expect(done.returncode == 0, f"`pds-verify` says: {done.stdout} {done.stderr}")
        alone = self._verify(self.pack, trusted=False)
        _expect(alone.returncode == 3, "without keys of one's own it is self-consistent only")  # noqa: PLR2004 - the exit status
        return "one file, Python and cryptography: every entry, receipt and read"

    def _tampers(self) -> str:
        data = self.pack.read_bytes()
        read = data.index(b'"event":"data.read"')
        at = data.rindex(b'"count":', 0, read) + len(b'"count":')
        changed = bytearray(data)
        changed[at] ^= 1
        path = self.folder / "tampered.zip"
        path.write_bytes(bytes(changed))
        done = self._verify(path)
        _expect(done.returncode == 1, f"a changed entry was not found: {done.stdout}")
        named = re.search(r"index (\d+) \S+ data\.read: inclusion", done.stdout)
        _expect(named is not None, f"the report names the entry: {done.stdout}")
        return f"byte {at} of the pack was changed, entry {named[1] if named else ''} is named"

    def _verifies_the_log(self) -> str:
        target = f"{self.seeded.base_url}/log"
        state = ["--state", str(self.folder / "verified.json")]
        first = self._verify(target, *state)
        _expect(first.returncode == 0, f"`pds-verify` says: {first.stdout} {first.stderr}")
        self.browser.get("/activity")
        again = self._verify(target, *state)
        _expect("extends size" in again.stdout, f"the log has grown from it: {again.stdout}")
        entries = json.loads((self.folder / "verified.json").read_bytes())["checkpoint"]
        return f"{entries.splitlines()[1]} entries, their tree grown again, cosigned by the witness"

    def _verify(
        self, target: Path | str, *options: str, trusted: bool = True
    ) -> subprocess.CompletedProcess[str]:
        keys = ["--vkey", str(self.folder / "vkeys")]
        keys += ["--receipt-key", str(self.folder / "receipt-keys.json")]
        keys += ["--policy", str(self.folder / POLICY_FILE)]
        return self.verifier.run(str(target), *options, *(keys if trusted else []))

    def _active_parties(self) -> list[dict[str, Any]]:
        return [party for party in self.crm.parties() if party["active"] and party["code"]]

    def _after_run(self) -> dict[str, Any]:
        self.connector.run("run", "--progress", "plain")
        found = self._active_parties()
        return found[0] if found else {}

    def _agreement_path(self) -> str:
        page = self.browser.get("/connections")
        after = page.text.partition(MARKET.name[0])
        # The card's link stands on one side or the other of the name.
        found = re.findall(r'href="(/connections/[0-9a-f-]{36})"', after[2])
        before = re.findall(r'href="(/connections/[0-9a-f-]{36})"', after[0])
        _expect(bool(found or before), "the connection is listed")
        return str(found[0] if found else before[-1])

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        # The feed is numbered and the log integrated within moments, by another thread.
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise StepFailedError(f"expected within {_SETTLE_SECONDS} s: {what}")
            time.sleep(0.3)


def _values(party: dict[str, Any]) -> list[str]:
    return [str(one.get("value")) for one in party.get("contact_mechanisms", [])]


def _postcodes(party: dict[str, Any]) -> list[str]:
    return [one["postal_code"] for one in party.get("addresses", []) if one.get("postal_code")]


def _link_to_record(page: Page, text: str) -> str:
    before = page.text.rpartition(text)[0]  # the last time that a row names it, in its link
    start = before.rfind('href="/vault/contact/')
    _expect(start >= 0, f"a link to the record of {text}")
    return before[start + len('href="') :].partition('"')[0]


def _expect(holds: bool, what: str) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise StepFailedError(f"expected: {what}")
