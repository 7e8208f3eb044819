# SPDX-License-Identifier: Apache-2.0
"""test_web_page.py - the status page in a browser, as people use it.

Screenshots are left in the directory that BERTH_SCREENSHOTS names, if it names
one.
"""

import os
import pathlib
import re
import shutil

import pytest

from harness import process
from harness.berthd import SANITIZED
from harness.browser import START_GUARD, Browser
from harness.wait import wait_equal, wait_for
from harness.web import ADDRESS, StandIn, Web

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="the browser is no part of berth: once is enough")

PAGE = f"http://{ADDRESS[0]}:{ADDRESS[1]}/"
# With a document for each of them while the page is open.
PSS_KIB_MAX = 6 * 1024
EVIL = "<script>document.title='evil'</script><b>&amp;"


def counters(number, step=0):
    return {"accepted": number, "active": number % 7, "limited": 0,
            "failed": 0, "bytes_in": number * 1000 + step * number * 700,
            "bytes_out": number * 3000 + step * number * 2900,
            "messages_in": 0, "messages_out": 0, "dropped": 0, "looped": 0,
            "errors": []}


STATES = [("listening", "ok", None, None)] * 9 + [
    ("listening", "unreachable", None,
     "no interface of the namespace has the address 10.88.0.9"),
    ("listening", "backend-down", None,
     "the backend 127.0.0.1:8775 refused 6 times, last 3 s ago"),
    ("waiting", "unknown", "the port is taken", None),
    ("listening", "limited", None, "limit 2 reached, clients wait"),
]


def listener(number, step=0):
    state, health, reason, health_reason = STATES[number % len(STATES)] \
        if number % 5 == 0 else STATES[0]
    return {
        "id": 100 + number, "namespace": f"web-{number}",
        "namespace_id": 10 + number, "protocol": "tcp",
        "address": f"fd00::{number:x}" if number % 4 == 3 else "*",
        "port": 8775 + number % 3, "interface": "", "rule": "metadata",
        "action": "forward", "consumer": "relay", "state": state,
        "reason": reason, "error": "EADDRINUSE" if reason else None,
        "blocked_by": None, "attempts": 0, "next_attempt_us": None,
        "delivered": True, "draining": None,
        "counters": counters(number, step),
        "health": health, "health_reason": health_reason}


def namespace(number):
    return {
        "id": 10 + number, "host": False, "names": [
            {"directory": "/run/netns", "name": f"web-{number}", "uid": 0}],
        "containers": [{
            "name": f"app-{number}", "pod_namespace": "shop", "id": "",
            "runtime": "podman", "pid": 4000 + number,
            "labels": {"app": "web", "tier": f"t{number % 3}"},
            "source": "x.json", "uid": 0}],
        "nsid": None, "addresses_known": True, "addresses": [
            {"address": f"10.88.{number // 250}.{number % 250 + 1}",
             "prefix": 16, "interface": "eth0", "scope": "global",
             "usable": True}],
        "addresses_omitted": 0,
        "listeners": {"open": 1, "waiting": 0, "refused": 0},
        "listeners_omitted": 0, "provided": []}


def explain(name):
    return {
        "state": "present", "namespace": namespace(int(name) - 10),
        "pending": None, "lingering": None,
        "rules": [{"name": "metadata", "file": "/etc/berth/rules.d/a.yaml",
                   "line": 3, "matches": True,
                   "reason": "the label app is web"},
                  {"name": "dns", "file": "/etc/berth/rules.d/b.yaml",
                   "line": 2, "matches": False,
                   "reason": "no container has the label dns"}],
        "listeners": [{
            "id": 1, "protocol": "tcp", "address": "*", "port": 8775,
            "interface": "", "rule": "metadata", "state": "waiting",
            "reason": "the port is taken", "error": "EADDRINUSE",
            "next_attempt_us": 1200000, "delivered": False,
            "held_by": [{"address": "*", "uid": 0, "inode": 7}]}],
        "draining": [], "provisions": [], "shadowed": [], "omitted": 0,
        "files": [], "container_files": []}


