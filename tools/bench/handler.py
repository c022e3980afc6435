"""A minimal Create in Python with crhelper. `make bench` compares its init time, memory and zip size with the
function's."""

import http.client

import boto3
import crhelper.utils
from crhelper import CfnResource

# crhelper sends its response only over HTTPS, but the bucket on loopback speaks plain HTTP.
crhelper.utils.HTTPSConnection = lambda host, context: http.client.HTTPConnection(host)

helper = CfnResource(log_level="INFO")
iam, secrets = boto3.client("iam"), boto3.client("secretsmanager")


@helper.create
def create(event, _):
    properties = event["ResourceProperties"]
    secrets.get_secret_value(SecretId=properties["CoiledTokenSecretArn"])
    user = properties["UserName"]
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    credentials = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    boto3.client("sts", region_name=properties["Region"], **credentials).get_caller_identity()
    return user


def handler(event, context):
    helper(event, context)
