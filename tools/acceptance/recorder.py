"""Records what AWS responds while the commands work: every error, and every stack event."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Error:
    """An error response of AWS, or a request without a response."""

    step: str
    call: str
    code: str
    message: str


class Recorder:
    """Records the responses to all clients of one account."""

    def __init__(self):
        # The step that is running.
        self.step = "before"
        self._errors = []
        self._events = {}

    def watch(self, aws):
        """Records the responses to all clients that are created from now on."""
        aws.observe(self._response, self._no_response)

    def errors(self):
        """Each error and how often it occurred, in the order of the first occurrences."""
        return list(Counter(self._errors).items())

    def events(self):
        """All stack events that a command has read, oldest first."""
        return sorted(self._events.values(), key=lambda event: event["Timestamp"])

    def _response(self, http_response, parsed, model, **_):
        if http_response.status_code >= 300:
            error = parsed.get("Error", {})
            code = f"{http_response.status_code} {error.get('Code', '')}".strip()
            self._add(model, code, error.get("Message", ""))
        # AWS lists the newest event first. Events often have the same time.
        for event in reversed(parsed.get("StackEvents", [])):
            self._events[event["EventId"]] = event

    def _no_response(self, exception, event_name, **_):
        _, service, operation = event_name.split(".", 2)
        self._errors.append(Error(self.step, f"{service}: {operation}", type(exception).__name__, str(exception)))

    def _add(self, model, code, message):
        call = f"{model.service_model.service_id}: {model.name}"
        self._errors.append(Error(self.step, call, code, message))
