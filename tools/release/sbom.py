"""Lists the crates in the function, in CycloneDX's format."""

import hashlib
import json
import subprocess
from pathlib import Path

from stack.problem import Problem, shell

from . import build

TOOL = Path(".tools/cyclonedx/bin/cargo-cyclonedx").absolute()

# The name of the file that the tool writes for the binary.
_WRITTEN = "bootstrap_bin.cdx.json"


def make(folder, environment, binary):
    """The SBOM as text. `folder` is a copy of the sources, because the tool writes into it."""
    command = [TOOL, "cyclonedx", "--format=json", "--spec-version=1.5", "--describe=binaries", f"--target={build.TARGET}"]
    # With this variable, the tool writes no random serial number.
    _run(command, folder, environment | {"SOURCE_DATE_EPOCH": "0"})
    text = (folder / _WRITTEN).read_text(encoding="utf-8").replace(f"file://{folder}", "file:///src")
    return _text(adjusted(json.loads(text), _compiled(folder, environment), binary))


def adjusted(sbom, compiled, binary):
    """The SBOM with exactly the crates that are compiled. `compiled` has their names and versions.

    cargo-cyclonedx reads `cargo metadata`, which also lists crates that no enabled feature needs.
    """
    components = [each for each in sbom["components"] if (each["name"], each["version"]) in compiled]
    missing = compiled - {(each["name"], each["version"]) for each in components} - {_itself(sbom)}
    if missing:
        raise Problem(f"The SBOM does not list these crates: {', '.join(' '.join(each) for each in sorted(missing))}")
    kept = {each["bom-ref"] for each in components} | {sbom["metadata"]["component"]["bom-ref"]}
    dependencies = [_dependency(each, kept) for each in sbom["dependencies"] if each["ref"] in kept]
    # The time says only when the sources were built.
    metadata = {key: value for key, value in sbom["metadata"].items() if key != "timestamp"}
    digest = hashlib.sha256(binary).hexdigest()
    metadata["component"] = metadata["component"] | {"hashes": [{"alg": "SHA-256", "content": digest}]}
    return sbom | {"metadata": metadata, "components": components, "dependencies": dependencies}


def _itself(sbom):
    component = sbom["metadata"]["component"]
    return component["bom-ref"].rpartition("#")[2].partition("@")[0], component["version"]


def _dependency(entry, kept):
    needed = [ref for ref in entry.get("dependsOn", []) if ref in kept]
    return {"ref": entry["ref"]} | ({"dependsOn": needed} if needed else {})


def _compiled(folder, environment):
    """The name and version of each crate that cargo compiles for the function, including build dependencies."""
    command = ["cargo", "tree", "--locked", "--edges=normal,build", f"--target={build.TARGET}", "--no-dedupe"]
    output = _run([*command, "--prefix=none", "--format={p}"], folder, environment)
    words = [line.split() for line in output.splitlines() if line]
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def _text(document):
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _run(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"{shell(*map(str, command))} exited with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout
