"""The regions and their consoles."""

import unittest

from .regions import regions


class Tests(unittest.TestCase):
    """Samples of botocore's data, and the consoles, which that data lacks."""

    def test_a_region_has_its_title_and_the_suffix_of_its_partition(self):
        frankfurt, beijing = regions()["eu-central-1"], regions()["cn-north-1"]
        self.assertEqual(("Europe (Frankfurt)", "aws", "amazonaws.com"), (frankfurt.title, *self.partition(frankfurt)))
        self.assertEqual(("aws-cn", "amazonaws.com.cn"), self.partition(beijing))

    @staticmethod
    def partition(region):
        return region.partition.name, region.partition.suffix

    def test_only_isolated_partitions_have_no_console(self):
        without = {region.partition.name for region in regions().values() if not region.console}
        self.assertEqual({"aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"}, without)
        self.assertEqual("us-gov-west-1.console.amazonaws-us-gov.com", regions()["us-gov-west-1"].console)
        self.assertEqual("us-east-1.console.aws.amazon.com", regions()["us-east-1"].console)


if __name__ == "__main__":
    unittest.main()
