"""Stands in for CloudFormation's console: the quick-create form, and the page of a stack."""
