"""What the build sees of its environment, and that paths do not change its result."""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

from stack import build as of_stack
from stack.problem import Problem

from . import build, verify

HARMLESS = {
    "PATH": "/bin",
    "HOME": "/home/a",
    "CARGO_HOME": "/cargo",
    "CARGO_HTTP_CAINFO": "/authority.pem",
    "CARGO_REGISTRIES_CRATES_IO_PROTOCOL": "sparse",
    "RUSTUP_HOME": "/rustup",
    "https_proxy": "http://proxy",
}
HARMFUL = """
    RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET CARGO_PROFILE_RELEASE_LTO RUSTC_WRAPPER
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS CARGO_INCREMENTAL RUSTUP_TOOLCHAIN RUSTC RUSTC_BOOTSTRAP CC CFLAGS
    CFLAGS_x86_64_unknown_linux_gnu LDFLAGS AWS_LC_SYS_CFLAGS SOURCE_DATE_EPOCH ZIG_LOCAL_CACHE_DIR CARGO_LAMBDA_TARGET
""".split()

# The panic's message contains a path of each kind: the crate's own, the target's and that of a dependency.
MAIN = """
include!(concat!(env!("OUT_DIR"), "/generated.rs"));
fn main() { dependency::fail(); generated(); panic!() }
"""
BUILD = """
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(out + "/generated.rs", "fn generated() { println!(\\"{}\\", file!()) }").unwrap();
}
"""
DEPENDENCY = "#[inline(never)] pub fn fail() { if std::env::args().count() > 3 { panic!() } }\n"


