"""The place of the launch link in README.md."""

import unittest

from stack.problem import Problem

from . import readme
from .buckets import Bucket

TEXT = readme.README.read_text(encoding="utf-8")
BUCKETS = [Bucket("cn-north-1", "here", 1), Bucket("us-east-1", "there", 2)]
LINK = "https://here.s3.cn-north-1.amazonaws.com.cn/latest/index.html"


class Tests(unittest.TestCase):
    """Fills in the link."""

    def test_the_link_leads_to_the_launch_page_in_the_first_bucket(self):
        text = readme.with_link(TEXT, BUCKETS)
        self.assertEqual(1, text.count(f"**[Launch the stack]({LINK})**"))
        self.assertNotIn("There is no launch link", text)

    def test_the_place_is_on_the_first_screen_and_nothing_moves(self):
        lines, filled = TEXT.splitlines(), readme.with_link(TEXT, BUCKETS).splitlines()
        [changed] = [number for number, (old, new) in enumerate(zip(lines, filled, strict=True), 1) if old != new]
        self.assertLess(changed, 25)

    def test_the_next_release_replaces_the_link(self):
        text = readme.with_link(readme.with_link(TEXT, BUCKETS[1:]), BUCKETS)
        self.assertEqual(readme.with_link(TEXT, BUCKETS), text)

    def test_a_text_without_exactly_one_place_is_rejected(self):
        for text in ("nothing", TEXT + TEXT):
            with self.assertRaises(Problem):
                readme.with_link(text, BUCKETS)


if __name__ == "__main__":
    unittest.main()
