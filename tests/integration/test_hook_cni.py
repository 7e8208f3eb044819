# SPDX-License-Identifier: Apache-2.0
"""test_hook_cni.py - berth-hook behind the CNI plugins that runtimes use."""

import json
import os
import subprocess

import pytest

from harness.berthd import BUILD
from harness.rules import rule, rules
from harness.wait import GUARD, wait_equal, wait_for

PLUGINS = "/usr/lib/cni"
PORT = 8080


class Runtime:
    """Runs a list of plugins as a runtime does: each gets the result of the
    one before; a deletion begins with the last."""

    def __init__(self, world, kind, annotations=None, **ours):
        if not os.path.exists(f"{PLUGINS}/{kind}"):
            pytest.skip(f"no {PLUGINS}/{kind}: contrib/install-dependencies "
                        "test")
        first = {"type": kind, "ipam": {
            "type": "host-local", "dataDir": str(world.mkdir("ipam")),
            "ranges": [[{"subnet": "10.99.0.0/24"}]]}}
        if kind == "bridge":
            first.update(bridge="berth-test0", isGateway=True)
        self.plugins = [first, {"type": "berth-hook", "runtimeConfig": {
            "io.kubernetes.cri.pod-annotations": annotations or {}}, **ours}]

    def _run(self, plugin, command, netns, result=None, said="", **more):
        conf = {"cniVersion": "1.0.0", "name": "pods", **plugin, **more}
        if result:
            conf["prevResult"] = result
        process = subprocess.run(
            [f"{PLUGINS}/{plugin['type']}" if plugin["type"] != "berth-hook"
             else str(BUILD / "berth-hook")],
            input=json.dumps(conf), text=True, capture_output=True,
            check=False, timeout=GUARD, env=dict(
                os.environ, CNI_COMMAND=command, CNI_PATH=PLUGINS,
                CNI_CONTAINERID=f"id-of-{netns.name}", CNI_IFNAME="eth0",
                CNI_NETNS=netns.path,
                CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;"
                         f"K8S_POD_NAME={netns.name}"))
        assert process.returncode == 0, process.stdout + process.stderr
        ours = plugin["type"] == "berth-hook"
        assert process.stderr == "" if not (ours and said) else \
            said in process.stderr
        return json.loads(process.stdout) if process.stdout else None

    def add(self, netns, said=""):
        """Return: the results of all plugins, in order. @said: a part of what
        ours has to say."""
        results = [None]
        for plugin in self.plugins:
            results.append(self._run(plugin, "ADD", netns, results[-1], said))
        return results[1:]

    def check(self, netns, result):
        for plugin in self.plugins:
            self._run(plugin, "CHECK", netns, result)

    def delete(self, netns, result):
        for plugin in reversed(self.plugins):
            self._run(plugin, "DEL", netns, result)
        if bridge := self.plugins[0].get("bridge"):  # it stays, as it should
            subprocess.run(["ip", "link", "del", bridge], check=True)

    def collect(self, netns, *valid):
        """Only ours: Debian's plugins know no GC."""
        self._run(self.plugins[-1], "GC", netns, **{
            "cni.dev/valid-attachments": [
                {"containerID": f"id-of-{one.name}", "ifname": "eth0"}
                for one in valid]})


def by_label():
    return rule(name="by-label", namespace=None, port=PORT,
                match={"labels": "app=web", "container": "web-*",
                       "pod_namespace": "shop"})


def told(berthd):
    return {container["name"]
            for netns in berthd.namespaces()
            for container in netns["containers"]}


@pytest.mark.parametrize("kind", ("ptp", "bridge"))
def test_a_pod_is_added_checked_and_deleted(world, kind):
    berthd = world.berthd(rules(by_label()))
    runtime = Runtime(world, kind, {"io.berth.labels.app": "web"},
                      runtimeDir=str(berthd.runtime))
    pod = world.netns("web-1")
    first, last = runtime.add(pod)
    assert first == last and last["ips"]
    # The listener is open when ADD comes back.
    assert f"tcp *:{PORT}" in pod.listeners()
    assert pod.ask(last["ips"][0]["address"].partition("/")[0], PORT) == b"ack"
    assert told(berthd) == {"web-1"}
    runtime.check(pod, last)
    assert told(berthd) == {"web-1"}
    runtime.delete(pod, last)
    assert told(berthd) == set()
    wait_equal(pod.listeners, set(), "the listener to be closed")


def test_check_registers_what_started_without_berthd(world):
    berthd = world.berthd(rules(by_label()))
    runtime = Runtime(world, "ptp", {"io.berth.labels.app": "web"},
                      runtimeDir=str(world.mkdir("nobody")))
    pod = world.netns("web-1")
    _, last = runtime.add(pod, said="No such file or directory")
    assert pod.listeners() == set()
    runtime.plugins[-1]["runtimeDir"] = str(berthd.runtime)
    runtime.check(pod, last)
    wait_for(lambda: f"tcp *:{PORT}" in pod.listeners(), "the listener")
    runtime.delete(pod, last)


def test_garbage_is_collected(world):
    berthd = world.berthd(rules(by_label()))
    runtime = Runtime(world, "ptp", {"io.berth.labels.app": "web"},
                      runtimeDir=str(berthd.runtime))
    pods = [world.netns(name) for name in ("web-1", "web-2")]
    results = [runtime.add(pod)[-1] for pod in pods]
    assert told(berthd) == {"web-1", "web-2"}
    runtime.collect(pods[0], *pods)
    assert told(berthd) == {"web-1", "web-2"}
    runtime.collect(pods[0], pods[1])
    assert told(berthd) == {"web-2"}
    wait_equal(pods[0].listeners, set(), "the listener to be closed")
    for pod, result in zip(pods, results):
        runtime.delete(pod, result)
