"""How many statements a page takes: few, and no more when there is more to show."""

from __future__ import annotations

from pds.records import Draft
from tests.browser import pages
from tests.support.life import live
from tests.support.statements import recorded
from tests.support.web_browser import WebBrowser
from tests.support.worlds import world_on

AT_MOST = 30
# It takes in what was pushed, writes down that it was shown, and knows every rule of the template.
AT_MOST_TO_ASK = 50


def counted(browser, path):
    """Return how many statements a page takes."""
    with recorded(browser.world) as found:
        answer = browser.follow(browser.get(path))
    assert answer.status == 200, path
    return len(found.reads) + sum(map(len, found.jobs))


def test_every_page_takes_few_statements_however_much_there_is_to_show(stores):
    with stores.migrated("sqlite") as store, world_on(store) as world:
        life = live(world, world.issuer)
        browser = WebBrowser(world)
        browser.sign_in("aysel")
        listed = pages.own(life)
        asking = listed.pop("authorize.show")
        paths = [path for several in listed.values() for path in several]
        few = {path: counted(browser, path) for path in paths}
        life.aysel.records.save_all(
            [Draft("contact", {"email": f"number{number}@poct.example"}) for number in range(60)],
            event="records.imported",
        )

        assert {path: count for path, count in few.items() if count > AT_MOST} == {}
        assert [counted(browser, path) <= AT_MOST_TO_ASK for path in asking] == [True] * len(asking)
        more = {path: counted(browser, path) for path in paths}
        assert {path: count for path, count in more.items() if count > few[path]} == {}
