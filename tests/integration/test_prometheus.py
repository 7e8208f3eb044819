# SPDX-License-Identifier: Apache-2.0
"""test_prometheus.py - Debian's prometheus reads what berthd tells, and what
contrib/ asks of it."""

import contextlib
import http.server
import json
import pathlib
import re
import socket
import subprocess
import threading
import urllib.parse
import urllib.request

import yaml

from harness.rules import rule, rules
from harness.wait import GUARD, wait_equal, wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]
ALERTS = TOP / "contrib/prometheus/berth.rules.yaml"
DASHBOARD = TOP / "contrib/grafana/berth.json"
MANUAL = TOP / "doc/berth-metrics.7"
METRIC = re.compile(r"\b(?:berth|process)_[a-z_]+")


def promtool(*words, **kwargs):
    done = subprocess.run(["promtool", *words], text=True,
                          capture_output=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr


def families(berthd):
    """Of the table in berthd: those of which there is no series, too."""
    return {family["name"]: family["type"]
            for family in berthd.ctl("metrics")["families"]}


def alerts():
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [alert["expr"] for group in groups for alert in group["rules"]]


def panels():
    dashboard = json.loads(DASHBOARD.read_text())
    variables = dashboard["templating"]["list"]
    return [target["expr"] for panel in dashboard["panels"]
            for target in panel["targets"]] + [
        re.fullmatch(r"label_values\((\w+), \w+\)",
                     variable["query"]["query"])[1]
        for variable in variables if variable["type"] == "query"]


def test_form(world):
    world.netns("n")
    berthd = world.berthd(rules(
        rule(), rule(name='a "name"', port=53, protocol="udp")))
    berthd.wait_delivered()
    for options in ((), ("--namespaces", "*")):
        promtool("check", "metrics",
                 input=berthd.ctl_text("metrics", *options))


def test_alerts_and_dashboard(world, tmp_path):
    """They name metrics that exist, and are what Prometheus understands."""
    promtool("check", "rules", str(ALERTS))
    berthd = world.berthd(rules(rule()))
    known = families(berthd)
    for expression in alerts() + panels():
        # A label may be called like nothing of these.
        names = METRIC.findall(re.sub(r"\{[^}]*\}|\([^()]*\) *\(", "(",
                                      expression)) or \
            METRIC.findall(expression)
        assert names, expression
        for name in names:
            base = re.sub("_(bucket|sum|count)$", "", name)
            assert name in known or known.get(base) == "histogram", name
    text = "\n".join(panels())
    for variable, value in (("$__rate_interval", "5m"),
                            ("$instance", ".*"), ("$rule", ".*")):
        text = text.replace(variable, value)
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.dump({"groups": [{"name": "panels", "rules": [
        {"record": f"panel:{n}", "expr": expression}
        for n, expression in enumerate(text.splitlines())]}]}))
    promtool("check", "rules", str(path))


def test_manual(world):
    """It lists all metrics, and no others."""
    text = MANUAL.read_text()
    listed = set()
    for line in re.findall(r"^\.It (Li .*)$", text, re.M):
        listed.update(METRIC.findall(line.split(" Pq ")[0]))
    assert listed == set(families(world.berthd(rules(rule()))))


@contextlib.contextmanager
def served(berthd):
    """What berthctl prints, by HTTP. Yields where."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # the name that http.server calls
            text = berthd.ctl_text("metrics").encode()
            self.send_response(200)
            self.send_header("Content-Type",
                             "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def ask(address, expression):
    """What prometheus knows; None while it does not answer."""
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(
                f"http://{address}/api/v1/query?{query}",
                timeout=GUARD) as reply:
            return json.loads(reply.read())["data"]["result"]
    except OSError:
        return None


def test_a_real_scrape(world, tmp_path):
    """Debian's prometheus, with the alert rules in contrib/."""
    world.netns("n")
    berthd = world.berthd(rules(rule()))
    berthd.wait_delivered()
    with served(berthd) as target:
        config = tmp_path / "prometheus.yml"
        config.write_text(yaml.dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "berth", "static_configs": [
                {"targets": [target]}]}]}))
        own = f"127.0.0.1:{free_port()}"
        world.popen("prometheus", f"--config.file={config}",
                    f"--storage.tsdb.path={tmp_path}/data",
                    f"--web.listen-address={own}", "--log.level=error")
        wait_for(lambda: ask(own, "berth_build_info"), "a scrape")
        listening = ask(own, 'berth_listeners{state="listening"}')
        assert [(one["metric"]["rule"], one["value"][1])
                for one in listening] == [("web", "1")]
        assert ask(own, 'histogram_quantile(0.5, berth_open_seconds_bucket)')
        wait_equal(lambda: [one["value"][1] for one in ask(own, "up")], ["1"],
                   "prometheus takes all of it")
