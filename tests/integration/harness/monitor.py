# SPDX-License-Identifier: Apache-2.0
"""monitor.py - a client of Monitor."""

import time

from .varlink import Connection
from .wait import GUARD


class Monitor:
    """Hears all that happens once it is made."""

    def __init__(self, berthd, **parameters):
        self.connection = Connection(berthd)
        self.connection.call("io.berth.Monitor", more=True, **parameters)
        self._events = []
        reply = self.connection.reply()
        assert reply == {"parameters": {"events": []}, "continues": True}

    def next(self, guard=GUARD):
        """The next event, whatever it is."""
        self.connection.socket.settimeout(guard)
        while not self._events:
            reply = self.connection.reply()
            assert reply.get("continues"), reply
            self._events = reply["parameters"]["events"]
        return self._events.pop(0)

    def until(self, kind, **members):
        """Events up to the first of this kind with these members. Return: that
        one."""
        seen = []
        deadline = time.monotonic() + GUARD
        while time.monotonic() < deadline:
            event = self.next()
            seen.append(event)
            if event["event"] == kind and \
                    members.items() <= event.items():
                return event
        raise AssertionError(f"no {kind} {members}, but {seen}")

    def close(self):
        self.connection.close()
