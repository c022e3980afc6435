"""Publishes to three regions, and expects each rejection before anything is uploaded to any bucket."""

import dataclasses
import signal
import unittest

from release import names

from .layer import answer
from .world import ACCOUNT, STRANGER, World

TEMPLATE = names.key("0.1.0", names.TEMPLATE)
KEYS = [names.key("0.1.0", name) for name in (names.TEMPLATE, names.PAGE, names.SBOM, names.NOTES, names.SUMS)]
EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
LISTING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}}
LATEST = sorted(names.latest_key(name) for name in (names.TEMPLATE, names.PAGE, names.SUMS))


def setUpModule():
    """Starts one MiniStack for all tests, with the buckets of publisher.yaml in three regions."""
    global WORLD, BUCKETS, PUBLISHER, ADMINISTRATOR
    WORLD = World()
    unittest.addModuleCleanup(WORLD.close)
    BUCKETS = WORLD.buckets()
    PUBLISHER = WORLD.key
    ADMINISTRATOR = WORLD.user("administrator", EVERYTHING)


class Publishing(unittest.TestCase):
    """Each test begins with three empty buckets."""

    def setUp(self):
        WORLD.layer.on_upload.clear()
        WORLD.layer.uploads.clear()
        WORLD.key = PUBLISHER
        self.buckets = list(BUCKETS)
        WORLD.empty(self.buckets)
        self.checkout = WORLD.checkout(self.buckets)

    def publish(self, code=0, checkout=None, **options):
        """Runs the command, and checks its exit code. Returns what it printed."""
        got, printed = WORLD.run(checkout or self.checkout, **options)
        self.assertEqual(code, got, printed)
        return printed

    def reject(self, *expected, code=1, checkout=None, **options):
        """Expects a rejection that contains these texts, and that nothing was uploaded."""
        before = list(WORLD.layer.uploads)
        printed = self.publish(code, checkout, **options)
        for text in expected:
            self.assertIn(text, printed)
        self.assertIn("Nothing was uploaded.", printed)
        self.assertEqual(before, WORLD.layer.uploads)

    def relist(self, position, **changes):
        """Changes one line of the list. The release in dist/ is one for the changed list."""
        changed = list(self.buckets)
        changed[position] = dataclasses.replace(changed[position], **changes)
        return WORLD.checkout(changed)

    def keys(self, bucket):
        found = WORLD.admin("s3", bucket.region).list_objects_v2(Bucket=bucket.name).get("Contents", [])
        return sorted(item["Key"] for item in found)

    def read(self, bucket, key):
        """An object as everyone can read it."""
        return WORLD.anonymous(bucket.region).get_object(Bucket=bucket.name, Key=key)

    def put(self, bucket, key, content):
        """Uploads as an administrator, without the layer."""
        WORLD.admin("s3", bucket.region).put_object(Bucket=bucket.name, Key=key, Body=content)

    def expect_complete(self, checkout=None, version="0.1.0"):
        """Expects all files of a release in all buckets."""
        folder = (checkout or self.checkout) / "dist"
        for bucket in self.buckets:
            for path in folder.iterdir():
                published = self.read(bucket, names.key(version, path.name))["Body"].read()
                self.assertEqual(path.read_bytes(), published)


