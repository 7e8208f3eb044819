# SPDX-License-Identifier: Apache-2.0
"""test_deployment.py - berth in a container: the DaemonSet is one for the API,
it, the image and the unit agree, and what they say starts under podman"""
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from make import ROOT

sys.path.append(str(ROOT / "tests/integration"))
from harness.podman import Podman, problem  # noqa: E402

CONTAINERFILE = ROOT / "contrib/container/Containerfile"
MANIFEST = yaml.safe_load((ROOT / "contrib/kubernetes/berth.yaml").read_text())
UNIT = (ROOT / "contrib/berthd.service").read_text()
GUARD = 60

# Of the API's DaemonSet (apps/v1) and what it is made of (v1), as Kubernetes
# documents them: the fields that a manifest like this may have. A type, a tuple
# of words, [type of each item], {str: type} for a map, or a table of fields; a
# field with a * must be there.
META = {"name*": str, "namespace": str, "labels": {str: str},
        "annotations": {str: str}}
PROBE = {"exec": {"command*": [str]}, "initialDelaySeconds": int,
         "periodSeconds": int, "timeoutSeconds": int, "failureThreshold": int}
CAPABILITIES = {"add": [str], "drop": [str]}
SECURITY = {"privileged": bool, "allowPrivilegeEscalation": bool,
            "readOnlyRootFilesystem": bool, "runAsUser": int,
            "runAsGroup": int, "runAsNonRoot": bool,
            "capabilities": CAPABILITIES,
            "seccompProfile": {"type*": ("RuntimeDefault", "Unconfined",
                                         "Localhost")}}
CONTAINER = {
    "name*": str, "image*": str, "command": [str], "args": [str],
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "securityContext": SECURITY, "readinessProbe": PROBE,
    "livenessProbe": PROBE, "startupProbe": PROBE,
    "resources": {"requests": {str: str}, "limits": {str: str}},
    "volumeMounts": [{"name*": str, "mountPath*": str, "readOnly": bool,
                      "mountPropagation": ("None", "HostToContainer",
                                           "Bidirectional")}]}
POD = {
    "hostNetwork": bool, "hostPID": bool, "hostIPC": bool,
    "automountServiceAccountToken": bool, "priorityClassName": str,
    "terminationGracePeriodSeconds": int, "serviceAccountName": str,
    "nodeSelector": {str: str}, "dnsPolicy": str,
    "tolerations": [{"operator": ("Exists", "Equal"), "key": str,
                     "value": str, "effect": str}],
    "containers*": [CONTAINER], "initContainers": [CONTAINER],
    "volumes": [{"name*": str, "hostPath": {
        "path*": str, "type": ("", "Directory", "DirectoryOrCreate", "File",
                               "FileOrCreate", "Socket")}}]}
DAEMON_SET = {
    "apiVersion*": ("apps/v1",), "kind*": ("DaemonSet",), "metadata*": META,
    "spec*": {
        "selector*": {"matchLabels*": {str: str}},
        "updateStrategy": {"type": ("RollingUpdate", "OnDelete"),
                           "rollingUpdate": {"maxUnavailable": int,
                                             "maxSurge": int}},
        "minReadySeconds": int,
        "template*": {"metadata*": {key.rstrip("*"): META[key]
                                    for key in META}, "spec*": POD}}}


def wrong(value, expected, where="$"):
    """The places at which a value is not what the schema expects."""
    if isinstance(expected, tuple):
        return [] if value in expected else [where]
    if isinstance(expected, type):
        return [] if type(value) is expected else [where]
    if isinstance(expected, list):
        if not isinstance(value, list):
            return [where]
        return [place for i, item in enumerate(value)
                for place in wrong(item, expected[0], f"{where}[{i}]")]
    if not isinstance(value, dict):
        return [where]
    if str in expected:
        return [f"{where}.{key}" for key in value
                if not isinstance(value[key], expected[str])]
    fields = {key.rstrip("*"): kind for key, kind in expected.items()}
    missing = [f"{where}.{key[:-1]}" for key in expected
               if key.endswith("*") and key[:-1] not in value]
    return missing + [
        place for key, item in value.items()
        for place in (wrong(item, fields[key], f"{where}.{key}")
                      if key in fields else [f"{where}.{key}"])]


