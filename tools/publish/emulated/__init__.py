"""Tests `make publish` and publisher.yaml against an emulated S3, MiniStack. `make test-publish` runs them."""