class Published(Publishing):
    """What a run without problems does."""

    def test_all_files_are_in_all_regions_and_the_command_ends_with_the_links(self):
        printed = self.publish()
        self.expect_complete()
        for bucket in self.buckets:
            self.assertLessEqual({*KEYS, *LATEST}, {*self.keys(bucket)})
            link = f"https://{bucket.region}.console.aws.amazon.com/cloudformation/home?region={bucket.region}#/"
            self.assertIn(link, printed)
        page = names.url(self.buckets[0], "latest/index.html")
        self.assertEqual(page, printed.split()[-1])

    def test_what_never_changes_may_be_cached_and_latest_may_not(self):
        self.publish()
        page = self.read(self.buckets[0], "latest/index.html")
        self.assertEqual(("no-cache", "text/html; charset=utf-8"), (page["CacheControl"], page["ContentType"]))
        template = self.read(self.buckets[0], TEMPLATE)
        self.assertIn("immutable", template["CacheControl"])
        self.assertEqual("text/plain; charset=utf-8", template["ContentType"])

    def test_a_dry_run_uploads_nothing_and_says_what_it_would_upload(self):
        self.reject(TEMPLATE, "latest/index.html", "This was a dry run.", code=0, DRY_RUN="1")

    def test_a_second_run_uploads_nothing(self):
        self.publish()
        before = list(WORLD.layer.uploads)
        self.assertIn("has all files", self.publish())
        self.assertEqual(before, WORLD.layer.uploads)

    def test_a_template_is_uploaded_after_its_zip_and_latest_after_the_release_is_in_all_regions(self):
        self.publish()
        for bucket in self.buckets:
            keys = [key for name, key in WORLD.layer.uploads if name == bucket.name and key not in LATEST]
            self.assertEqual(TEMPLATE, keys[-1])
        keys = [key for _, key in WORLD.layer.uploads]
        first_of_latest = min(keys.index(key) for key in LATEST)
        self.assertFalse([key for key in keys[first_of_latest:] if key.startswith("releases/")])

    def test_an_older_release_and_a_prerelease_leave_latest_alone(self):
        self.publish()
        for version, reason in (("0.0.9", "it has 0.1.0, which is newer"), ("0.2.0-rc.1", "is a pre-release")):
            other = WORLD.checkout(self.buckets, version)
            self.assertIn("latest/ is left as it is: ", printed := self.publish(checkout=other))
            self.assertIn(reason, printed)
            self.expect_complete(other, version)
        latest = self.read(self.buckets[0], "latest/SHA256SUMS")["Body"].read()
        self.assertEqual((self.checkout / "dist" / "SHA256SUMS").read_bytes(), latest)

    def test_a_newer_release_replaces_latest_and_nothing_else(self):
        self.publish()
        newer = WORLD.checkout(self.buckets, "0.10.0")
        self.publish(checkout=newer)
        self.expect_complete()
        latest = self.read(self.buckets[0], "latest/index.html")["Body"].read()
        self.assertEqual((newer / "dist" / "index.html").read_bytes(), latest)

    def test_a_mirror_has_the_same_bytes_and_its_links_name_its_own_bucket(self):
        mirror = WORLD.checkout(self.buckets)
        copies = WORLD.buckets()
        (mirror / "list").write_text("".join(f"{b.region} {b.name}\n" for b in copies), encoding="utf-8")
        self.reject("the template in dist/ has", "MIRROR=1", checkout=mirror)
        printed = self.publish(checkout=mirror, MIRROR="1")
        self.buckets = copies
        self.expect_complete(mirror)
        for bucket in copies:
            self.assertIn(f"&param_CodeS3Bucket={bucket.name}\n", printed)
            self.assertNotIn("latest/index.html", self.keys(bucket))
        self.assertNotIn("Launch page", printed)
        self.reject("is a bucket of the release itself", MIRROR="1")


class Rejected(Publishing):
    """What must stop the command before the first upload. Each rejection names the line of the list."""

    def test_a_bucket_in_another_region(self):
        elsewhere = self.buckets.pop(1)
        checkout = self.relist(1, name=elsewhere.name)
        self.reject(f"list:2: the bucket {elsewhere.name} is in eu-west-1, not in ap-southeast-2.", checkout=checkout)

    def test_a_bucket_that_does_not_exist(self):
        checkout = self.relist(1, name="there-is-none")
        self.reject("list:2: there is no bucket there-is-none.", "publisher.yaml", checkout=checkout)

    def test_a_strangers_bucket_that_everybody_can_write_to(self):
        # An administrator can write to it too, so only ExpectedBucketOwner tells it from an own bucket. MiniStack
        # ignores this parameter: the layer rejects.
        WORLD.key = ADMINISTRATOR
        name = WORLD.strangers_bucket("eu-west-1")
        checkout = self.relist(1, name=name)
        self.reject(f"list:2: the bucket {name} belongs to another account than yours, {ACCOUNT}.", checkout=checkout)

    def test_a_strangers_bucket_that_is_closed(self):
        name = WORLD.strangers_bucket("eu-west-1")
        WORLD.admin("s3", "eu-west-1", STRANGER).delete_bucket_policy(Bucket=name)
        self.reject(f"list:2: the bucket {name} belongs to another account", checkout=self.relist(1, name=name))

    def test_other_bytes_under_the_same_name(self):
        self.put(self.buckets[2], TEMPLATE, b"something else")
        self.reject(f"list:3: s3://{self.buckets[2].name}/{TEMPLATE} has other bytes than dist/", "new version")

    def test_another_build_of_the_same_version(self):
        self.publish()
        again = WORLD.checkout(self.buckets, code=b"another build")
        found = f"s3://{self.buckets[0].name}/releases/0.1.0/coiled-0.1.0-"
        self.reject(f"list:1: {found}", "another build of this version was published", checkout=again)

    def test_a_release_for_other_buckets(self):
        self.buckets.append(dataclasses.replace(self.buckets[0], region="us-west-2", name="one-more"))
        checkout = WORLD.checkout(self.buckets)
        (checkout / "list").write_text((self.checkout / "list").read_text(), encoding="utf-8")
        self.reject("list: us-west-2 is missing. The template in dist/ has the bucket one-more", checkout=checkout)

    def test_a_damaged_dist(self):
        (self.checkout / "dist" / names.TEMPLATE).write_bytes(b"")
        self.reject(f"dist/{names.TEMPLATE}: its SHA-256 is not the one in SHA256SUMS.")

    def test_a_wrong_list(self):
        (self.checkout / "list").write_text("us-east-1 one-bucket\nus-east-1 another-bucket\n", encoding="utf-8")
        self.reject("list:2: us-east-1 is already on line 1.", code=2)
        self.reject("BUCKETS=FILE is missing", code=2, BUCKETS="")
        self.reject("DRY_RUN=maybe", code=2, DRY_RUN="maybe")

    def test_a_list_without_a_bucket_in_the_partition_of_the_credentials(self):
        self.reject("no bucket is in the partition aws-cn", AWS_DEFAULT_REGION="cn-north-1")

    def test_all_wrong_buckets_are_named_at_once(self):
        changed = [dataclasses.replace(bucket, name=f"none-{bucket.line}") for bucket in self.buckets]
        self.reject(*(f"list:{n}: there is no bucket none-{n}." for n in (1, 2, 3)), checkout=WORLD.checkout(changed))


