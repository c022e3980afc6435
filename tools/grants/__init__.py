"""Checks the IAM policies in the templates against AWS's own reference data."""
