"""Compares the published template with SAM's own expansion of template.yaml, and checks what only it has."""

import base64
import copy
import difflib
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from stack import rules
from stack.problem import Problem

from . import names, template
from .buckets import Bucket
from .regions import regions

SOURCE = template.SOURCE.read_text(encoding="utf-8")
DIGEST = "0123456789abcdef" * 4
VERSION = names.version()
KEY = f"releases/{VERSION}/coiled-{VERSION}-0123456789abcdef.zip"
TWO = [Bucket("us-east-1", "here", 1), Bucket("cn-north-1", "there", 2)]
# The longest names that S3 allows.
ALL = [Bucket(region, region.ljust(63, "x"), line) for line, region in enumerate(regions(), 1)]

# The only entries that template.yaml does not have. If a path ends with an item of a sequence, it is the last item.
ADDED = [
    ("Metadata", "AWS::CloudFormation::Interface", "ParameterGroups", -1),
    ("Metadata", "AWS::CloudFormation::Interface", "ParameterLabels", "CodeS3Bucket"),
    ("Metadata", "AWS::CloudFormation::Interface", "ParameterLabels", "CodeS3Key"),
    ("Parameters", "CodeS3Bucket"),
    ("Parameters", "CodeS3Key"),
    ("Mappings",),
    ("Rules", "CodeInThisRegion"),
    ("Rules", "CodeKeyNeedsItsBucket"),
    ("Conditions", "HasCodeBucket"),
    ("Conditions", "HasCodeKey"),
    ("Resources", "Function", "Metadata"),
    ("Resources", "FunctionVersion"),
]
# The lines of template.yaml that the published template does not have.
GONE = """\
Transform: AWS::Serverless-2016-10-31
    Type: AWS::Serverless::Function
      BuildMethod: rust-cargolambda
      BuildProperties:
        Binary: bootstrap
      CodeUri: .
    DependsOn: FunctionInvocations
""".splitlines()


def expanded(source, code):
    """The template as aws-sam-translator expands it, with the code in a bucket."""
    tree = yaml_parse(source)
    # The translator accepts only code that was uploaded.
    place = {"Bucket": code["S3Bucket"], "Key": code["S3Key"]}
    tree["Resources"]["Function"]["Properties"]["CodeUri"] = place
    session = boto3.Session(region_name="us-east-1")
    return Translator({}, Parser(), boto_session=session).translate(tree, {})


def without(tree, paths):
    """The tree without some entries, all of which it must have."""
    tree = copy.deepcopy(tree)
    for *path, last in paths:
        node = tree
        for key in path:
            node = node[key]
        del node[last]
    return tree


class Comparison(unittest.TestCase):
    """The published template and its source."""

    @classmethod
    def setUpClass(cls):
        cls.text = template.published(VERSION, DIGEST, TWO)
        cls.tree = yaml_parse(cls.text)

    def test_it_is_what_sam_makes_of_the_source_and_the_named_additions(self):
        sam = expanded(SOURCE, self.tree["Resources"]["Function"]["Properties"]["Code"])
        function = sam["Resources"]["Function"]
        # The transform adds a tag of its own, and keeps what sam build needs.
        self.assertEqual([{"Key": "lambda:createdBy", "Value": "SAM"}], function["Properties"].pop("Tags"))
        self.assertEqual({"BuildMethod", "BuildProperties"}, function.pop("Metadata").keys())
        ours = without(self.tree, ADDED)
        self.assertEqual(["FunctionInvocations", "FunctionVersion"], ours["Resources"]["Connection"]["DependsOn"])
        ours["Resources"]["Connection"]["DependsOn"] = "FunctionInvocations"
        # As plain dictionaries, in which the order does not matter.
        self.assertEqual(json.loads(json.dumps(sam)), json.loads(json.dumps(ours)))

    def test_every_other_line_of_the_source_remains(self):
        lines = list(difflib.unified_diff(SOURCE.splitlines(), self.text.splitlines(), lineterm="", n=0))[2:]
        self.assertEqual(GONE, [line[1:] for line in lines if line.startswith("-")])
        new = {line[1:] for line in lines if line.startswith("+")}
        self.assertLessEqual(new, {"", *template.addition(VERSION, DIGEST, TWO).splitlines()})

    def test_the_comments_of_the_addition_remain(self):
        comments = [line for line in template.ADDITION.read_text(encoding="utf-8").splitlines() if "  # " in line]
        self.assertGreater(len(comments), 5)
        self.assertLessEqual(set(comments), set(self.text.splitlines()))

    def test_no_word_is_left_to_fill_in(self):
        self.assertNotRegex(self.text, "RELEASE_|Serverless|Transform")
        self.assertEqual([], [line for line in self.text.splitlines() if line not in SOURCE and len(line) > 120])

    def test_it_has_every_name_and_the_maximum_length_within_the_limit(self):
        self.assertLess(len(template.published(VERSION, DIGEST, ALL).encode()), template.MAX_BYTES)
        with self.assertRaises(Problem) as raised:
            template.published(VERSION, DIGEST, TWO, SOURCE + "# x\n" * 5_000)
        self.assertIn("CloudFormation allows 51,200.", raised.exception.what)

    def test_cfn_lint_finds_nothing_with_all_buckets_and_with_none(self):
        command = [Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--regions", "ALL_REGIONS"]
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, name) for name in ("all.yaml", "none.yaml")]
            for file, buckets in zip(files, (ALL, [])):
                file.write_text(template.published(VERSION, DIGEST, buckets), encoding="utf-8")
            done = subprocess.run([*command, "--template", *files], capture_output=True, text=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stdout + done.stderr))


