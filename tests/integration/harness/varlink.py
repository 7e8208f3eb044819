# SPDX-License-Identifier: Apache-2.0
"""varlink.py - a connection to berthd's control socket."""

import array
import json
import socket

from .wait import GUARD


class Connection:
    """Calls, and replies in their order. Start berthd before. @path: of
    another socket than the control socket."""

    def __init__(self, berthd, path=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(None)  # waits for room in the backlog
        self.socket.connect(str(path or berthd.runtime / "control.sock"))
        self.socket.settimeout(GUARD)
        self._rest = b""

    def call(self, method, *fds, more=False, **parameters):
        """With descriptors, of which berthd gets copies."""
        call = {"method": method, "parameters": parameters}
        text = json.dumps(dict(call, more=True) if more else call)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                   array.array("i", fds))] if fds else []
        self.socket.sendmsg([text.encode() + b"\0"], rights)

    def reply(self):
        while b"\0" not in self._rest:
            data = self.socket.recv(65536)
            assert data, "berthd ended the connection"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)

    def close(self):
        self.socket.close()
