"""Makes a dist/ from a small binary, damages it, and checks the commands before and after the build."""

import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from io import BytesIO
from pathlib import Path

from samcli.yamlhelper import yaml_parse
from stack.problem import Problem

from . import archive, dist, make, names, notes, sbom
from .buckets import Bucket

BINARY = b"the function"
MADE = make.Built(BINARY, "{}\n")
BUCKETS = [Bucket("us-east-1", "here", 1)]
TOOLS = Path(__file__).parent.parent


class Zip(unittest.TestCase):
    """The zip."""

    def test_its_bytes_are_fixed(self):
        """If another version of Python writes other bytes, releases that were made with it cannot be verified."""
        digest = hashlib.sha256(archive.zipped(BINARY)).hexdigest()
        self.assertEqual("3a83a9b4e5678039757519a5a9971dff45595058c24953d5a47996ba623ae430", digest)

    def test_lambda_can_run_what_it_contains(self):
        with zipfile.ZipFile(BytesIO(archive.zipped(BINARY))) as found:
            [entry] = found.infolist()
            self.assertEqual(BINARY, found.read(entry))
        self.assertEqual(("bootstrap", 3, 0o100755), (entry.filename, entry.create_system, entry.external_attr >> 16))
        self.assertEqual(((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED), (entry.date_time, entry.compress_type))


class Files(unittest.TestCase):
    """The files of dist/."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = Path(place.name, "dist")
        self.contents = make.files(MADE, BUCKETS)

    def test_they_match_their_checksums(self):
        make.write(self.contents, self.folder)
        found = dist.read(self.folder)
        self.assertEqual(sorted(self.contents), found.names())
        self.assertEqual(names.version(), found.version)

    @unittest.skipUnless(shutil.which("sha256sum"), "this machine has no sha256sum")
    def test_sha256sum_accepts_the_checksums(self):
        make.write(self.contents, self.folder)
        (self.folder / names.BINARY).write_bytes(BINARY)
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", names.SUMS], cwd=self.folder, check=True)

    def test_the_template_and_the_notes_have_the_hash_that_lambda_shows(self):
        [code] = [name for name in self.contents if name.endswith(".zip")]
        digest = base64.b64encode(hashlib.sha256(self.contents[code]).digest()).decode()
        tree = yaml_parse(self.contents[names.TEMPLATE].decode())
        self.assertEqual(digest, tree["Resources"]["FunctionVersion"]["Properties"]["CodeSha256"])
        row = f"| `{code}` | `CodeSha256` of a deployed function | `{digest}` |"
        self.assertIn(row, self.contents[names.NOTES].decode())
        self.assertIn(names.key(names.version(), code), self.contents[names.TEMPLATE].decode())

    def test_the_page_and_the_template_name_the_buckets(self):
        for name in (names.PAGE, names.TEMPLATE):
            self.assertIn("here", self.contents[name].decode())

    def test_a_new_release_replaces_the_folder(self):
        make.write({"old": b""}, self.folder)
        make.write(self.contents, self.folder)
        self.assertEqual(sorted(self.contents), sorted(path.name for path in self.folder.iterdir()))
        self.assertEqual([self.folder], list(self.folder.parent.iterdir()))

    def test_a_release_that_cannot_be_written_keeps_the_old_one(self):
        make.write({"old": b"1"}, self.folder)
        with self.assertRaises(OSError):
            make.write({"new": b"", "folder/that/is/missing": b""}, self.folder)
        self.assertEqual(["old"], [path.name for path in self.folder.iterdir()])
        self.assertEqual([self.folder], list(self.folder.parent.iterdir()))

    def test_a_byte_that_differs_in_any_file_is_named(self):
        for name, content in self.contents.items():
            changed = bytearray(content)
            changed[-1] ^= 1
            with self.subTest(name):
                found = list(make.differences(self.contents | {name: bytes(changed)}, self.contents))
                expected = f"{name}: a new build makes different bytes, from byte {len(content) - 1} on."
                self.assertEqual([expected], found)
        self.assertEqual([], list(make.differences(self.contents, self.contents)))

    def test_a_longer_file_a_missing_and_an_additional_one_are_named(self):
        found = list(make.differences({"a": b"12", "b": b""}, {"a": b"1", "c": b""}))
        self.assertEqual([
            "a: a new build makes different bytes, from byte 1 on.",
            "b: a new build does not make this file.",
            "c: a new build makes this file, but it is missing.",
        ], found)


class Notes(unittest.TestCase):
    """The release's part of the changelog."""

    TEXT = (
        "# Changelog\n\nAbout.\n\n## [Unreleased]\n\n### Added\n\n- new\n\n"
        "## [1.0.0] - 2026-01-01\n\n- one\n\n## [0.9.0]\n\n- old\n"
    )

    def test_a_tagged_release_has_its_own_part(self):
        text = notes.render("1.0.0", [], self.TEXT)
        self.assertIn("# Coiled AWS stack 1.0.0\n\n## Changes\n\n- one\n\n## The function's code", text)

    def test_before_the_tag_the_part_is_named_unreleased(self):
        self.assertIn("## Changes\n\n### Added\n\n- new\n\n##", notes.render("1.1.0", [], self.TEXT))

    def test_a_changelog_without_the_part_is_rejected(self):
        for text in ("# Changelog\n", "## [Unreleased]\n\n## [0.9.0]\n\n- old\n"):
            with self.assertRaises(Problem):
                notes.render("1.0.0", [], text)


class Sbom(unittest.TestCase):
    """What remains of cargo-cyclonedx's list."""

    DOCUMENT = {
        "bomFormat": "CycloneDX",
        "metadata": {
            "timestamp": "1970-01-01T00:00:00Z",
            "component": {"bom-ref": "path+file:///src#program@1.0.0", "name": "bootstrap", "version": "1.0.0"},
        },
        "components": [{"bom-ref": name, "name": name, "version": "1.0.0"} for name in ("ring", "serde")],
        "dependencies": [
            {"ref": "path+file:///src#program@1.0.0", "dependsOn": ["ring", "serde"]},
            {"ref": "ring"},
            {"ref": "serde", "dependsOn": ["ring"]},
        ],
    }
    COMPILED = {("serde", "1.0.0"), ("program", "1.0.0")}

    def test_only_crates_that_are_compiled_remain(self):
        found = sbom.adjusted(self.DOCUMENT, self.COMPILED, BINARY)
        self.assertEqual(["serde"], [each["name"] for each in found["components"]])
        expected = [{"ref": "path+file:///src#program@1.0.0", "dependsOn": ["serde"]}, {"ref": "serde"}]
        self.assertEqual(expected, found["dependencies"])

    def test_it_has_the_hash_of_the_binary_and_no_time(self):
        metadata = sbom.adjusted(self.DOCUMENT, self.COMPILED, BINARY)["metadata"]
        hashes = [{"alg": "SHA-256", "content": hashlib.sha256(BINARY).hexdigest()}]
        self.assertEqual(hashes, metadata["component"]["hashes"])
        self.assertNotIn("timestamp", metadata)

    def test_a_crate_that_is_missing_is_named(self):
        with self.assertRaises(Problem) as raised:
            sbom.adjusted(self.DOCUMENT, self.COMPILED | {("serde", "2.0.0")}, BINARY)
        self.assertIn("serde 2.0.0", raised.exception.what)


class Commands(unittest.TestCase):
    """What the commands reject before they build. There is no compiler on PATH."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        for name in ("Cargo.toml", "template.yaml", "rust-toolchain.toml", "CHANGELOG.md"):
            shutil.copy(name, self.place)

    def expect(self, code, texts, *words, **environment):
        environment = {"PATH": "/nowhere", "HOME": str(self.place), "PYTHONPATH": str(TOOLS.absolute())} | environment
        command = [sys.executable, "-m", "release", *words]
        done = subprocess.run(command, cwd=self.place, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(code, done.returncode, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)

    def test_a_wrong_list_of_buckets_leaves_dist_as_it_is(self):
        make.write(make.files(MADE, BUCKETS), self.place / "dist")
        before = (self.place / "dist" / names.SUMS).read_bytes()
        (self.place / "list").write_text("us-east-1 one\nus-east-1 two\neu-east-7 three\n", encoding="utf-8")
        for command in ("release", "verify"):
            expected = ["list:2: us-east-1 is already on line 1.", "list:3: eu-east-7 is not an AWS region."]
            self.expect(2, [*expected, "Each line is REGION BUCKET"], command, BUCKETS="list")
        self.assertEqual(before, (self.place / "dist" / names.SUMS).read_bytes())

    def test_a_mistake_in_a_text_is_found_before_the_build(self):
        (self.place / "CHANGELOG.md").write_text("# Changelog\n", encoding="utf-8")
        self.expect(1, ["CHANGELOG.md has no part"], "release")

    def test_a_dist_that_does_not_match_its_checksums_is_not_verified(self):
        self.expect(1, ["dist has no SHA256SUMS.", "Run make release first."], "verify")
        make.write(make.files(MADE, BUCKETS), self.place / "dist")
        (self.place / "dist" / names.PAGE).write_text("other", encoding="utf-8")
        self.expect(1, ["dist/index.html: its SHA-256 is not the one in SHA256SUMS."], "verify")

    def test_a_program_that_is_missing_is_named(self):
        self.expect(1, ["git is not installed.", "docs/development.md lists"], "release")

    def test_the_launch_link_needs_the_list_of_buckets(self):
        self.expect(2, ["BUCKETS is missing."], "link")

    def test_an_unknown_command_is_rejected(self):
        self.expect(2, ["Expected one of these: release, verify, link, build."], "publish")


if __name__ == "__main__":
    unittest.main()
