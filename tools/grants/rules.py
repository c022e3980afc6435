"""Rules beyond AWS's reference: about resources that do not exist yet, other partitions, and SAM's bucket."""

from .check import as_list

# If the user or role does not exist, IAM cannot look up its path and authorizes these calls without one.
LOOKUPS = {"iam:getrole", "iam:getuser", "iam:listaccesskeys", "iam:listattacheduserpolicies"}

_BUCKET = ":aws-sam-cli-managed-"


def problems(statement, reference, folder):
    """The violations of these rules. `folder` is the stack's own folder in SAM's bucket."""
    actions = [action.name for pattern in as_list(statement["Action"]) for action in reference.actions(pattern)]
    resources = as_list(statement.get("Resource", []))
    yield from _absent(actions, resources)
    yield from (f"{r}: it is valid in one partition, region or account only" for r in resources if not _here(r))
    yield from _bucket(statement, actions, folder)


def _here(arn):
    """Whether an ARN is in the partition, region and account of the stack. AWS's own ARNs have the account aws."""
    partition, _, region, account = (arn.split(":") + ["*"] * 4)[1:5]
    here = {"aws-us-gov"}, {"", "us-gov-west-1"}, {"", "111122223333", "aws"}
    return all(part == "*" or part in samples for part, samples in zip((partition, region, account), here))


def _absent(actions, resources):
    wanted = {without_path(resource) for resource in resources if "/" in resource} - set(resources)
    for action in actions:
        if action.lower() in LOOKUPS and wanted:
            yield f"{action}: if the resource does not exist, IAM authorizes against {', '.join(sorted(wanted))}"


def without_path(arn):
    """The ARN of a user or role as it would be with the path /."""
    kind, *_, name = arn.split("/")
    return f"{kind}/{name}"


def _bucket(statement, actions, folder):
    resources = [r for r in as_list(statement.get("Resource", [])) if _BUCKET in r and ":s3:" in r]
    keys = [resource.partition("/")[2] for resource in resources]
    if any(not key.startswith(folder) for key in keys) and not _limited(statement.get("Condition", {}), folder):
        yield f"{', '.join(actions)}: not limited to the folder {folder} of SAM's bucket or to calls by CloudFormation"


def _limited(conditions, folder):
    values = {(operator, key.lower()): as_list(v) for operator, keys in conditions.items() for key, v in keys.items()}
    prefixes = [p for operator in ("StringEquals", "StringLike") for p in values.get((operator, "s3:prefix"), [])]
    called_via = values.get(("ForAnyValue:StringEquals", "aws:calledvia")) == ["cloudformation.amazonaws.com"]
    return called_via or bool(prefixes) and all(prefix.startswith(folder) for prefix in prefixes)