def write(folder, files):
    """Writes files into a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


class Environment(unittest.TestCase):
    """The variables of a build."""

    def test_only_variables_that_cannot_change_the_result_are_kept(self):
        kept = build.clean(HARMLESS | {name: "x" for name in HARMFUL})
        self.assertEqual(HARMLESS.keys(), kept.keys())
        self.assertEqual(HARMLESS, kept | {"PATH": HARMLESS["PATH"]})

    def test_cargo_lambda_and_zig_come_from_sams_environment(self):
        self.assertEqual(f"{Path(sys.executable).parent.absolute()}:/bin", build.clean(HARMLESS)["PATH"])

    def test_another_compiler_is_rejected(self):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write(folder, {
                "rust-toolchain.toml": '[toolchain]\nchannel = "1.2.3"\n',
                "rustc": '#!/bin/sh\nprintf "%s\\nhost: %s\\n" "$RUSTC" "$HOST"\n',
            })
            (folder / "rustc").chmod(0o700)
            environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOST": build.TARGET}
            build.check_rustc(folder, environment | {"RUSTC": "rustc 1.2.3 (abc 2026-01-01)"})
            for version in ("rustc 1.2.30 (abc 2026-01-01)", "rustc 1.2.3-nightly (abc 2026-01-01)"):
                with self.subTest(version), self.assertRaises(Problem) as raised:
                    build.check_rustc(folder, environment | {"RUSTC": version})
                self.assertEqual(f"A release needs rustc 1.2.3, but this is {version}.", raised.exception.what)
                self.assertEqual("Run rustup toolchain install 1.2.3 --profile minimal", raised.exception.fix)

            with self.assertRaises(Problem) as raised:
                version = {"RUSTC": "rustc 1.2.3 (abc 2026-01-01)", "HOST": "aarch64-apple-darwin"}
                build.check_rustc(folder, environment | version)
            self.assertIn("only on x86_64-unknown-linux-gnu. This machine's rustc says: host: aarch64-apple-darwin",
                          raised.exception.what)

    def test_make_deploy_builds_with_the_same_settings(self):
        with mock.patch.object(of_stack, "_run") as run:
            of_stack.build(mock.MagicMock())
        [words, environment, _] = run.call_args.args
        self.assertEqual((["build"], build.flags(Path(), build.clean(os.environ))), (words, environment))
        self.assertIn(f"--remap-path-prefix={Path.cwd()}=/src", environment["CARGO_ENCODED_RUSTFLAGS"])

    def test_a_binary_with_a_path_of_this_machine_is_rejected(self):
        build.check_paths(b"/src/main.rs", [Path("/home/a/project"), Path("/home/a/.cargo")])
        with self.assertRaises(Problem) as raised:
            build.check_paths(b"x/home/a/.cargo/registry", [Path("/home/a/project"), Path("/home/a/.cargo")])
        self.assertIn("The binary contains /home/a/.cargo,", raised.exception.what)


class Toolchain(unittest.TestCase):
    """The pinned compiler."""

    def test_every_workflow_installs_the_pinned_compiler(self):
        toolchain = tomllib.loads(Path("rust-toolchain.toml").read_text(encoding="utf-8"))["toolchain"]
        # For a component or a target in this file, rustup would download something.
        self.assertEqual(["channel"], list(toolchain))
        texts = [path.read_text(encoding="utf-8") for path in Path(".github/workflows").glob("*.yml")]
        installed = [version for text in texts for version in re.findall(r'^  RUST: "(.+)"', text, re.MULTILINE)]
        self.assertEqual({toolchain["channel"]}, set(installed))
        self.assertEqual(len([text for text in texts if '"$RUST"' in text]), len(installed))


class Paths(unittest.TestCase):
    """Builds a small program in several folders."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name).resolve()

    def built(self, name, options=None, **other):
        """Builds the program in a folder of its own, and its dependency in a folder as if it was downloaded."""
        source, crates = self.place / name / "a b", self.place / name / "crates"
        manifest = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2024"\n'
        source_of_crates = f'[source.crates-io]\nreplace-with = "here"\n[source.here]\ndirectory = "{crates}"\n'
        write(source, {
            "Cargo.toml": manifest.format("program") + '[dependencies]\ndependency = "0.1"\n',
            "src/main.rs": MAIN,
            "build.rs": BUILD,
            ".cargo/config.toml": source_of_crates,
        })
        write(crates / "dependency-0.1.0", {
            "Cargo.toml": manifest.format("dependency"),
            "src/lib.rs": DEPENDENCY,
            ".cargo-checksum.json": '{"files": {}, "package": "' + "0" * 64 + '"}',
        })
        home = self.place / name / "home"
        home.mkdir()
        rustup = {"RUSTUP_HOME": os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")}
        environment = build.clean(dict(os.environ)) | rustup | {"HOME": str(home), "CARGO_HOME": str(home)} | other
        subprocess.run(["cargo", "generate-lockfile", "--offline", "--quiet"], cwd=source, env=environment, check=True)
        environment |= build.flags(source, environment) if options is None else options
        subprocess.run(["cargo", "build", "--quiet"], cwd=source, env=environment, check=True)
        target = Path(environment.get("CARGO_TARGET_DIR", source / "target"))
        return (target / "debug/program").read_bytes()

    def test_another_folder_home_target_and_time_zone_give_the_same_bytes(self):
        first = self.built("first")
        self.assertNotIn(os.fsencode(self.place), first)
        self.assertEqual(first, self.built("second and longer", TZ="Asia/Kathmandu"))
        self.assertEqual(first, self.built("third", CARGO_TARGET_DIR=str(self.place / "another target")))

    def test_without_the_mapping_the_binary_contains_the_path(self):
        self.assertIn(os.fsencode(self.place), self.built("first", options={}))


class Elsewhere(unittest.TestCase):
    """The place of the second build."""

    def test_it_has_the_files_that_git_knows_and_folders_of_its_own(self):
        with tempfile.TemporaryDirectory() as place:
            source = Path(place, "source")
            write(source, {"known": "changed", "deep/known": "", "unknown": "", "deleted": ""})
            git = ["git", "-C", str(source)]
            subprocess.run([*git, "init", "--quiet"], check=True)
            subprocess.run([*git, "add", "known", "deep/known", "deleted"], check=True)
            (source / "deleted").unlink()
            write(Path(place), {"cargo/config.toml": "[net]\n"})
            environment = {"HOME": place, "CARGO_HOME": f"{place}/cargo", "CARGO_TARGET_DIR": "target", "TZ": "UTC"}
            with verify.elsewhere(source, environment) as (copy, other):
                found = sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file())
                self.assertEqual(["deep/known", "known"], found)
                self.assertEqual("changed", (copy / "known").read_text(encoding="utf-8"))
                self.assertEqual("[net]\n", Path(other["CARGO_HOME"], "config.toml").read_text(encoding="utf-8"))
                for name in ("HOME", "CARGO_HOME", "TZ"):
                    self.assertNotEqual(environment[name], other[name])
                # rustup's compilers stay where they are.
                self.assertEqual(f"{place}/.rustup", other["RUSTUP_HOME"])
                self.assertNotIn("CARGO_TARGET_DIR", other)


if __name__ == "__main__":
    unittest.main()
