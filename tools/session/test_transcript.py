"""Checks what the page of the session shows instead of what differs each time."""

import tempfile
import unittest
from pathlib import Path

from . import transcript

EVENTS = ("  10:00:01  TokenSecret            CREATE_COMPLETE", "  10:00:02  FunctionRole           CREATE_COMPLETE")


class Page(unittest.TestCase):
    """The page, and how it is compared."""

    def page(self, *lines):
        """A transcript of one command that printed these lines."""
        found = transcript.Transcript()
        found.section("Deploy", "A text.")
        found.command("make deploy", "\n".join(lines))
        return found

    def difference(self, old, new):
        """How the page of an old transcript differs from a new one."""
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder, "session.md")
            page.write_text(old.page(), encoding="utf-8")
            return transcript.difference(page, new)

    def test_what_differs_each_time_is_replaced(self):
        for printed, shown in (
            ("http://127.0.0.1:49152", "http://127.0.0.1:8000"),
            (EVENTS[0], "  12:00:00  TokenSecret            CREATE_COMPLETE"),
            ("UPDATE_COMPLETE since 2031-03-04 05:06", "UPDATE_COMPLETE since 2026-01-01 12:00"),
            ("AKIAABCDEFGHIJKLMNOP, Active", "AKIAIOSFODNN7EXAMPLE, Active"),
            ("make: *** [Makefile:142: deploy] Error 1", "make: *** [Makefile:1: deploy] Error 1"),
        ):
            self.assertEqual(shown, transcript.with_examples(printed))

    def test_the_order_of_events_is_not_compared(self):
        self.assertEqual("", self.difference(self.page("a", *EVENTS, "b"), self.page("a", *reversed(EVENTS), "b")))

    def test_every_other_change_is_a_difference(self):
        old = self.page("a", *EVENTS, "b")
        for lines in (("a", *EVENTS), ("a", EVENTS[0], "b"), ("b", *EVENTS, "a"), ("a", *EVENTS, "b", "c")):
            self.assertNotEqual("", self.difference(old, self.page(*lines)))

    def test_a_missing_page_is_a_difference(self):
        self.assertNotEqual("", transcript.difference(Path("/nonexistent"), self.page("a")))
