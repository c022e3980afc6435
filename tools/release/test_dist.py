"""Damages a dist/ in many ways, and expects the check to name the file."""

import hashlib
import tempfile
import unittest
import zipfile
from pathlib import Path

from stack.problem import Problem

from . import dist, names

VERSION = "0.1.0"


def sums(files, binary):
    """The text of SHA256SUMS."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in (files | {names.BINARY: binary}).items()}
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


class Tests(unittest.TestCase):
    """Each test has its own folder, which is correct at first."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.binary = b"the function"
        self.files = {name: name.encode() for name in (names.TEMPLATE, names.PAGE, names.SBOM, names.NOTES)}
        self.zip = self.add_zip({names.BINARY: self.binary})
        self.write()

    def add_zip(self, entries):
        path = self.folder / "zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        content = path.read_bytes()
        path.unlink()
        name = names.zip_name(VERSION, hashlib.sha256(content).hexdigest())
        self.files[name] = content
        return name

    def write(self):
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        (self.folder / names.SUMS).write_text(sums(self.files, self.binary), encoding="utf-8")

    def expect(self, *expected):
        with self.assertRaises(Problem) as raised:
            dist.read(self.folder)
        for text in expected:
            self.assertIn(text, raised.exception.what)

    def test_a_correct_folder_is_read(self):
        found = dist.read(self.folder)
        self.assertEqual((VERSION, self.zip), (found.version, found.zip))
        self.assertEqual(sorted([*self.files, names.SUMS]), found.names())
        self.assertNotIn(names.BINARY, found.digests)
        self.assertEqual(self.files[names.PAGE], found.path(names.PAGE).read_bytes())

    def test_a_changed_byte_in_any_file_is_named(self):
        for name, content in self.files.items():
            for position in (0, len(content) // 2, len(content) - 1):
                with self.subTest(name, position=position):
                    changed = bytearray(content)
                    changed[position] ^= 1
                    (self.folder / name).write_bytes(changed)
                    self.expect(f"{self.folder / name}: its SHA-256 is not the one in SHA256SUMS.")
                    (self.folder / name).write_bytes(content)

    def test_a_changed_byte_in_the_checksums_is_named(self):
        path = self.folder / names.SUMS
        text = path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            name = line.split()[1]
            changed = ("0" if line[0] != "0" else "1") + line[1:]
            with self.subTest(name):
                path.write_text(text.replace(line, changed), encoding="utf-8")
                self.expect(name)
                path.write_text(text.replace(line, line.replace("  ", " ")), encoding="utf-8")
                self.expect(f"SHA256SUMS:{number}: this is not a SHA-256")

    def test_all_mismatches_are_named_at_once(self):
        for name in (names.TEMPLATE, names.PAGE):
            (self.folder / name).write_bytes(b"x")
        self.expect(names.TEMPLATE, names.PAGE)

    def test_missing_and_additional_files_are_named(self):
        (self.folder / names.SBOM).unlink()
        (self.folder / "notes.txt").touch()
        missing, additional = self.folder / names.SBOM, self.folder / "notes.txt"
        self.expect(f"{missing}: the file is missing.", f"{additional}: SHA256SUMS does not list this file.")

    def test_a_file_that_the_checksums_do_not_list_is_named(self):
        for name in (names.TEMPLATE, names.BINARY, self.zip):
            path = self.folder / names.SUMS
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            with self.subTest(name):
                path.write_text("".join(line for line in lines if not line.endswith(f"  {name}\n")), encoding="utf-8")
                self.expect("must list one coiled-" if name == self.zip else f"SHA256SUMS does not list {name}.")
                path.write_text("".join(lines), encoding="utf-8")

    def test_a_name_that_is_listed_twice_is_named(self):
        path = self.folder / names.SUMS
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join([*lines, lines[0]]), encoding="utf-8")
        self.expect(f"SHA256SUMS:{len(lines) + 1}: {lines[0].split()[1]} is listed twice.")

    def test_the_zip_must_contain_exactly_the_binary_of_the_checksums(self):
        for entries, expected in (
            ({names.BINARY: b"another"}, "the SHA-256 of bootstrap in it is not the one"),
            ({names.BINARY: self.binary, "more": b""}, "contains bootstrap, more instead of bootstrap alone"),
            ({}, "contains nothing instead of"),
        ):
            with self.subTest(entries):
                (self.folder / self.zip).unlink()
                del self.files[self.zip]
                self.zip = self.add_zip(entries)
                self.write()
                self.expect(expected)

    def test_a_file_that_is_no_zip_is_named(self):
        self.files[self.zip] = b"no zip"
        self.write()
        self.expect("cannot read the zip", "must contain the beginning of its SHA-256")

    def test_without_checksums_the_command_that_makes_them_is_named(self):
        (self.folder / names.SUMS).unlink()
        with self.assertRaises(Problem) as raised:
            dist.read(self.folder)
        self.assertEqual("Run make release first.", raised.exception.fix)


if __name__ == "__main__":
    unittest.main()
