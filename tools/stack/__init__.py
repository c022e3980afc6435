"""`make deploy`, `make update`, `make status` and `make delete`."""
