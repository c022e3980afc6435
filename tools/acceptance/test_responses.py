"""What the report shows of a response from Coiled."""

import unittest

from stack import local
from stack.coiled import Coiled
from stack.secret import Token

from .responses import about_token, about_workspace, masked, shape


class Responses(unittest.TestCase):
    """The bodies, the status and the path."""

    def test_what_a_name_calls_a_secret_is_masked_at_every_depth(self):
        secrets = {"aws_secret_key": "abc", "token": 7, "password": None}
        value = {"a": [secrets], "credentials": {"id": "x"}, "public_key": True}
        expected = {"a": [{"aws_secret_key": "***", "token": "***", "password": None}], "credentials": {"id": "x"}}
        self.assertEqual(expected | {"public_key": True}, masked(value))

    def test_a_shape_has_no_texts_and_no_numbers(self):
        ada = {"name": "Ada", "id": 7, "rate": 0.5, "is_admin": True, "team": None, "tags": ["a", "b"]}
        expected = {"name": "str", "id": "int", "rate": "float", "is_admin": True, "team": None, "tags": ["str"]}
        self.assertEqual([expected], shape([ada, {"name": "Bob"}]))

    def test_any_status_and_any_body_are_recorded(self):
        path = "/api/v1/my%20team/backend_options/"
        for status, body in ((200, "null"), (404, ""), (403, '{"detail": "no"}'), (500, "<html>")):
            with local.Local({("", path): (status, body)}) as server:
                [response] = about_workspace(Coiled(server.url, Token("a-b")), "my team")
            self.assertEqual(status, response.status)
            self.assertEqual("".join(body.split()), "".join(response.body.split()))
            self.assertEqual("/api/v1/{workspace}/backend_options/", response.path)

    def test_of_the_token_only_the_shape_is_recorded(self):
        user, path = (200, '{"username": "ada"}'), "/api/v2/user/me"
        answers = {("", path): user, ("", f"{path}/memberships"): (200, "[]")}
        with local.Local(answers) as server:
            bodies = [response.body for response in about_token(Coiled(server.url, Token("a-b")))]
        self.assertEqual(['{\n  "username": "str"\n}', "[]"], bodies)


if __name__ == "__main__":
    unittest.main()
