"""Runs `sam build`, and `sam package`, which uploads the function to a bucket."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from release import build as reproducible

from . import template
from .problem import Problem

_SAM = Path(sys.executable).with_name("sam")
_BUILT = Path(".aws-sam/build/template.yaml")


def build(screen):
    """Builds the function into .aws-sam."""
    with screen.waiting("Building the function with sam build. The first time takes a few minutes"):
        _run(["build"], _flags(), "The build failed. Nothing was changed in AWS.")


def package(screen, aws, options):
    """Uploads the function, and returns the template that names the upload."""
    bucket = ["--s3-bucket", options.bucket] if options.bucket else ["--resolve-s3"]
    prefix = folder(options.stack).removesuffix("/")
    with tempfile.TemporaryDirectory() as place, screen.waiting("Uploading the function with sam package"):
        output = Path(place, "template.yaml")
        words = ["package", "--template-file", _BUILT, "--output-template-file", output, "--region", aws.region]
        _run([*words, "--s3-prefix", prefix, "--no-progressbar", *bucket], aws.credentials(), _upload_failed(options))
        return template.check_size(output.read_text(encoding="utf-8"))


def folder(stack):
    """The folder of a stack's code in the bucket. deployer.yaml allows only folders that begin with the stack's name."""
    return f"{stack}/code/"


def _upload_failed(options):
    place = f"the bucket {options.bucket}" if options.bucket else "SAM's bucket, aws-sam-cli-managed-default-…"
    return (
        f"The upload to {place} failed. The stack was not changed.\n"
        "If AWS denied it: docs/deployer.md lists the permissions. To use your own bucket: BUCKET=NAME"
    )


def _flags():
    """make deploy, make build and make release make the same binary."""
    return reproducible.flags(template.sources(), reproducible.clean(os.environ))


def _run(words, credentials, failed):
    environment = os.environ | credentials | {
        # sam build finds cargo-lambda and zig next to the first python3 on PATH.
        "PATH": f"{_SAM.parent}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [str(word) for word in (_SAM, *words)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise Problem(f"sam {words[0]} exited with {done.returncode}:\n{done.stdout.strip()}", failed)