class Broken(Publishing):
    """Runs that break, and runs that disturb each other."""

    def test_a_run_that_is_killed_in_an_upload_is_completed_by_the_next_one(self):
        def kill(upload):
            upload.receive_half()
            self.process.kill()
            self.process.wait()
            return answer(500, "InternalError")

        WORLD.layer.on_upload[TEMPLATE] = kill
        self.process = WORLD.start(self.checkout)
        self.assertEqual(-signal.SIGKILL, self.process.wait())
        stored = {(bucket.name, key) for bucket in self.buckets for key in self.keys(bucket)}
        self.assertTrue(stored)
        before = len(WORLD.layer.uploads)
        WORLD.layer.on_upload.clear()
        self.publish()
        self.expect_complete()
        self.assertFalse(stored & {*WORLD.layer.uploads[before:]}, "a file was uploaded twice")

    def test_a_session_that_expires_in_between_leaves_latest_alone_and_names_the_next_step(self):
        WORLD.layer.on_upload[TEMPLATE] = lambda _: answer(400, "ExpiredToken")
        printed = self.publish(1)
        self.assertIn("session has expired", printed)
        self.assertIn("Run the same command again: it uploads only what is missing.", printed)
        for bucket in self.buckets:
            self.assertFalse([key for key in self.keys(bucket) if key.startswith("latest/") or key == TEMPLATE])
        WORLD.layer.on_upload.clear()
        self.publish()
        self.expect_complete()

    def test_a_permission_to_upload_that_is_missing(self):
        WORLD.key = WORLD.user("reader", LISTING)
        printed = self.publish(1)
        self.assertIn("You are not allowed to call PutObject.", printed)
        self.assertIn("docs/mirror.md", printed)

    def test_a_response_that_is_lost_is_no_failure(self):
        def lose(upload):
            del WORLD.layer.on_upload[TEMPLATE]
            upload.store()
            return answer(500, "InternalError")

        WORLD.layer.on_upload[TEMPLATE] = lose
        self.publish()
        self.expect_complete()

    def test_a_conflict_with_another_upload_is_repeated(self):
        def conflict(_):
            del WORLD.layer.on_upload[TEMPLATE]
            return answer(409, "ConditionalRequestConflict")

        WORLD.layer.on_upload[TEMPLATE] = conflict
        self.publish()
        self.expect_complete()

    def test_other_bytes_that_arrive_after_the_checks_are_not_overwritten(self):
        def overtake(_):
            WORLD.layer.on_upload.clear()
            self.put(self.buckets[1], TEMPLATE, b"faster")
            for bucket in self.buckets:
                if bucket != self.buckets[1]:
                    self.put(bucket, TEMPLATE, b"faster")

        WORLD.layer.on_upload[TEMPLATE] = overtake
        self.assertIn("another run uploaded other bytes under this name", self.publish(1))
        for bucket in self.buckets:
            self.assertEqual(b"faster", self.read(bucket, TEMPLATE)["Body"].read())


