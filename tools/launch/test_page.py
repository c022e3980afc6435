"""Tests the launch page without a browser. The tests in browser/ load it in Chromium."""

import base64
import hashlib
import re
import unittest
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from release import buckets
from release.buckets import Bucket
from release.regions import regions

from .page import heading, render

EVERY_REGION = Path(__file__).parent / "browser" / "buckets.txt"


class Page(HTMLParser):
    """The elements of a rendered page."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.style = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "style" and not self.style:
            self.style = data

    def launches(self):
        """The regions of all launch links, in the order of the page."""
        found = [attributes["href"] for tag, attributes in self.elements if tag == "a"]
        return [parse_qs(urlsplit(href).query)["region"][0] for href in found if "/cloudformation/" in href]


class Tests(unittest.TestCase):
    """Each test renders its own page."""

    def test_the_most_used_regions_come_first_within_their_continent(self):
        names = ["af-south-1", "us-gov-west-1", "eu-west-3", "ca-central-1", "eu-west-1", "us-east-2", "us-east-1"]
        page = Page(render("1.2.3", [Bucket(name, f"b-{name}", 1) for name in names]))
        groups = ["us-east-1", "us-east-2", "ca-central-1", "eu-west-1", "eu-west-3", "af-south-1", "us-gov-west-1"]
        # The button at the top is the first link once more.
        self.assertEqual(["us-east-1", *groups], page.launches())

    def test_every_region_with_a_public_console_has_a_heading_and_is_in_the_list_for_the_browser(self):
        """A new region in botocore's data fails here until the page knows its continent."""
        public = {name for name, region in regions().items() if region.console}
        self.assertGreater(len(public), 38)
        for name in public:
            with self.subTest(name):
                self.assertTrue(heading(regions()[name]))
        self.assertEqual(public, {bucket.region for bucket in buckets.read(EVERY_REGION)})

    def test_a_region_without_a_public_console_has_no_link(self):
        page = Page(render("1.2.3", [Bucket("us-iso-east-1", "b-iso", 1), Bucket("eu-west-1", "b-eu", 2)]))
        self.assertEqual(["eu-west-1", "eu-west-1"], page.launches())

    def test_a_page_without_buckets_says_so(self):
        text = render("1.2.3", [])
        self.assertEqual([], Page(text).launches())
        self.assertIn("This page has no launch links", text)

    def test_one_region_needs_no_second_button(self):
        self.assertNotIn("All regions", render("1.2.3", [Bucket("eu-west-1", "b-eu", 1)]))

    def test_the_policy_allows_exactly_this_style_and_the_icon(self):
        page = Page(render("1.2.3", [Bucket("eu-west-1", "b-eu", 1)]))
        policy = next(found["content"] for tag, found in page.elements if found.get("http-equiv"))
        digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
        directives = ["default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:"]
        self.assertEqual([*directives, "base-uri 'none'", "form-action 'none'"], policy.split("; "))

    def test_nothing_in_the_page_can_load_or_run(self):
        page = Page(render("1.2.3", buckets.read(EVERY_REGION)))
        allowed = {("a", "href"), ("link", "href")}
        for tag, attributes in page.elements:
            self.assertNotIn(tag, {"script", "iframe", "object", "embed", "img", "form", "base"})
            for name, value in attributes.items():
                self.assertFalse(name.startswith("on") or name in {"src", "srcset", "style"}, (tag, name))
                if name == "href":
                    self.assertIn((tag, name), allowed)
                    self.assertRegex(value, r"^data:image/svg\+xml," if tag == "link" else r"^(https://|#)")
        self.assertIsNone(re.search(r"url\(|@import", page.style))

    def test_values_are_escaped(self):
        self.assertIn("1.2.3+&lt;b&gt;", render("1.2.3+<b>", []))


if __name__ == "__main__":
    unittest.main()
