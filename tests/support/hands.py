"""How a person presses what a page offers: with a mouse, or by keyboard alone."""

from __future__ import annotations

import itertools
import re

_MOST_KEYS = 150
_HAS_FOCUS = "each => each === document.activeElement"
_IN_ITS_GROUP = "each => each.name === document.activeElement.name"


class Mouse:
    """Points and clicks."""

    def __init__(self, page):
        self.page = page

    def press(self, selector):
        """Press a button, a link, or a box."""
        self.page.locator(selector).first.click()

    def take(self, selector):
        """Press what leads to a file; returns where it was saved."""
        with self.page.expect_download() as coming:
            self._strike(selector)
        return coming.value.path()

    def _strike(self, selector):
        self.page.locator(selector).first.click()

    def type(self, selector, text):
        """Type into a field."""
        self.page.locator(selector).first.fill(text)

    def pick(self, selector):
        """Pick one of several."""
        self.page.locator(selector).first.check()

    def choose(self, selector, label):
        """Choose from a list, by the text of the option."""
        self.page.locator(selector).first.select_option(label=label)


class Keyboard(Mouse):
    """Goes from one thing to the next by Tab, and presses it with a key."""

    def _strike(self, selector):
        self._focus(selector)
        self.page.keyboard.press("Enter")

    def press(self, selector):
        target = self._focus(selector)
        kind = target.evaluate("each => each.type || each.tagName")
        if kind in {"checkbox", "radio"}:
            self.page.keyboard.press("Space")
            return
        # What follows would be typed into the page that is being left.
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def pick(self, selector):
        # One of a group is a stop for Tab; arrows go from there to the others.
        target = self.page.locator(selector).first
        self._go_to(target, _IN_ITS_GROUP, "Tab")
        self._go_to(target, _HAS_FOCUS, "ArrowDown")
        self.page.keyboard.press("Space")

    def type(self, selector, text):
        self._focus(selector)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def choose(self, selector, label):
        self._focus(selector)
        # As browsers do it: what is typed picks the option that begins with it.
        self.page.keyboard.type(re.split(r"[ (]", label)[0])

    def _focus(self, selector):
        target = self.page.locator(selector).first
        return self._go_to(target, _HAS_FOCUS, "Tab")

    def _go_to(self, target, is_there, key):
        target.wait_for()
        for _ in itertools.repeat(None, _MOST_KEYS):
            if target.evaluate(is_there):
                return target
            self.page.keyboard.press(key)
        raise AssertionError(f"{key} does not lead to {target}")
