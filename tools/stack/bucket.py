"""The bucket with the function's code."""

from botocore.exceptions import ClientError

from . import build, failures, stacks, template
from .problem import Misuse, shell

_SAMS_STACK = "aws-sam-cli-managed-default"
# The beginning of the name that CloudFormation gives to SAM's bucket.
_SAMS = f"{_SAMS_STACK}-"


def check(aws, name):
    """Rejects the person's own bucket if it does not exist or is not in the stack's region."""
    if not name:
        return
    try:
        headers = aws.client("s3").head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as error:
        if failures.code(error) == "404":
            raise Misuse(f"BUCKET={name}: there is no such bucket.") from None
        # S3 names the region even to a caller who may not list the bucket. Other problems show at the upload.
        headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region", aws.region)
    if region != aws.region:
        raise Misuse(
            f"BUCKET={name}: the bucket is in {region}, but Lambda reads code only from buckets in {aws.region}.",
            f"Name a bucket in {aws.region}, or deploy to {region}: REGION={region}",
        )


def remove_code(aws, stack, body):
    """Deletes the code of a deleted stack from SAM's bucket. Returns a message about code that is left.

    The folder contains only this stack's code. It is kept until the stack is deleted, for rollbacks to older code.
    """
    place = template.code(body) if body else None
    if place is None:
        return ""
    name, key = place
    folder = build.folder(stack)
    left = f"The function's code is still in s3://{name}/"
    # In the person's own bucket, other accounts may use the same folder. Plain `sam deploy` chooses another folder.
    if not name.startswith(_SAMS) or not key.startswith(folder):
        return f"{left}{key}. Delete it if nothing else uses it:\n  {shell('aws', 's3', 'rm', f's3://{name}/{key}')}"
    try:
        empty(aws, name, folder)
    except failures.ERRORS as error:
        command = shell("aws", "s3", "rm", "--recursive", f"s3://{name}/{folder}")
        return f"{left}{folder}, because it could not be deleted: {failures.explain(error).what}\n  {command}"
    return ""


def empty(aws, name, folder):
    """Deletes all objects in a folder with all their versions, because SAM's bucket keeps versions."""
    s3 = aws.client("s3")
    for key, version in versions(aws, name, folder):
        s3.delete_object(Bucket=name, ExpectedBucketOwner=aws.account, Key=key, VersionId=version)


def versions(aws, name, folder):
    """Yields the key and the version ID of everything in a folder."""
    pages = aws.client("s3").get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=name, ExpectedBucketOwner=aws.account, Prefix=folder):
        for version in page.get("Versions", []) + page.get("DeleteMarkers", []):
            yield version["Key"], version["VersionId"]


def of_sam(cloudformation):
    """The name of SAM's bucket; None if SAM has not created it yet."""
    try:
        found = cloudformation.describe_stack_resource(StackName=_SAMS_STACK, LogicalResourceId="SamCliSourceBucket")
    except ClientError as error:
        if stacks.is_missing(error):
            return None
        raise
    return found["StackResourceDetail"]["PhysicalResourceId"]