class Template(Publishing):
    """The bucket policy of publisher.yaml, and the permissions of its role."""

    def setUp(self):
        super().setUp()
        self.publish()
        self.bucket = self.buckets[1]
        self.s3 = WORLD.s3(self.bucket.region)

    def expect_denied(self, call, **arguments):
        with self.assertRaises(self.s3.exceptions.ClientError) as raised:
            call(Bucket=self.bucket.name, **arguments)
        self.assertIn(raised.exception.response["Error"]["Code"], ("AccessDenied", "403"))

    def test_a_published_file_cannot_be_overwritten_or_deleted(self):
        # MiniStack does not know s3:if-none-match: the layer enforces that statement.
        self.expect_denied(self.s3.put_object, Key=TEMPLATE, Body=b"new")
        with self.assertRaises(self.s3.exceptions.ClientError) as raised:
            self.s3.put_object(Bucket=self.bucket.name, Key=TEMPLATE, Body=b"new", IfNoneMatch="*")
        self.assertEqual("PreconditionFailed", raised.exception.response["Error"]["Code"])
        self.expect_denied(self.s3.delete_object, Key=TEMPLATE)

    def test_an_administrator_cannot_delete_a_published_file_either(self):
        self.s3 = WORLD.s3(self.bucket.region, ADMINISTRATOR)
        version = self.s3.head_object(Bucket=self.bucket.name, Key=TEMPLATE)["VersionId"]
        self.expect_denied(self.s3.delete_object, Key=TEMPLATE)
        self.expect_denied(self.s3.delete_object, Key=TEMPLATE, VersionId=version)
        self.expect_denied(self.s3.put_object, Key=TEMPLATE, Body=b"new")
        self.s3.delete_object(Bucket=self.bucket.name, Key="latest/index.html")

    def test_the_role_publishes_to_its_two_folders_only(self):
        self.expect_denied(self.s3.put_object, Key="elsewhere/file", Body=b"", IfNoneMatch="*")
        self.expect_denied(self.s3.delete_object, Key="latest/index.html")
        self.expect_denied(self.s3.put_bucket_policy, Policy="{}")
        # MiniStack takes the caller's account for aws:ResourceAccount, so only the name keeps the role away.
        self.bucket = dataclasses.replace(self.bucket, name=WORLD.strangers_bucket("eu-west-1"))
        self.expect_denied(self.s3.head_bucket)
        self.expect_denied(self.s3.put_object, Key=TEMPLATE, Body=b"", IfNoneMatch="*")

    def test_everybody_can_read_but_not_list_or_write(self):
        anonymous = WORLD.anonymous(self.bucket.region)
        self.assertTrue(self.read(self.bucket, TEMPLATE)["Body"].read())
        self.expect_denied(anonymous.list_objects_v2)
        self.expect_denied(anonymous.put_object, Key=TEMPLATE, Body=b"", IfNoneMatch="*")

    def test_connections_without_tls_are_rejected(self):
        def plain(request, **_):
            request.headers["X-Forwarded-Proto"] = "http"

        self.s3.meta.events.register("before-sign.s3.*", plain)
        self.expect_denied(self.s3.get_object, Key=TEMPLATE)

    def test_the_buckets_keep_versions_and_are_encrypted(self):
        admin = WORLD.admin("s3", self.bucket.region)
        self.assertEqual("Enabled", admin.get_bucket_versioning(Bucket=self.bucket.name)["Status"])
        rules = admin.get_bucket_encryption(Bucket=self.bucket.name)["ServerSideEncryptionConfiguration"]["Rules"]
        self.assertEqual("AES256", rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])

    def test_a_bucket_that_is_closed_although_others_are_open_is_noticed(self):
        admin = WORLD.admin("s3", self.bucket.region)
        policy = admin.get_bucket_policy(Bucket=self.bucket.name)["Policy"]
        admin.delete_bucket_policy(Bucket=self.bucket.name)
        printed = self.publish(1)
        admin.put_bucket_policy(Bucket=self.bucket.name, Policy=policy)
        self.assertIn(f"list:2: {self.bucket.name} is not open to everyone", printed)


class OneOrganization(Publishing):
    """publisher.yaml with the ID of an organization."""

    def test_only_the_organizations_accounts_can_read(self):
        # MiniStack gives each account an organization of its own, whose members are not modeled.
        organization = WORLD.admin("organizations", account=STRANGER).describe_organization()["Organization"]["Id"]
        self.buckets = WORLD.buckets(organization)
        self.assertIn("those whom the bucket policies allow", self.publish(checkout=WORLD.checkout(self.buckets)))
        bucket = self.buckets[1]
        blocked = WORLD.admin("s3", bucket.region).get_public_access_block(Bucket=bucket.name)
        self.assertEqual({True}, {*blocked["PublicAccessBlockConfiguration"].values()})
        member, other = ({"AccessKeyId": account, "SecretAccessKey": "test"} for account in (STRANGER, "777788889999"))
        found = WORLD.s3(bucket.region, member).get_object(Bucket=bucket.name, Key=TEMPLATE)
        self.assertTrue(found["Body"].read())
        for client in (WORLD.anonymous(bucket.region), WORLD.s3(bucket.region, other)):
            with self.assertRaises(client.exceptions.ClientError):
                client.get_object(Bucket=bucket.name, Key=TEMPLATE)
        WORLD.key = WORLD.user("lister", LISTING)
        self.reject("You are not allowed to call HeadObject.", checkout=WORLD.checkout(self.buckets))


if __name__ == "__main__":
    unittest.main()