class Host(StandIn):
    """berthd of a host with so many namespaces."""

    def __init__(self, world, number):
        self.number, self.step, self.others = number, 0, []
        super().__init__(world, {
            "GetStatus": lambda parameters: self.status(),
            "ListNamespaces": lambda parameters: self.parts(
                "namespaces", [namespace(i) for i in range(self.number)],
                pending=[], pending_total=0, lingering=[], lingering_total=0,
                pending_containers=[], pending_containers_total=0),
            "ListListeners": lambda parameters: self.listeners(),
            "Explain": lambda parameters: explain(parameters["namespace"]),
        })

    @staticmethod
    def parts(name, rows, **others):
        """Of some kilobytes, as berthd sends them."""
        return [{**others, name: rows[i:i + 10]}
                for i in range(0, max(1, len(rows)), 10)]

    def listeners(self):
        self.step += 1
        return self.parts("listeners", [
            listener(i, self.step) for i in range(self.number)]
            + self.others, silent=[])

    def status(self):
        return {
            "version": "0.1.0", "pid": 1, "uptime_us": 93784000000,
            "settled": True, "config": {
                "path": "/etc/berth/berthd.yaml", "exists": True,
                "problems": [], "restart": []},
            "directories": [], "namespaces": self.number, "pending": 0,
            "containers": self.number, "pending_containers": 0,
            "registrations": {"count": 0, "held": 0}, "container_files": [],
            "listeners": {
                "open": self.number, "waiting": self.number // 65,
                "refused": 0, "opened_total": 0, "failed_total": 0},
            "rules": 1, "files": [{
                "path": "/etc/berth/rules.d/b.yaml", "rules": 1,
                "last_good": True, "problems": [{
                    "file": "/etc/berth/rules.d/b.yaml", "line": 4,
                    "column": 9, "message": "unknown key 'prot'; did you "
                    "mean 'protocol'?"}]}] if self.number > 10 else [],
            "consumers": [{"name": "relay", "connected": True, "pid": 2,
                           "delivered": 1, "undelivered": 0,
                           "withdrawn": 0}],
            "events": {}, "freed": {}, "lingering": []}


@pytest.fixture(scope="module")
def browser():
    made = Browser()
    yield made
    made.quit()


@pytest.fixture(autouse=True)
def fresh(browser):
    """As a person finds it who opens the page."""
    browser.open("about:blank")
    browser.resize(1280, 800)
    browser.prefer("light")
    browser.complaints()


def keep(browser, world, name):
    """A screenshot, for people."""
    path = browser.screenshot(world.base / f"{name}.png")
    assert path.stat().st_size > 5000
    kept = os.environ.get("BERTH_SCREENSHOTS")
    if kept:
        pathlib.Path(kept).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept)


def look(browser, view=""):
    """Waits until the page shows what berthd said."""
    browser.open("about:blank")
    browser.open(PAGE + view)
    wait_for(lambda: browser.run("return document.body.dataset.readyMs"),
             "the page to be ready", START_GUARD)


def rows(browser):
    """The texts of the rows in sight."""
    return browser.run(
        "return [...document.querySelectorAll('#grid tbody tr:not(.space)')]"
        ".map(tr => [...tr.cells].map(td => td.innerText.trim()))")


def shows(browser, expected, what):
    wait_equal(lambda: browser.run(
        "return document.getElementById('found').textContent"), expected,
        what, START_GUARD)


def explains(browser, text):
    wait_for(lambda: text in browser.run(
        "return document.getElementById('explain').innerText"),
        f"'{text}' in the explanation", START_GUARD)


def background(browser):
    """Red, green and blue."""
    return [int(part) for part in re.findall(r"\d+", browser.run(
        "return getComputedStyle(document.body).backgroundColor"))]


def focused(browser):
    return browser.run("return document.activeElement.id")


def test_without_namespaces(world, browser):
    host = Host(world, 0)
    web = Web(world, host.runtime)
    look(browser, "#listeners")
    for key, view in ("1", "listeners"), ("2", "namespaces"), \
            ("3", "containers"):
        browser.press(key)
        assert rows(browser) == []
        assert browser.run(
            "return document.getElementById('empty').innerText")
        keep(browser, world, f"0-{view}")
    assert browser.complaints() == []
    web.check()


