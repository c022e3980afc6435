"""Ends with one sentence if this Python cannot run the project's tools. Must itself run on any Python, even 2.7."""

import sys

if sys.version_info < (3, 11):
    problem = "%s is Python %d.%d" % ((sys.executable,) + sys.version_info[:2])
else:
    try:
        # Debian and Ubuntu package these two separately from Python.
        import ensurepip
        import venv
    except ImportError:
        problem = "%s has no venv module (on Debian and Ubuntu: apt install python3-venv)" % sys.executable
    else:
        sys.exit()

sys.exit("This needs Python 3.11 or newer with its venv module, but %s. Run make PYTHON=/path/to/python3" % problem)
