"""Makes a release: the folder dist/, which contains everything that is published."""
