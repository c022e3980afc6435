"""Decides whether a policy's ARN and an ARN format from AWS's reference can match the same resource."""

from .glob import overlap


def matches(arn, form):
    """IAM's wildcards do not cross the colons between the first five parts of an ARN."""
    parts, form_parts = arn.split(":", 5), form.split(":", 5)
    return len(parts) == len(form_parts) == 6 and all(map(overlap, parts, form_parts))
