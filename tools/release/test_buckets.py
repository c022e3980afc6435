"""Mistakes in a list of buckets, and what the list may contain."""

import tempfile
import unittest
from pathlib import Path

from stack.problem import Misuse

from . import buckets, names
from .buckets import Bucket

# A list, and what its problem must contain.
WRONG = [
    ("us-east-1 one\n\nus-east-1 two\n", "list:3: us-east-1 is already on line 1."),
    ("us-east-1 one\nus-east-2 one\n", "list:2: the bucket one is already on line 1"),
    ("# comment\neu-centrl-1 one\n", "list:2: eu-centrl-1 is not an AWS region. Did you mean eu-central-1?"),
    ("US-EAST-1 one\n", "list:1: US-EAST-1 is not an AWS region."),
    ("aws-global one\n", "list:1: aws-global is not an AWS region."),
    ("us-east-1\n", "list:1: us-east-1 has no bucket."),
    ("us-east-1 # one\n", "list:1: us-east-1 has no bucket."),
    ("us-east-1 one two\n", "list:1: expected a region and a bucket, but found 3 words: us-east-1 one two"),
    ("us-east-1 My-Bucket\n", "list:1: My-Bucket is not a valid name"),
    ("us-east-1 s3://one\n", "list:1: s3://one is not a valid name"),
    ("us-east-1 ab\n", "list:1: ab is not a valid name"),
    (f"us-east-1 {'a' * 64}\n", "is not a valid name"),
    ("us-east-1 -one\n", "list:1: -one is not a valid name"),
    ("us-east-1 one--x-s3\n", "list:1: one--x-s3 is not a valid name"),
    ("us-east-1 my.bucket\n", "list:1: my.bucket contains a dot."),
    ("", "list: no bucket is listed."),
    ("# nothing\n\n", "list: no bucket is listed."),
    # All problems at once.
    ("us-east-1\neu-west-9 one\n", "list:1: us-east-1 has no bucket.\nlist:2: eu-west-9 is not"),
]


class Tests(unittest.TestCase):
    """Reads lists."""

    def test_every_mistake_names_the_file_and_the_line(self):
        for text, expected in WRONG:
            with self.subTest(text), self.assertRaises(Misuse) as raised:
                buckets.parse(text, "list")
            self.assertIn(expected, raised.exception.what)

    def test_comments_blank_lines_tabs_and_windows_line_ends_are_allowed(self):
        found = buckets.parse("# all\r\n\r\nus-east-1\tone # first\r\n  eu-west-1   two\r\n", "list")
        self.assertEqual([Bucket("us-east-1", "one", 3), Bucket("eu-west-1", "two", 4)], found)

    def test_two_partitions_may_have_buckets_with_the_same_name(self):
        self.assertEqual(2, len(buckets.parse("us-east-1 one\ncn-north-1 one\n", "list")))

    def test_a_file_that_cannot_be_read_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            binary = Path(folder, "binary")
            binary.write_bytes(b"\xff\xfe\x00")
            for path, reason in ((Path(folder, "none"), "No such file"), (binary, "not a text file")):
                with self.assertRaises(Misuse) as raised:
                    buckets.read(path)
                self.assertIn(f"{path}: ", raised.exception.what)
                self.assertIn(reason, raised.exception.what)

    def test_a_url_names_the_bucket_its_region_and_the_partitions_suffix(self):
        key = names.key("0.1.0", names.TEMPLATE)
        url = names.url(Bucket("eu-west-1", "one", 1), key)
        self.assertEqual("https://one.s3.eu-west-1.amazonaws.com/releases/0.1.0/coiled.template.yaml", url)
        self.assertIn("//one.s3.cn-north-1.amazonaws.com.cn/", names.url(Bucket("cn-north-1", "one", 1), key))


if __name__ == "__main__":
    unittest.main()