def test_three_namespaces(world, browser):
    """Names are text, whatever is in them; berthd may go and come back."""
    host = Host(world, 3)
    host.others = [dict(listener(7), namespace=EVIL, container="a\u202eb",
                        id=7, rule="\x1b[31m", health_reason=EVIL)]
    web = Web(world, host.runtime)
    look(browser)
    texts = rows(browser)
    assert len(texts) == 4
    row = next(row for row in texts if row[1] == EVIL)
    assert row[2] == "a\\u{202e}b" and row[4] == "\\u{1b}[31m"
    assert browser.run("return document.querySelectorAll('#grid b, "
                       "#grid script').length") == 0
    assert browser.run("return document.title") != "evil"
    assert texts[0][2] == "app-0" or texts[1][2] == "app-0"
    keep(browser, world, "3-listeners")
    light = background(browser)
    browser.prefer("dark")
    assert sum(background(browser)) < 128 < sum(light)
    keep(browser, world, "3-dark")
    browser.click("#tab-namespaces")
    assert [row[1] for row in rows(browser)] == ["web-0", "web-1", "web-2"]
    keep(browser, world, "3-namespaces-dark")
    browser.resize(390, 844)
    keep(browser, world, "3-narrow-dark")

    host.stop()
    wait_for(lambda: browser.run(
        "return document.getElementById('live').innerText").startswith(
            "berthd does not answer"), "the page to say so", START_GUARD)
    assert len(rows(browser)) == 3
    keep(browser, world, "3-away")
    host.start()
    wait_for(lambda: browser.run(
        "return document.getElementById('live').className") == "ok",
        "the page to go on", START_GUARD)
    web.check()


def test_a_thousand_namespaces(world, browser, record_property):
    host = Host(world, 1000)
    web = Web(world, host.runtime)
    look(browser)
    times = browser.run("return [document.body.dataset.readyMs, "
                        "document.body.dataset.renderMs]")
    assert len(rows(browser)) < 60
    assert browser.run("return document.getElementById('grid')"
                       ".getAttribute('aria-rowcount')") == "1001"
    wait_for(lambda: int(browser.run(
        "return document.body.dataset.polls")) >= 2, "rates", START_GUARD)
    keep(browser, world, "1000-listeners")

    for name in "status", "namespaces", "listeners":  # a second in memory
        web.get(f"/api/v1/{name}")
    pss_kib = process.pss_kib(web.pid)
    print(f"\n1,000 namespaces: page ready after {times[0]} ms, of which "
          f"{times[1]} ms after the data; berth-web {pss_kib} KiB PSS")
    record_property("pss_kib", pss_kib)
    assert pss_kib <= PSS_KIB_MAX

    # Sorting, by the mouse.
    browser.click("#column-status button")
    statuses = [row[0] for row in rows(browser)]
    assert any(word in statuses[0] for word in ("unreachable",
                                                "backend-down"))
    browser.click("#column-namespace button")
    assert rows(browser)[0][1] == "web-0"
    browser.click("#column-namespace button")
    assert rows(browser)[0][1] == "web-999"
    assert browser.run("return document.getElementById('column-namespace')"
                       ".getAttribute('aria-sort')") == "descending"

    # Searching, by the keyboard.
    browser.press("/")
    assert focused(browser) == "search"
    browser.press(*"web-77 8775")
    shows(browser, "3 of 1,000", "the search to be done")
    browser.press("Down")
    assert focused(browser) == "grid"
    browser.press("Down", "Up", "Down", "Enter")
    assert focused(browser) == "explain-title"
    explains(browser, "the label app is web")
    assert ("Explain", {"namespace": str(10 + 774)}) in host.calls
    keep(browser, world, "1000-explain")
    browser.press("Escape")
    assert focused(browser) == "grid"
    browser.press("Escape")
    shows(browser, "", "the search to be over")

    # What is wrong, and the last row.
    browser.press("p")
    bad = [i for i in range(1000) if listener(i)["state"] != "listening"
           or listener(i)["health"] != "ok"]
    shows(browser, f"{len(bad)} of 1,000", "the problems")
    keep(browser, world, "1000-problems")
    browser.press("p")
    browser.press("3")
    assert len(rows(browser)) < 60
    browser.press("2", "End")
    assert "web-999" in [row[1] for row in rows(browser)]
    assert browser.run(
        "return document.querySelector('[aria-selected=true] td + td')"
        ".innerText")
    keep(browser, world, "1000-namespaces")

    browser.resize(390, 844)
    browser.press("1", "Home")
    keep(browser, world, "1000-narrow")
    browser.press("Enter")
    explains(browser, "the label app is web")
    keep(browser, world, "1000-narrow-explain")
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    assert browser.complaints() == []
    web.check()