def pod():
    return MANIFEST["spec"]["template"]["spec"]


def container():
    found, = pod()["containers"]
    return found


def test_manifest_is_a_daemon_set():
    assert wrong(MANIFEST, DAEMON_SET) == []
    labels = MANIFEST["spec"]["template"]["metadata"]["labels"]
    assert MANIFEST["spec"]["selector"]["matchLabels"].items() \
        <= labels.items()
    volumes = {volume["name"] for volume in pod()["volumes"]}
    assert {mount["name"] for mount in container()["volumeMounts"]} == volumes


@pytest.mark.parametrize("change, place", [
    (lambda spec: spec.update(hostNetworks=True), "$.hostNetworks"),
    (lambda spec: spec.update(hostPID="yes"), "$.hostPID"),
    (lambda spec: spec["containers"][0].pop("image"), "$.containers[0].image"),
    (lambda spec: spec["containers"][0]["volumeMounts"][0].update(
        mountPropagation="rslave"),
     "$.containers[0].volumeMounts[0].mountPropagation"),
])
def test_schema_finds_mistakes(change, place):
    spec = yaml.safe_load(yaml.safe_dump(pod()))
    change(spec)
    assert wrong(spec, POD) == [place]


def unit_capabilities():
    lines = re.findall(r"^CapabilityBoundingSet=(.*)", UNIT, re.M)
    return {name.removeprefix("CAP_") for name in " ".join(lines).split()}


