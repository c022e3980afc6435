"""Reads dist/, and checks it against its checksums."""

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from stack.problem import Problem

from . import names

_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._-]+)")
_ZIP = re.compile(r"coiled-(?P<version>.+)-[0-9a-f]{16}\.zip")
_REQUIRED = (names.TEMPLATE, names.SBOM, names.PAGE, names.NOTES, names.BINARY)
_AGAIN = "Nothing was changed. Run make release again, which replaces the whole folder."


@dataclass(frozen=True)
class Dist:
    """A folder whose files match SHA256SUMS. `digests` has the SHA-256 of each file but SHA256SUMS itself."""

    folder: Path
    version: str
    zip: str
    digests: dict

    def names(self):
        """The names of all files, in the order of the alphabet."""
        return sorted([*self.digests, names.SUMS])

    def path(self, name):
        """The path of a file."""
        return self.folder / name


def read(folder):
    """Reads and checks a folder. Raises Problem, which names every file that does not match."""
    folder = Path(folder)
    if not (folder / names.SUMS).is_file():
        raise Problem(f"{folder} has no {names.SUMS}.", "Run make release first.")
    sums, problems = parse_sums((folder / names.SUMS).read_text(encoding="utf-8", errors="replace"))
    archives = [found for found in map(_ZIP.fullmatch, sums) if found]
    problems += [f"{names.SUMS} does not list {name}." for name in _REQUIRED if name not in sums]
    if len(archives) != 1:
        problems.append(f"{names.SUMS} must list one coiled-VERSION-HASH.zip, but lists {len(archives)}.")
    binary = sums.pop(names.BINARY, "")
    problems += _mismatches(folder, sums)
    problems += _mismatch_of_binary(folder, archives, binary)
    if problems:
        raise Problem("\n".join(dict.fromkeys(problems)), _AGAIN)
    return Dist(folder, archives[0]["version"], archives[0][0], sums)


def parse_sums(text):
    """The digests by name, and the problems of SHA256SUMS itself."""
    sums, problems = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line)
        if not found:
            problems.append(f"{names.SUMS}:{number}: this is not a SHA-256, two spaces and a file name.")
        elif found[2] in sums:
            problems.append(f"{names.SUMS}:{number}: {found[2]} is listed twice.")
        else:
            sums[found[2]] = found[1]
    return sums, problems


def digest(path):
    """The SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mismatches(folder, sums):
    for name in sorted(sums.keys() | {path.name for path in folder.iterdir()} - {names.SUMS}):
        path = folder / name
        if name not in sums:
            yield f"{path}: {names.SUMS} does not list this file."
        elif not path.is_file():
            yield f"{path}: the file is missing."
        elif digest(path) != sums[name]:
            yield f"{path}: its SHA-256 is not the one in {names.SUMS}."
        elif (found := _ZIP.fullmatch(name)) and name != names.zip_name(found["version"], sums[name]):
            yield f"{path}: the name of the zip must contain the beginning of its SHA-256."


def _mismatch_of_binary(folder, archives, expected):
    """The zip holds exactly the binary whose digest SHA256SUMS lists."""
    for name in (archive[0] for archive in archives):
        path = folder / name
        try:
            with zipfile.ZipFile(path) as archive:
                content = [(each, archive.read(each)) for each in archive.namelist()]
        except (OSError, zipfile.BadZipFile) as error:
            yield f"{path}: cannot read the zip: {error}"
            continue
        found = [each for each, _ in content]
        if found != [names.BINARY]:
            yield f"{path}: contains {', '.join(found) or 'nothing'} instead of {names.BINARY} alone."
        elif hashlib.sha256(content[0][1]).hexdigest() != expected:
            yield f"{path}: the SHA-256 of {names.BINARY} in it is not the one in {names.SUMS}."
