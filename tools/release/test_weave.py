"""Weaves small texts together."""

import unittest

from .weave import Wrong, remove, weave

TEXT = """\
# About the text.
One: 1

# About the mapping.
Two:
  a: {x: 1}
  # About b.
  b: >-
    several

    lines
  # After b, and part of c.
  c:
    - first  # a comment
    # Inside the last item.
    - second: 2
      third: 3

Three: {}
"""
# One of its entries.
B = TEXT[TEXT.index("  # About b.") : TEXT.index("  # After b")]


class Tests(unittest.TestCase):
    """Everything that is not added or removed remains as it is."""

    def expect(self, addition, old, new):
        self.assertEqual(1, TEXT.count(old), old)
        self.assertEqual(TEXT.replace(old, new), weave(TEXT, addition))

    def test_a_new_entry_is_put_in_front_of_the_next_one_that_both_have(self):
        addition = "Two:\n  # New.\n  aa: 5\n" + B
        self.expect(addition, B, "  # New.\n  aa: 5\n" + B)

    def test_a_new_entry_without_a_following_one_is_put_at_the_end(self):
        self.expect("Two:\n  # New.\n  d: 5\n", "      third: 3\n", "      third: 3\n  # New.\n  d: 5\n")

    def test_new_entries_keep_their_order(self):
        self.expect("Two:\n  e: 5\n  d: 5\n", "      third: 3\n", "      third: 3\n  e: 5\n  d: 5\n")

    def test_blank_lines_separate_new_entries_if_they_separate_the_others(self):
        self.expect("Four: 4\n\nThree: 3\n", "Three: {}\n", "Four: 4\n\nThree: 3\n")
        self.expect("Four: 4\nFive: 5\n", "Three: {}\n", "Three: {}\n\nFour: 4\n\nFive: 5\n")

    def test_items_are_added_to_a_sequence(self):
        item = "    # New.\n    - fourth: 4\n"
        self.expect("Two:\n  c:\n" + item, "third: 3\n", "third: 3\n" + item)

    def test_any_other_entry_is_replaced_together_with_its_comment(self):
        self.expect("Two:\n  a: 5\n", "  a: {x: 1}\n", "  a: 5\n")
        self.expect("Two:\n  # New.\n  b: 5\n", B, "  # New.\n  b: 5\n")

    def test_an_entry_is_removed_together_with_its_comment(self):
        self.assertEqual(TEXT.replace(B, ""), remove(TEXT, ("Two", "b")))
        last = TEXT[TEXT.index("  # After b") : TEXT.index("\nThree")]
        self.assertEqual(TEXT.replace(last, ""), remove(TEXT, ("Two", "c")))

    def test_an_entry_that_is_missing_cannot_be_removed(self):
        for path in (("Zero",), ("Two", "z"), ("Zero", "b")):
            with self.subTest(path), self.assertRaises(Wrong) as raised:
                remove(TEXT, path)
            self.assertIn(f"no entry {path[-1] if path[0] == 'Two' else 'Zero'}.", str(raised.exception))


if __name__ == "__main__":
    unittest.main()
