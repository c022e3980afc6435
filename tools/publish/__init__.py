"""Publishes a release: uploads dist/ to a bucket in each region."""
