"""Tests what the stand-in reads: a template's form, and the address of a template."""

import unittest

from release import names
from release.buckets import Bucket

from .addresses import MOST, Unusable, in_ministack, parse
from .form import OTHER, form

TEMPLATE = {
    "Description": "What it does",
    "Metadata": {
        "AWS::CloudFormation::Interface": {
            "ParameterGroups": [{"Label": {"default": "First"}, "Parameters": ["Token", "Size"]}],
            "ParameterLabels": {"Token": {"default": "Your token"}},
        }
    },
    "Parameters": {
        "Size": {"Type": "Number", "Default": 3, "AllowedValues": [3, 5]},
        "Unnamed": {"Type": "String"},
        "Token": {"Type": "String", "NoEcho": True, "Description": "Paste it"},
    },
}


class FormTests(unittest.TestCase):
    """The form of a template."""

    def test_the_fields_are_in_the_order_of_their_groups_and_have_labels(self):
        found = form(TEMPLATE)
        self.assertEqual("What it does", found["description"])
        first, other = found["groups"]
        self.assertEqual(("First", OTHER), (first["label"], other["label"]))
        self.assertEqual(["Token", "Size"], [field["name"] for field in first["fields"]])
        self.assertEqual(["Your token", "Size"], [field["label"] for field in first["fields"]])
        self.assertEqual(["Unnamed"], [field["name"] for field in other["fields"]])

    def test_a_field_has_its_default_and_its_choices_and_is_hidden_if_it_is_no_echo(self):
        token, size = form(TEMPLATE)["groups"][0]["fields"]
        self.assertEqual(token | {"hidden": True, "default": "", "choices": [], "description": "Paste it"}, token)
        self.assertEqual(size | {"hidden": False, "default": "3", "choices": ["3", "5"]}, size)

    def test_a_template_without_groups_has_one(self):
        groups = form({"Parameters": {"A": {"Type": "String"}}})["groups"]
        self.assertEqual([OTHER], [group["label"] for group in groups])

    def test_a_group_that_names_an_unknown_parameter_is_an_error(self):
        interface = {"ParameterGroups": [{"Label": {"default": "First"}, "Parameters": ["Misspelled"]}]}
        with self.assertRaises(KeyError):
            form({"Metadata": {"AWS::CloudFormation::Interface": interface}, "Parameters": {}})


class AddressTests(unittest.TestCase):
    """The address of a template."""

    def test_the_address_that_a_release_publishes_is_understood(self):
        for region in ("eu-west-1", "cn-north-1", "eusc-de-east-1", "us-gov-west-1"):
            url = names.url(Bucket(region, "a-bucket", 1), names.key("1.2.3+build", names.TEMPLATE))
            self.assertEqual(("a-bucket", region, "releases/1.2.3+build/coiled.template.yaml"), parse(url))

    def test_ministack_needs_the_bucket_in_the_path(self):
        url = "https://a-bucket.s3.eu-west-1.amazonaws.com/releases/1%2B2/x.yaml"
        self.assertEqual("http://127.0.0.1:1/a-bucket/releases/1%2B2/x.yaml", in_ministack(url, "http://127.0.0.1:1"))

    def test_cloudformation_reads_templates_only_from_s3_over_https(self):
        start = "https://a-bucket.s3.eu-west-1.amazonaws.com"
        for url in (
            "http://a-bucket.s3.eu-west-1.amazonaws.com/x.yaml",
            "https://a-bucket.s3-website.eu-west-1.amazonaws.com/x.yaml",
            "https://a-bucket.s3.eu-west-1.amazonaws.com.example.com/x.yaml",
            "https://example.com/x.yaml",
            f"{start}/",
            f"{start}/x.yaml#part",
            f"{start}/{'x' * MOST}",
        ):
            with self.subTest(url), self.assertRaises(Unusable):
                parse(url)


if __name__ == "__main__":
    unittest.main()
