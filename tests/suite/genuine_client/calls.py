"""Calls functions of the coiled package, and prints each result or exception as one line of JSON."""

import json
import sys

import coiled


def unset_aws_credentials(workspace):
    with coiled.Cloud(workspace=workspace) as cloud:
        return cloud.unset_aws_credentials(account=workspace).status


FUNCTIONS = {
    "set_backend_options": coiled.set_backend_options,
    "unset_aws_credentials": unset_aws_credentials,
}

for name, arguments in json.loads(sys.argv[1]):
    try:
        answer = {"ok": FUNCTIONS[name](**arguments)}
    except Exception as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    print("\nanswer: " + json.dumps(answer), flush=True)