def test_capabilities_are_those_of_the_unit():
    security = container()["securityContext"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert set(security["capabilities"]["add"]) == unit_capabilities()
    assert not security["privileged"]
    assert set(re.findall(r"--cap-add (\w+)", CONTAINERFILE.read_text())) \
        == unit_capabilities()


def test_names_of_the_node_arrive():
    """As berthd watches them, see its own defaults."""
    mounts = {mount["mountPath"]: mount
              for mount in container()["volumeMounts"]}
    assert mounts["/run/netns"]["mountPropagation"] == "HostToContainer"
    assert pod()["hostNetwork"] and pod()["hostPID"]
    assert "/run/netns:/run/netns:ro,rslave" in CONTAINERFILE.read_text()


def instructions():
    """[(name, words)] of the Containerfile, comments and folds undone."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.M)
    text = text.replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line]


def test_containerfile_is_one():
    names = [name for name, _ in instructions()]
    assert names == ["FROM", "COPY", "RUN", "STOPSIGNAL", "ENTRYPOINT"]
    made = dict(instructions())
    assert made["COPY"].split()[0] in made["RUN"].replace("/tmp/", "")
    subprocess.run(["bash", "-n", "-c", made["RUN"]], check=True)


class Host:
    """A mount namespace, in which a directory of names is shared as /run is
    on a host, and a container sees what comes there later."""

    def __init__(self, base):
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sleep",
             "infinity"])
        own = os.readlink("/proc/self/ns/mnt")
        wait_for(lambda: os.readlink(
            f"/proc/{self.holder.pid}/ns/mnt") != own, "mount namespace")
        wait_for(lambda: Path(f"/proc/{self.holder.pid}/comm").read_text()
                 == "sleep\n", "mount namespace")
        self.names = base / "netns"
        self.names.mkdir()
        self.run("mount", "--bind", self.names, self.names)
        self.run("mount", "--make-shared", self.names)

    def command(self, *words):
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--",
                *map(str, words)]

    def run(self, *words, check=True):
        return subprocess.run(self.command(*words), check=check, text=True,
                              capture_output=True, timeout=GUARD)

    def netns(self, name):
        path = self.names / name
        path.touch()
        self.run("unshare", f"--net={path}", "ip", "link", "set", "lo", "up")
        return path

    def ask(self, netns):
        return self.run("nsenter", f"--net={netns}", "bash", "-c",
                        "cat </dev/tcp/127.0.0.1/8080", check=False).stdout

    def close(self):
        self.holder.kill()
        self.holder.wait()


def wait_for(predicate, what):
    deadline = time.monotonic() + GUARD
    while True:
        with contextlib.suppress(OSError):
            if found := predicate():
                return found
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


def install(package, rootfs):
    """What the Containerfile's RUN leaves of it: its files, the libraries that
    its programs need, and its users."""
    subprocess.run(["dpkg-deb", "--extract", package, rootfs], check=True)
    for program in (*rootfs.glob("usr/sbin/*"), *rootfs.glob("usr/bin/*"),
                    *rootfs.glob("usr/libexec/berth/*")):
        if program.read_bytes()[:4] != b"\x7fELF":
            continue  # a script
        listed = subprocess.run(["ldd", program], check=True, text=True,
                                capture_output=True).stdout
        for path in re.findall(r"(/\S+) \(0x", listed):
            there = rootfs / path[1:]
            if not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, there)
    names = re.findall(r"^u (\S+)", (
        rootfs / "usr/lib/sysusers.d/berth.conf").read_text(), re.M)
    for file, line in (("passwd", "{0}:x:{1}:{1}::/:/sbin/nologin\n"),
                       ("group", "{0}:x:{1}:\n")):
        (rootfs / "etc" / file).write_text(
            "root:x:0:0::/root:/bin/sh\n" + "".join(
                line.format(name, 800 + i) for i, name in enumerate(names)))


@pytest.fixture
def base():
    """Its path is short: sockets stand in it."""
    path = Path(tempfile.mkdtemp(prefix="berth-image-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_image_starts(packages, base):
    """As the DaemonSet has it: these capabilities, the host's network and
    pids, its mounts as they come, and a root that cannot be written."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if reason := problem():
        pytest.skip(reason)
    engine = Podman(base / "podman")
    rootfs = engine.rootfs
    package, = packages.glob("berth_*.deb")
    install(package, rootfs)
    host = Host(base)
    rules, run = base / "rules", base / "run"
    for path in (rules, run):
        path.mkdir()
    (rules / "10-hello.yaml").write_text(
        "rules: [ { name: hello, match: { namespace: \"late\" }, listen: "
        "[ { protocol: tcp, address: any, port: 8080 } ], respond: ack } ]\n")
    entry = shlex.split(re.sub(r'[\[\],]', " ", dict(instructions())[
        "ENTRYPOINT"]))
    capabilities = container()["securityContext"]["capabilities"]["add"]
    command = engine.command(
        "run", "--name", "berth", "--log-driver", "none", "--read-only",
        "--network", "host", "--pid", "host", "--cap-drop", "all",
        *(f"--cap-add={name}" for name in capabilities),
        "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
        "--volume", f"{host.names}:/run/netns:ro,rslave",
        "--volume", f"{rules}:/etc/berth/rules.d:ro",
        "--volume", f"{run}:/run/berth", "--rootfs", rootfs, *entry)
    with open(base / "log", "wb") as log:
        berthd = subprocess.Popen(host.command(*command), stdout=log,
                                  stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: berthd.poll() is not None
                 or (run / "control.sock").exists(), "control socket")
        netns = host.netns("late")
        wait_for(lambda: berthd.poll() is not None
                 or host.ask(netns) == "ack", "answer")
        assert berthd.poll() is None, (base / "log").read_text()
        signal = dict(instructions())["STOPSIGNAL"]
        host.run(*engine.command("kill", "--signal", signal, "berth"))
        assert berthd.wait(GUARD) == 0, (base / "log").read_text()
    finally:
        host.run(*engine.command("rm", "--force", "--time", "0", "berth"),
                 check=False)
        berthd.kill()
        berthd.wait()
        engine.close()
        host.close()