class Code(unittest.TestCase):
    """Where the code comes from, and which code the stack accepts."""

    def setUp(self):
        self.tree = yaml_parse(template.published(VERSION, DIGEST, TWO))
        self.resources = self.tree["Resources"]

    def test_the_mapping_has_a_row_for_every_region_of_every_partition(self):
        rows = self.tree["Mappings"]["CodeBuckets"]
        self.assertEqual(list(regions()), list(rows))
        names_of = {bucket.region: bucket.name for bucket in TWO}
        self.assertEqual({region: {"Name": names_of.get(region, "")} for region in regions()}, rows)

    def test_a_row_that_is_missing_or_doubled_is_found(self):
        for wrong in ("", '    us-east-1: {Name: ""}\n' * 2):
            text = template.ADDITION.read_text(encoding="utf-8").replace('    us-east-1: {Name: ""}\n', wrong)
            with tempfile.TemporaryDirectory() as folder, self.assertRaises(Problem):
                with mock.patch.object(template, "ADDITION", Path(folder, "published.yaml")):
                    template.ADDITION.write_text(text, encoding="utf-8")
                    template.published(VERSION, DIGEST, TWO)

    def test_the_zip_is_pinned_by_its_hash_before_the_connection_is_made(self):
        version = self.resources["FunctionVersion"]["Properties"]
        digest = base64.b64encode(bytes.fromhex(DIGEST)).decode()
        self.assertEqual({"FunctionName": {"Ref": "Function"}, "CodeSha256": digest}, version)
        self.assertIn("FunctionVersion", self.resources["Connection"]["DependsOn"])

    def test_the_code_is_in_the_buckets_of_this_release_or_in_the_one_of_the_organization(self):
        code = self.resources["Function"]["Properties"]["Code"]
        place = {"Fn::FindInMap": ["CodeBuckets", {"Ref": "AWS::Region"}, "Name"]}
        self.assertEqual({"Fn::If": ["HasCodeBucket", {"Ref": "CodeS3Bucket"}, place]}, code["S3Bucket"])
        self.assertEqual({"Fn::If": ["HasCodeKey", {"Ref": "CodeS3Key"}, KEY]}, code["S3Key"])

    def test_an_update_takes_the_new_code_because_no_default_names_it(self):
        parameters = self.tree["Parameters"]
        self.assertEqual(("", ""), (parameters["CodeS3Bucket"]["Default"], parameters["CodeS3Key"]["Default"]))
        # An update keeps the value of each parameter that has one.
        self.assertNotIn("0123456789abcdef", str([each.get("Default") for each in parameters.values()]))

    def test_every_parameter_has_a_place_and_a_label_in_the_console(self):
        interface = self.tree["Metadata"]["AWS::CloudFormation::Interface"]
        grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
        self.assertEqual(sorted(self.tree["Parameters"]), sorted(grouped))
        self.assertEqual(sorted(self.tree["Parameters"]), sorted(interface["ParameterLabels"]))


class Rules(unittest.TestCase):
    """What stops a stack before anything is created."""

    def broken(self, region, buckets=TWO, **values):
        tree = yaml_parse(template.published(VERSION, DIGEST, buckets))
        defaults = {name: each["Default"] for name, each in tree["Parameters"].items()}
        token = {"CoiledToken": "token", "AWS::Region": region}
        return list(rules.broken(tree["Rules"], defaults | token | values))

    def test_a_region_with_code_is_accepted(self):
        for bucket in TWO:
            self.assertEqual([], self.broken(bucket.region))

    def test_a_region_without_code_is_stopped_and_the_others_are_named(self):
        [text] = self.broken("eu-west-1")
        self.assertTrue(text.endswith("The regions with the code are us-east-1, cn-north-1."), text)
        others = [bucket for bucket in ALL if bucket.region != "eu-west-1"]
        [text] = self.broken("eu-west-1", others)
        self.assertTrue(all(f" {bucket.region}" in text for bucket in others), text)

    def test_without_any_bucket_every_region_needs_the_organizations_bucket(self):
        [text] = self.broken("us-east-1", [])
        self.assertTrue(text.endswith("The regions with the code are none."), text)
        self.assertEqual([], self.broken("us-east-1", [], CodeS3Bucket="mine"))

    def test_with_the_organizations_bucket_every_region_is_accepted(self):
        self.assertEqual([], self.broken("eu-west-1", CodeS3Bucket="mine", CodeS3Key="my.zip"))

    def test_a_key_without_its_bucket_is_stopped(self):
        self.assertIn("Enter CodeS3Bucket too.", str(self.broken("us-east-1", CodeS3Key="my.zip")))


if __name__ == "__main__":
    unittest.main()
