# SPDX-License-Identifier: Apache-2.0
"""load.py - clients in many namespaces that churn, and what became of each.

One thread does all: it connects, asks, waits, asks again, and replaces one
namespace after the other. Every client is accounted for:

    answered    it had all its answers, and ended
    refused     a listener that had answered before was not there
    cut         the connection ended before it had all its answers
    unserved    the same, where nobody had answered before: berthd had opened
                the listener, and was killed before it gave it to anybody
    held        the same, where excuse() said before that it may
    gone        the same, because its namespace was deleted
    stuck       nothing happened for GUARD seconds
    mistaken    the answer was another one
"""

import errno
import heapq
import itertools
import os
import select
import socket
import threading
import time
from collections import Counter

from . import kernel, sock_diag
from .nsid import give_nsid
from .rules import rule, rules
from .wait import GUARD, wait_for

ECHO, FORWARD, HANDOFF, EACH, DATAGRAMS, AT_TIMES = range(7101, 7107)
SERVED = (ECHO, FORWARD, HANDOFF, EACH)
# The consumer's name: contrib/consumers/c/http_name is to serve HANDOFF.
CONSUMER = "http"
BAD = ("refused", "cut", "stuck", "mistaken")
_PAUSE = 0.005  # between two attempts before the first answer, in seconds
_TALK = 0.3  # between two questions of a client, at most
_LASTING_TALK = 1  # the same of clients that do not end
_LOOK = 0.1  # between two looks at all clients
_BEHIND = 0.5  # what is later than that is left out
_PROBLEMS_MAX = 200  # those that are described
_STAY = 5  # one namespace of so many is not replaced
_FOR_EVER = itertools.repeat(_LASTING_TALK)


class _Slot:
    """One namespace of those that are there at a time."""

    def __init__(self, netns, number):
        self.netns = netns
        self.number = number
        self.stays = number % _STAY == 0
        self.fd = netns.open_fd()
        give_nsid(netns)  # list-id of ip-netns(8) shows it until it is freed
        with kernel.inside(self.fd), \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            self.cookie = kernel.cookie(sock)
        self.born = time.monotonic()
        self.served = set()
        self.seen = {}  # {(protocol, port): the socket's cookie}
        self.gone = False

    def delete(self):
        self.gone = True
        os.close(self.fd)
        self.netns.delete()


class _Client:
    """One connection, from connect(2) to its end."""

    def __init__(self, load, slot, port, delays, first=False):
        """delays: iterates over the seconds until each further question.
        first: nobody has answered there yet."""
        self.load, self.slot, self.port = load, slot, port
        self.delays, self.first = delays, first
        self.connected = self.excused = False
        self.wanted = None  # the answer, if one is waited for
        self.got = b""
        self.began = self.since = time.monotonic()
        with kernel.inside(slot.fd):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        load.register(self, select.EPOLLOUT)
        error = self.sock.connect_ex(("127.0.0.1", port))
        if error not in (0, errno.EINPROGRESS):
            self._fail(OSError(error, os.strerror(error)))

    def key(self):
        """As sock_diag.peers() has it at the other end."""
        return self.slot.cookie, self.sock.getsockname()[1]

    def ready(self):
        try:
            if self.connected:
                self._receive()
            else:
                self._established()
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)

    def _established(self):
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        self.connected = True
        self.load.epoll.modify(self.sock.fileno(), select.EPOLLIN)
        self._ask()

    def _ask(self):
        """A question that has no other answer."""
        if self.port == HANDOFF:
            question = b"GET / HTTP/1.1\r\n\r\n"
            self.wanted = b"\r\n\r\n" + self.slot.netns.name.encode() + b"\n"
        else:
            question = self.wanted = b"<%d>" % next(self.load.numbers)
        self.got = b""
        self.since = time.monotonic()
        self.sock.send(question)

    def ask(self):
        try:
            self._ask()
        except OSError as error:
            self._fail(error)

    def _receive(self):
        data = self.sock.recv(4096)
        if not data:
            raise ConnectionError(errno.ECONNRESET, "end of file")
        self.got += data
        if self.wanted and self.got.endswith(self.wanted):
            self.wanted = None
            self.load.answered(self)
        elif self.got.endswith((b">", b"\n")):
            self.load.over(self, "mistaken", repr(self.got))

    def _fail(self, error):
        refused = error.errno == errno.ECONNREFUSED and not self.connected
        if self.slot.gone:
            how = "gone"
        elif refused:
            how = "too early" if self.first else "refused"
        elif self.excused:
            how = "held"
        else:
            how = "unserved" if self.first else "cut"
        self.load.over(self, how, str(error))

    def is_stuck(self, now):
        return (self.wanted or not self.connected) and \
            now - self.since > GUARD


