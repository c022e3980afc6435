"""Calls services of each protocol on 127.0.0.1 that send what a proxy sends, or nothing, in place of AWS's response."""

import contextlib
import functools
import os
import unittest
from unittest import mock

from botocore.exceptions import HTTPClientError

from . import failures, genuine, local
from .aws import Aws

# One service for each protocol, and for S3 one call for each kind of body.
CALLS = (
    ("sts", "get_caller_identity", {}),
    ("cloudformation", "describe_stacks", {}),
    ("secretsmanager", "describe_secret", {"SecretId": "a"}),
    ("s3", "head_bucket", {"Bucket": "abc"}),
    ("s3", "list_objects_v2", {"Bucket": "abc"}),
    ("s3", "get_object", {"Bucket": "abc", "Key": "k"}),
    ("s3", "put_object", {"Bucket": "abc", "Key": "k", "Body": b"x"}),
)
ALL = {name for _, name, _ in CALLS}
# S3 may send an error with the status 200, so the SDK repeats these calls as if the status had been 500.
REPEATED = {"list_objects_v2", "put_object"}


class Fixed(local.Local):
    """A server that gives the same answer to every request."""

    def answer(self, region, what):
        return self.answers


@contextlib.contextmanager
def account(answer):
    """An account whose services all give this answer."""
    server = Fixed()
    server.answers = answer
    settings = {
        "HOME": "/nonexistent",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "NO_PROXY": "127.0.0.1",
    }
    with server, mock.patch.dict(os.environ, settings, clear=True):
        yield Aws(os.environ)


def calls(aws):
    """Each call, with its name."""
    for service, name, arguments in CALLS:
        client = aws.client(service, "us-east-1", quick=True)
        yield name, functools.partial(getattr(client, name), **arguments)


class Genuine(unittest.TestCase):
    """No call takes what AWS did not send for a response."""

    def expect(self, answer, kinds, text, names=ALL):
        with account(answer) as aws:
            for name, call in ((name, call) for name, call in calls(aws) if name in names):
                with self.subTest(name), self.assertRaises(kinds) as raised:
                    call()
                problem = failures.explain(raised.exception)
                self.assertIn(text, problem.what, name)
                self.assertTrue(problem.fix, name)
                self.assertNotIn("<", problem.what, name)

    def test_a_page_with_a_status_of_success_or_refusal(self):
        for status in (403, 407):
            self.expect(local.page(status), genuine.NotGenuine, f"did not come from AWS (status {status}, text/html)")
        others, text = ALL - REPEATED, "did not come from AWS (status 200, text/html)"
        self.expect(local.page(200), genuine.NotGenuine, text, others)
        self.expect(local.page(200), failures.ERRORS, "AWS, or a proxy, responded with the status 500", REPEATED)

    def test_a_page_with_a_server_error_is_repeated_and_then_explained(self):
        self.expect(local.page(502), failures.ERRORS, "AWS, or a proxy, responded with the status 502")

    def test_a_connection_that_is_closed(self):
        self.expect(local.CLOSED, HTTPClientError, "AWS cannot be reached")

    def test_half_a_response(self):
        with account(local.half("GetCallerIdentity")) as aws:
            for name, call in calls(aws):
                if name not in ("get_object", "head_bucket"):
                    with self.subTest(name), self.assertRaisesRegex(genuine.NotGenuine, "broke off after"):
                        call()
            # The SDK checks a body that it streams. A response to HEAD has none.
            with self.assertRaises(HTTPClientError):
                dict(calls(aws))["get_object"]()["Body"].read()

    def test_a_complete_response_is_accepted(self):
        with account(local.ok("GetCallerIdentity", "<Account>1</Account>")) as aws:
            self.assertEqual("1", dict(calls(aws))["get_caller_identity"]()["Account"])


if __name__ == "__main__":
    unittest.main()
