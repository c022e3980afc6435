"""Checks the templates, and what make release adds to template.yaml. Exits with 0 only if there are no problems."""

import sys
from pathlib import Path

from release.template import published

from . import check, handlers, quotas, roles, rules
from .reference import FILE, Reference
from .template import Template

FILES = ("template.yaml", "deployer.yaml", "publisher.yaml")

# sam deploy creates its bucket with these two, in a separate stack (samcli/lib/bootstrap/bootstrap.py). It does not
# update or delete them.
BUCKET_OF_SAM = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy")


def main():
    """Prints all problems."""
    stack, deployer, publisher = (Template(Path(name).read_text()) for name in FILES)
    reference = Reference(FILE)
    found = [*problems(stack, deployer, reference), *problems_of_publisher(publisher, reference)]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


def problems(stack, deployer, reference):
    """Yields all problems of template.yaml and deployer.yaml."""
    folder = deployer.sample("StackName") + "/"
    yield from (f"template.yaml: {problem}" for problem in _of_one(stack, reference, folder))
    yield from (f"deployer.yaml: {problem}" for problem in _of_one(deployer, reference, folder))
    yield from (f"deployer.yaml: {problem}" for problem in _of_deployment(stack, deployer, reference))


def problems_of_publisher(publisher, reference):
    """Yields all problems of publisher.yaml, which has nothing to do with SAM's bucket."""
    yield from (f"publisher.yaml: {problem}" for problem in _of_one(publisher, reference, folder=""))


def _of_one(template, reference, folder):
    found = (
        f"{where}: {problem}"
        for where, statement in template.statements()
        for found_by in (check.problems(statement, reference), rules.problems(statement, reference, folder))
        for problem in found_by
    )
    # A statement may have the same problem with several values of the parameters.
    yield from dict.fromkeys(found)
    yield from quotas.problems(template)
    yield from roles.problems(template)


def _of_deployment(stack, deployer, reference):
    # The published template has all resources of template.yaml, and a version of the function.
    stack = Template(published("0", "0" * 64, [], stack.text))
    role, person = (handlers.Grants(deployer, name, reference) for name in ("CloudFormationRole", "DeployerPolicy"))
    needs = handlers.needed(stack.types())
    arns = list(handlers.own_arns(stack, deployer.sample("StackName")))
    for found in (role.differences(needs), role.set_properties(stack), role.unreached(needs, arns)):
        yield from (f"CloudFormationRole: {problem}" for problem in found)
    bucket = handlers.needed(BUCKET_OF_SAM, ["create", "read"])
    yield from (f"DeployerPolicy: {problem}" for problem in person.differences(bucket))


if __name__ == "__main__":
    sys.exit(main())