class _Backend:
    """What berth forwards to: it echoes."""

    def __init__(self, load, sock, accepts=False):
        self.load, self.sock, self.accepts = load, sock, accepts
        sock.setblocking(False)
        load.register(self, select.EPOLLIN)

    def ready(self):
        try:
            if self.accepts:
                self._accept_all()
            elif data := self.sock.recv(4096):
                self.sock.send(data)
            else:
                self.load.forget(self)
        except BlockingIOError:
            pass
        except OSError:
            self.load.forget(self)

    def _accept_all(self):
        """One for each turn would be too slow behind a relay that has just
        found many clients waiting."""
        while True:
            _Backend(self.load, self.sock.accept()[0])


class Load:
    """Clients in so many namespaces, so many a second, until end()."""

    def __init__(self, world, random, namespaces, rate, churn=0, lasting=0):
        """rate, churn: clients, and namespaces replaced, in a second.
        lasting: so many clients more that do not end, where namespaces
        stay."""
        self._world, self.random = world, random
        self._rate, self._churn, self._lasting = rate, churn, lasting
        self.epoll = select.epoll()
        self.numbers = itertools.count()
        self.counts = Counter()
        self.longest = 0.0  # from connect(2) to an answer, in seconds
        self.problems = []
        self.more = False  # rules() has one rule more
        self.began = time.monotonic()
        self._objects = {}
        self._timers = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._failure = None
        self._slots = [self._slot(i) for i in range(namespaces)]
        self._listener = world.host.listen(backlog=4096)
        _Backend(self, self._listener, accepts=True)
        self._thread = threading.Thread(target=self._work, daemon=True)

    def rules(self):
        """What berthd is to listen on."""
        to = f"127.0.0.1:{self._listener.getsockname()[1]}"
        more = [rule("more", port=AT_TIMES)] if self.more else []
        return rules(
            *more, rule("echo", port=ECHO, respond="echo"),
            rule("forward", port=FORWARD, forward={"to": to}),
            rule("handoff", port=HANDOFF, handoff=CONSUMER),
            rule("each", port=EACH, address="each", respond="echo",
                 match={"address": "127.0.0.0/8"}),
            rule("datagrams", port=DATAGRAMS, protocol="udp",
                 respond="echo"))

    def start(self):
        """Begins, with berthd there. Returns when everybody has answered."""
        for slot in self._slots:
            self._find(slot)
        self._every(1 / self._rate, self._begin_one)
        if self._churn:
            self._every(1 / self._churn, self._replace_one)
        self._every(_LOOK, self._look)
        self._thread.start()
        wait_for(self._all_there, "the first answer of each listener, and "
                 "all the clients that do not end")
        return self

    def _all_there(self):
        self.check()
        with self._lock:
            return self.counts["lasting"] == self._lasting and all(
                slot.served.issuperset(SERVED) for slot in self._slots
                if slot.stays)

    def wait_more(self, n):
        """Waits for n more answers."""
        goal = self.counts["answers"] + n

        def there():
            self.check()
            return self.counts["answers"] >= goal

        wait_for(there, f"{n} more answers")

    def excuse(self, keys):
        """The clients with these keys may be cut."""
        with self._lock:
            for client in self._clients():
                # It may not have seen yet what an earlier call excused.
                client.excused = client.excused or client.key() in keys

    def bad(self):
        """How many clients noticed something."""
        return {how: self.counts[how] for how in BAD if self.counts[how]}

    def wrong(self, min_age=0):
        """Which listeners are not as the rules want them, in namespaces that
        are so many seconds old. Counts those that are another socket than
        before."""
        with self._lock:
            now = time.monotonic()
            return [problem for slot in self._slots
                    if now - slot.born >= min_age
                    for problem in self._compare(slot)]

    def _compare(self, slot):
        with kernel.inside(slot.fd):
            found = sock_diag.listeners()
        expected = Counter([("tcp", port) for port in SERVED]
                           + [("udp", DATAGRAMS)]
                           + [("tcp", AT_TIMES)] * self.more)
        there = Counter(key for key, _ in found)
        for key, cookie in found:
            self.counts["other sockets"] += \
                slot.seen.get(key, cookie) != cookie
        slot.seen = dict(found)
        name = slot.netns.name
        return [f"{name}: no {key}" for key in expected - there] + \
            [f"{name}: {key} too many" for key in there - expected]

    def end(self):
        """Clients finish, and the namespaces are deleted."""
        if self.epoll.closed:
            return
        self._over.set()
        if self._thread.ident:
            self._thread.join(3 * GUARD)
            assert not self._thread.is_alive(), "the load does not end"
        for slot in self._slots:
            slot.delete()
        for thing in list(self._objects.values()):
            self.forget(thing)
        self.epoll.close()
        self.check()

    def check(self):
        """Raises what ended the thread."""
        if self._failure:
            raise self._failure

    # What clients call

    def register(self, thing, events):
        self._objects[thing.sock.fileno()] = thing
        self.epoll.register(thing.sock.fileno(), events)

    def forget(self, thing):
        del self._objects[thing.sock.fileno()]
        thing.sock.close()
        thing.sock = None

    def answered(self, client):
        now = time.monotonic()
        self.counts["answers"] += 1
        self.longest = max(self.longest, now - client.since)
        client.slot.served.add(client.port)
        delay = next(client.delays, None)
        if delay is None or self._over.is_set():
            self.over(client, "answered")
        else:
            self._at(now + delay, lambda: client.sock and client.ask())

    def over(self, client, how, why=""):
        if client.sock is None:
            return
        if how in (*BAD, "unserved") and len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(self._describe(client, how, why))
        self.forget(client)
        self.counts[how] += 1
        self.counts["lasting"] -= client.delays is _FOR_EVER
        if client.first and how != "answered":
            self._at(time.monotonic() + _PAUSE, lambda: self._find(
                client.slot, client.port))

    def _describe(self, client, how, why):
        now, slot = time.monotonic(), client.slot
        return (f"{now - self.began:.3f} s: {slot.netns.name}, which is "
                f"{now - slot.born:.3f} s old, port {client.port} from "
                f"{client.key()[1]}: {how}, {why}; "
                f"{'' if client.connected else 'not '}connected, began "
                f"{now - client.began:.3f} s ago, "
                f"{'waits' if client.wanted else 'idle'} since "
                f"{now - client.since:.3f} s")

    # The thread

    def _clients(self):
        return [thing for thing in self._objects.values()
                if isinstance(thing, _Client)]

    def _slot(self, number):
        return _Slot(self._world.netns(f"n{number}-{next(self.numbers)}"),
                     number)

    def _at(self, when, function):
        heapq.heappush(self._timers, (when, next(self.numbers), function))

    def _every(self, seconds, function, due=None):
        """Calls it so often, for each time that it is late, too."""
        due = due or time.monotonic()

        def again():
            if self._over.is_set():
                return
            function()
            behind = time.monotonic() - _BEHIND
            if due < behind:
                self.counts["left out"] += int((behind - due) / seconds)
            self._every(seconds, function, max(due, behind) + seconds)

        self._at(due, again)

    def _find(self, slot, *ports):
        """Tries until the listeners of a namespace answer."""
        if not slot.gone and not self._over.is_set():
            for port in ports or SERVED:
                _Client(self, slot, port, iter(()), first=True)

    def _begin_one(self):
        slot = self.random.choice(self._slots)
        port = self.random.choice(SERVED)
        delays = [self.random.uniform(0, _TALK)
                  for _ in range(self.random.randrange(3))]
        if port in slot.served:
            self.counts["clients"] += 1
            _Client(self, slot, port, iter(delays))

    def _begin_lasting(self):
        slot = self.random.choice(
            [slot for slot in self._slots if slot.stays])
        port = self.random.choice(SERVED)
        if port in slot.served:
            self.counts["lasting"] += 1
            _Client(self, slot, port, _FOR_EVER)

    def _replace_one(self):
        slot = self.random.choice(self._slots)
        if not slot.stays:
            slot.delete()
            self.counts["namespaces"] += 1
            self._slots[slot.number] = self._slot(slot.number)
            self._find(self._slots[slot.number])

    def _look(self):
        now = time.monotonic()
        for client in self._clients():
            if client.is_stuck(now):
                self.over(client, "stuck")
        for _ in range(self._lasting - self.counts["lasting"]):
            self._begin_lasting()

    def _run_timers(self):
        """Return: seconds until the next one."""
        while self._timers:
            left = self._timers[0][0] - time.monotonic()
            if left > 0:
                return left
            heapq.heappop(self._timers)[2]()
        return _LOOK

    def _end_idle(self):
        """When it is over: those that wait for no answer."""
        for client in self._clients():
            if client.connected and not client.wanted:
                self.over(client, "answered")
            elif client.is_stuck(time.monotonic()):
                self.over(client, "stuck")

    def _turn(self):
        with self._lock:
            left = self._run_timers()
        events = self.epoll.poll(left)
        with self._lock:
            for fd, _ in events:
                # An earlier event of the batch may have closed it.
                if thing := self._objects.get(fd):
                    thing.ready()

    def _work(self):
        try:
            while not self._over.is_set():
                self._turn()
            while self._clients():
                with self._lock:
                    self._end_idle()
                self._turn()
        except Exception as error:  # pylint: disable=broad-except
            self._failure = error
