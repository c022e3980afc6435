"""Compares the size of policies with IAM's quotas. IAM does not count white space.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

import json
import re

from .check import as_list

# All inline policies of a role count together.
QUOTAS = {"AWS::IAM::Role": 10_240, "AWS::IAM::ManagedPolicy": 6_144}


def problems(template):
    """The resources whose policies are too large."""
    for name, resource in template.resources.items():
        quota = QUOTAS.get(resource["Type"])
        if quota and (size := _size(template, name)) > quota:
            yield f"{name}: its policies have {size} characters, but IAM allows {quota}"


def _size(template, resource):
    """The number of characters, with the parameter values that make each statement longest."""
    documents = [document for name, document in template.policies() if name == resource and "Resource" in str(document)]
    return sum(_length(template, document) for document in documents)


def _length(template, document):
    rest = {key: value for key, value in document.items() if key != "Statement"}
    statements = [max(map(_characters, template.variants(s)), default=0) for s in as_list(document["Statement"])]
    return _characters(rest | {"Statement": []}) + sum(statements) + len(statements) - 1


def _characters(document):
    return len(re.sub(r"\s", "", json.dumps(document)))
