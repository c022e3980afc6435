"""Makes the files of dist/ in memory, and writes them."""

import base64
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from launch import page

from . import archive, build, names, notes, sbom, template


@dataclass(frozen=True)
class Built:
    """What the compiler and the crates determine."""

    binary: bytes
    sbom: str


def built(source, environment):
    """Builds the function from the sources in a clone."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        copy_sources(source, folder)
        return built_with_copy(source, folder, environment)


def built_with_copy(source, copy, environment):
    """Builds the function. The tool that makes the SBOM writes into the copy of the sources."""
    environment = build.clean(environment)
    binary = build.function(source, environment)
    return Built(binary, sbom.make(copy, environment, binary))


def copy_sources(source, folder):
    """Copies the files that git knows, with their changes. Other files must not be part of a release."""
    listed = build.output(["git", "ls-files", "-z", "--cached", "--deduplicate"], source, build.clean(os.environ))
    for name in listed.split("\0"):
        if name and (source / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, folder / name)


def files(made, buckets):
    """All files of dist/, by name."""
    release = names.version()
    code = archive.zipped(made.binary)
    digest = _sha256(code)
    code_name = names.zip_name(release, digest)
    texts = {
        names.TEMPLATE: template.published(release, digest, buckets),
        names.PAGE: page.render(release, buckets),
        names.NOTES: notes.render(release, _hashes(made.binary, code_name, digest)),
        names.SBOM: made.sbom,
    }
    contents = {code_name: code} | {name: text.encode() for name, text in texts.items()}
    return contents | {names.SUMS: _sums(contents | {names.BINARY: made.binary})}


def write(contents, folder):
    """Replaces a folder. If writing fails, the old folder remains."""
    with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=f".{folder.name}-") as place:
        new = Path(place, folder.name)
        new.mkdir()
        for name, content in contents.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(Path(place, "old"))
        new.rename(folder)


def differences(found, expected):
    """Yields a sentence for each file that differs from a new build."""
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            yield f"{name}: a new build makes this file, but it is missing."
        elif name not in expected:
            yield f"{name}: a new build does not make this file."
        elif found[name] != expected[name]:
            yield f"{name}: a new build makes different bytes, from byte {_first_difference(found, expected, name)} on."


def _first_difference(found, expected, name):
    pairs = enumerate(zip(found[name], expected[name]))
    return next((at for at, (one, other) in pairs if one != other), min(len(found[name]), len(expected[name])))


def _hashes(binary, code_name, digest):
    """The hashes in RELEASE.md. Lambda shows the last one for a deployed function."""
    return [
        (names.BINARY, "SHA-256", _sha256(binary)),
        (code_name, "SHA-256", digest),
        (code_name, "`CodeSha256` of a deployed function", base64.b64encode(bytes.fromhex(digest)).decode()),
    ]


def _sums(contents):
    """SHA256SUMS, in the format that sha256sum and shasum check."""
    return "".join(f"{_sha256(content)}  {name}\n" for name, content in sorted(contents.items())).encode()


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
