"""What the recorder keeps of AWS's responses."""

import unittest
from datetime import datetime
from unittest import mock

from .recorder import Recorder

NOW, LATER = datetime(2026, 1, 1), datetime(2026, 1, 2)


def event(number, time=NOW):
    """A stack event."""
    return {"EventId": number, "Timestamp": time}


class Events(unittest.TestCase):
    """Stack events, as DescribeStackEvents lists them: the newest first."""

    def test_events_are_in_order_and_each_occurs_once(self):
        recorder, aws = Recorder(), mock.Mock()
        recorder.watch(aws)
        [on_response, _] = aws.observe.call_args[0]
        # A second page has older events, and a later call repeats some.
        for events in ([event(3, LATER)], [event(2), event(1)], [event(4, LATER), event(3, LATER), event(2)]):
            on_response(http_response=mock.Mock(status_code=200), parsed={"StackEvents": events}, model=None)
        self.assertEqual([1, 2, 3, 4], [each["EventId"] for each in recorder.events()])


if __name__ == "__main__":
    unittest.main()
