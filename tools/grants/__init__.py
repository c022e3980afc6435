"""Checks the IAM policies in template.yaml and deployer.yaml against AWS's own reference data."""
