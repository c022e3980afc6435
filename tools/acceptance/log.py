"""The warnings and errors in the function's log."""

import json


def problems(logs, group):
    """Yields each warning and error of a log group as a line."""
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            line = _problem(event["message"])
            if line:
                yield line


def _problem(message):
    """The level, text and fields of a log entry; empty if it is neither a warning nor an error."""
    try:
        entry = json.loads(message)
    except ValueError:
        return ""
    if not isinstance(entry, dict) or entry.get("level") not in ("WARN", "ERROR"):
        return ""
    return json.dumps(entry, ensure_ascii=False)
