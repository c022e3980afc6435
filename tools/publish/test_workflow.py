"""Checks the workflows on GitHub, and above all the one that publishes."""

import re
import unittest
from pathlib import Path

import yaml

FOLDER = Path(".github/workflows")
# A name, the hash of a commit, and the version that the commit is.
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


class Workflows(unittest.TestCase):
    """Rules for the files in .github/workflows."""

    def test_every_action_is_pinned_by_the_hash_of_a_commit(self):
        used = [line for path in FOLDER.glob("*.yml") for line in path.read_text().splitlines() if "uses:" in line]
        self.assertTrue(used)
        for line in used:
            self.assertRegex(line, PINNED)

    def test_all_workflows_use_the_same_commit_of_an_action(self):
        used = re.findall(r"uses: (\S+)@(\S+)", "".join(path.read_text() for path in FOLDER.glob("*.yml")))
        self.assertEqual(len({action for action, _ in used}), len({*used}))


class Release(unittest.TestCase):
    """The workflow on a tag."""

    def setUp(self):
        self.jobs = yaml.safe_load((FOLDER / "release.yml").read_text())["jobs"]

    def commands(self, job):
        """What a job runs."""
        return " ".join(step.get("run", "") for step in self.jobs[job]["steps"])

    def with_permission(self, name):
        return {job for job, found in self.jobs.items() if found["permissions"].get(name) == "write"}

    def test_a_job_that_compiles_can_neither_sign_nor_publish(self):
        compiling = {job for job in self.jobs if re.search("make (verify-)?release", self.commands(job))}
        self.assertEqual({"build", "verify"}, compiling)
        for job in compiling:
            self.assertEqual({"contents": "read"}, self.jobs[job]["permissions"])
            self.assertNotIn("environment", self.jobs[job])

    def test_each_permission_belongs_to_the_job_that_needs_it(self):
        self.assertEqual({"attest", "publish"}, self.with_permission("id-token"))
        self.assertEqual({"attest"}, self.with_permission("attestations"))
        self.assertEqual({"release-page"}, self.with_permission("contents"))

    def test_only_the_job_that_uploads_is_in_the_environment_that_the_role_trusts(self):
        self.assertEqual({"publish"}, {job for job, found in self.jobs.items() if "environment" in found})
        self.assertIn("make publish", self.commands("publish"))

    def test_nothing_is_signed_or_published_before_both_builds_are_the_same(self):
        order = ["build", "verify", "attest", "publish", "release-page"]
        self.assertEqual(order[:-1], [self.jobs[job]["needs"] for job in order[1:]])


if __name__ == "__main__":
    unittest.main()
