# SPDX-License-Identifier: Apache-2.0
"""test_hook.py - berth-hook, fed as runtimes feed it: it tells berthd what
they say, and whatever berthd does, the container starts."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from harness import stand_in
from harness.berthd import BUILD
from harness.wait import GUARD

HOOK = BUILD / "berth-hook"
ID = "0123456789abcdef" * 4
READY = {"registration": "1", "namespace": "a", "namespace_id": 1,
         "ready": True, "listeners": []}
ANNOTATIONS = {"io.berth.labels.app": "web", "io.berth.name": "web-1"}


class Bundle:
    """A container as an OCI runtime shows it to its hooks."""

    def __init__(self, base, netns=None, annotations=None, **state):
        self.path = base / "bundle"
        self.path.mkdir()
        self.state = {
            "ociVersion": "1.0.2", "id": ID, "status": "creating",
            "pid": os.getpid(), "bundle": str(self.path),
            "annotations": annotations or {}, **state}
        network = {"type": "network"}
        if netns:
            network["path"] = str(netns)
        self.write_config({"linux": {"namespaces": [{"type": "pid"},
                                                    network]}})

    def write_config(self, config):
        (self.path / "config.json").write_text(json.dumps(config))

    def run(self, *args, **changed):
        return run(*args, stdin=json.dumps({**self.state, **changed}))


def run(*args, stdin="", env=None):
    env = dict(os.environ, LC_ALL="C", **(env or {}))
    return subprocess.run([str(HOOK), *map(str, args)], input=stdin, text=True,
                          capture_output=True, check=False, timeout=GUARD,
                          env=env)


def cni(command, stdin, **env):
    env = {"CNI_CONTAINERID": ID, "CNI_IFNAME": "eth0",
           "CNI_PATH": str(BUILD), **env, "CNI_COMMAND": command}
    return run(stdin=stdin if isinstance(stdin, str) else json.dumps(stdin),
               env={key: env[key] for key in env if env[key] is not None})


def conf(directory, **more):
    return {"cniVersion": "1.0.0", "name": "pods", "type": "berth-hook",
            "runtimeDir": str(directory), **more}


def assert_starts(process, *words):
    """The container starts; what went wrong is one line, if anything did."""
    assert process.returncode == 0, process.stderr
    lines = process.stderr.splitlines()
    assert len(lines) == (1 if words else 0), process.stderr
    for word in words:
        assert word in lines[0]


@pytest.fixture
def base(tmp_path):
    return tmp_path


def test_tells_what_the_runtime_says(base):
    netns = "/proc/self/ns/net"
    bundle = Bundle(base, netns, ANNOTATIONS)
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(bundle.run("--runtime-dir", base))
        [call] = berthd.calls
        assert call["method"] == "io.berth.Register"
        wait_ms = call["parameters"].pop("wait_ms")
        assert 0 < wait_ms < 1000
        assert call["parameters"] == {
            "fd": 0, "pid": os.getpid(), "id": ID, "name": "web-1",
            "pod_namespace": "", "runtime": "oci", "labels": {"app": "web"},
            "source": "hook"}
        [fd] = berthd.fds
        assert os.fstat(fd).st_ino == os.stat(netns).st_ino


def test_without_a_path_it_is_the_namespace_of_the_pid(base):
    bundle = Bundle(base, annotations={"a.b": "c", "a": "d", "x": "y"})
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(bundle.run("--runtime-dir", base,
                                 "--annotation-prefix", "a"))
        [call] = berthd.calls
        assert "fd" not in call["parameters"] and not berthd.fds
        assert call["parameters"]["pid"] == os.getpid()
        assert call["parameters"]["name"] == ID[:12]
        assert call["parameters"]["labels"] == {"a.b": "c", "a": "d"}


def test_annotations_of_the_bundle_stand_in(base):
    bundle = Bundle(base)
    bundle.write_config({"annotations": ANNOTATIONS, "linux": {
        "namespaces": [{"type": "network"}]}})
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(run("--runtime-dir", base, stdin=json.dumps(
            {key: bundle.state[key] for key in ("id", "status", "pid",
                                                "bundle")})))
        assert berthd.calls[0]["parameters"]["name"] == "web-1"


def test_berthd_of_before_who_tells_was_said(base):
    """The container is told of all the same."""
    def answer(connection, call):
        stand_in.error(
            "org.varlink.service.InvalidParameter", parameter="source",
            message="there is no such parameter")(connection, call) \
            if "source" in call["parameters"] \
            else stand_in.reply(READY)(connection, call)

    bundle = Bundle(base, "/proc/self/ns/net", ANNOTATIONS)
    with stand_in.StandIn(base, answer) as berthd:
        assert_starts(bundle.run("--runtime-dir", base))
        first, second = berthd.calls
    assert first["parameters"].pop("source") == "hook"
    for call in first, second:
        assert call["parameters"].pop("wait_ms") > 0
    assert first == second and len(berthd.fds) == 2


def test_the_network_of_the_host_is_no_containers(base):
    bundle = Bundle(base)
    bundle.write_config({"linux": {"namespaces": [{"type": "pid"}]}})
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(bundle.run("--runtime-dir", base))
        assert not berthd.calls


def test_poststop_ends_it(base):
    bundle = Bundle(base)
    with stand_in.StandIn(base, stand_in.reply({"ended": 1})) as berthd:
        assert_starts(bundle.run("--runtime-dir", base, status="stopped"))
        [call] = berthd.calls
        assert call["method"] == "io.berth.Unregister"
        assert call["parameters"] == {"id": ID}


def test_says_what_is_not_open(base):
    listener = {"rule": "web", "protocol": "tcp", "address": "127.0.0.1",
                "port": 80, "state": "waiting", "reason": "in use\n\x1b[31m"}
    reply = dict(READY, ready=False, listeners=[
        dict(listener, state="open", port=79), listener])
    bundle = Bundle(base, annotations=ANNOTATIONS)
    with stand_in.StandIn(base, stand_in.reply(reply)):
        assert_starts(bundle.run("--runtime-dir", base), "'web-1'",
                      "rule 'web', tcp 127.0.0.1:80", "in use??[31m")


BAD = {
    "hangs": (stand_in.hangs, "does not answer within 50 ms"),
    "drips": (stand_in.drips, "does not answer within 50 ms"),
    "closes": (stand_in.says(b""), "it ended the connection"),
    "breaks off": (stand_in.says(b'{"para'), "it ended the connection"),
    "garbage": (stand_in.says(b"\xff\xfe\0"), "is not berthd"),
    "a number": (stand_in.says(b"7\0"), "is not berthd"),
    "bad error": (stand_in.says(b'{"error": 7}\0'), "is not berthd"),
    "an earlier one": (stand_in.error("org.varlink.service.MethodNotFound",
                                     method="io.berth.Register"),
                       "refuses: org.varlink.service.MethodNotFound"),
    "refuses": (stand_in.error("io.berth.LimitReached", reason="too many"),
                "refuses: io.berth.LimitReached too many"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_berthd_keeps_no_container(base, how):
    """As an OCI hook at both stages, and as a CNI plugin."""
    answer, word = BAD[how]
    bundle = Bundle(base)
    # Who answers at all has all the time that a loaded machine takes.
    timeout_ms = "50" if how in ("hangs", "drips") else "5000"
    args = ("--runtime-dir", base, "--timeout-ms", timeout_ms)
    previous = {"cniVersion": "1.0.0", "ips": []}
    added = conf(base, prevResult=previous, timeoutMs=int(timeout_ms))
    with stand_in.StandIn(base, answer):
        assert_starts(bundle.run(*args), word)
        assert_starts(bundle.run(*args, status="stopped"), word)
        process = cni("ADD", added, CNI_NETNS="/proc/self/ns/net")
        assert_starts(process, word)
        assert json.loads(process.stdout) == previous
        for command in ("CHECK", "DEL", "GC"):
            process = cni(command, added, CNI_NETNS="/proc/self/ns/net")
            assert_starts(process, word)
            assert process.stdout == ""


def test_no_berthd_keeps_no_container(base):
    bundle = Bundle(base)
    assert_starts(bundle.run("--runtime-dir", base),
                  "No such file or directory; going on without it")
    too_long = "/" + "x" * 200
    assert_starts(bundle.run("--runtime-dir", too_long), "File name too long")
    with stand_in.StandIn(base, stand_in.hangs):
        pass
    assert_starts(bundle.run("--runtime-dir", base), "Connection refused")


def test_a_full_backlog_keeps_no_container(base):
    bundle = Bundle(base)
    made = stand_in.StandIn(base, stand_in.hangs, backlog=0)  # accepts nobody
    first = subprocess.Popen(
        [str(HOOK), "--runtime-dir", str(base), "--timeout-ms", "10000"],
        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    first.stdin.write(json.dumps(bundle.state).encode())
    first.stdin.close()
    deadline = time.monotonic() + GUARD
    while True:  # until the first one has the only place
        process = bundle.run("--runtime-dir", base, "--timeout-ms", "50")
        assert_starts(process, "does not answer within 50 ms")
        if first.poll() is None:
            break
        assert time.monotonic() < deadline
    first.kill()
    first.wait()
    with made:
        pass


@pytest.mark.parametrize("how", ("closed", "read by nobody"))
def test_nobody_hears_what_it_says(base, how):
    """Not the socket to berthd either, in place of a closed stderr."""
    bundle = Bundle(base)
    reading, writing = os.pipe()
    os.close(reading)
    heard = []

    def answer(connection, call):
        stand_in.error("io.berth.X")(connection, call)
        heard.append(connection.recv(4096))

    with stand_in.StandIn(base, answer):
        done = subprocess.run(
            ["sh", "-c", 'exec "$0" "$@" 2>&-' if how == "closed"
             else 'exec "$0" "$@"', str(HOOK), "--runtime-dir", str(base)],
            input=json.dumps(bundle.state), text=True, stderr=writing,
            check=False, timeout=GUARD)
        os.close(writing)
    assert done.returncode == 0
    assert heard == [b""]


BAD_INPUT = {
    "nothing": "", "no JSON": "{", "a list": "[]",
    "no id": '{"status": "creating"}',
    "no bundle": '{"id": "a", "status": "creating", "pid": 1}',
    "bundle is nowhere":
        '{"id": "a", "status": "creating", "pid": 1, "bundle": "/none"}',
    "deep": '{"a":' + "[" * 100000,
}


@pytest.mark.parametrize("how", BAD_INPUT)
def test_a_bad_state_keeps_no_container(base, how):
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(run("--runtime-dir", base, stdin=BAD_INPUT[how]),
                      "berthd is not told of")
        assert not berthd.calls


def test_a_state_that_never_ends(base):
    with subprocess.Popen([str(HOOK), "--timeout-ms", "50"],
                          stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        assert process.wait(GUARD) == 0
        assert "does not end in time" in process.stderr.read()


@pytest.mark.parametrize("text", ("", "[]", '{"linux": {"namespaces": 7}'))
def test_a_bad_bundle_keeps_no_container(base, text):
    bundle = Bundle(base)
    (bundle.path / "config.json").write_text(text)
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(bundle.run("--runtime-dir", base),
                      f"container '{ID[:12]}'")
        assert not berthd.calls


def test_bad_options_keep_no_container(base):
    bundle = Bundle(base)
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(bundle.run("--runtime-dir", base, "--nonsense"),
                      "'--nonsense'")
        assert_starts(bundle.run("--runtime-dir", base, "--timeout-ms", "1s"),
                      "'1s' is not a number")
        assert len(berthd.calls) == 2


def test_a_label_too_many(base):
    annotations = {f"io.berth.labels.k{i}": "v" for i in range(300)}
    bundle = Bundle(base, annotations=annotations)
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        assert_starts(bundle.run("--runtime-dir", base), "left out")
        assert len(berthd.calls[0]["parameters"]["labels"]) == 256


def test_cni_adds_and_deletes(base):
    previous = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0"}],
                "ips": [{"address": "10.1.2.3/24", "interface": 0}],
                "unknown": {"b": 1, "a": 2.5}}
    added = conf(base, prevResult=previous, runtimeConfig={
        "io.kubernetes.cri.pod-annotations": {"io.berth.labels.app": "web"}})
    env = {"CNI_NETNS": "/proc/self/ns/net",
           "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;"
                       "K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=" + ID}
    with stand_in.StandIn(base, stand_in.reply(READY)) as berthd:
        process = cni("ADD", added, **env)
        assert_starts(process)
        assert process.stdout == json.dumps(previous, separators=(",", ":"))
        process = cni("CHECK", added, **env)
        assert_starts(process)
        assert process.stdout == ""
        assert_starts(cni("DEL", added, CNI_NETNS=None))
        register, again, unregister = berthd.calls
    parameters = register["parameters"]
    assert parameters.pop("wait_ms") > 0
    assert again["parameters"] == parameters == {
        "fd": 0, "id": ID, "name": "web-1", "pod_namespace": "shop",
        "runtime": "cni", "source": "hook",
        "labels": {"app": "web", "berth.io/cni-network": "pods"}}
    assert unregister["method"] == "io.berth.Unregister"
    assert unregister["parameters"] == {"id": ID}


def test_cni_collects_garbage(base):
    """Of its own network only, and what it told itself."""
    def container(name, network="pods", runtime="cni"):
        return {"id": name, "runtime": runtime, "labels": {
            "berth.io/cni-network": network}}

    first = {"parameters": {"namespaces": [
        {"containers": [container("kept"), container("a")]}]},
        "continues": True}
    last = {"parameters": {"namespaces": [
        {"containers": []}, {"containers": [
            container("b"), container("c", "other"),
            container("d", runtime="podman")]}]}}

    def answer(connection, call):
        if call["method"] == "io.berth.ListNamespaces":
            for part in (first, last):
                connection.sendall(json.dumps(part).encode() + b"\0")
        else:
            connection.sendall(b'{"parameters":{"ended":1}}\0')

    given = {"cni.dev/valid-attachments": [{"containerID": "kept",
                                            "ifname": "eth0"}]}
    with stand_in.StandIn(base, answer) as berthd:
        assert_starts(cni("GC", conf(base, **given), CNI_CONTAINERID=None))
        # It ends them while it reads, on connections of their own.
        assert sorted(call["parameters"].get("id", "")
                      for call in berthd.calls) == ["", "a", "b"]
    # Without a list everything is valid.
    (base / "control.sock").unlink()
    with stand_in.StandIn(base, answer) as berthd:
        assert_starts(cni("GC", conf(base), CNI_CONTAINERID=None))
        assert len(berthd.calls) == 1


def test_cni_needs_no_berthd_for_the_rest(base):
    process = cni("VERSION", {"cniVersion": "0.4.0"})
    assert_starts(process)
    answer = json.loads(process.stdout)
    assert answer["cniVersion"] == "0.4.0"
    assert {"0.4.0", "1.0.0", "1.1.0"} <= set(answer["supportedVersions"])
    process = cni("STATUS", conf(base))
    assert_starts(process)
    assert process.stdout == ""


def cni_error(process):
    assert process.returncode == 1
    answer = json.loads(process.stdout)
    assert answer["cniVersion"] and answer["msg"]
    return answer["code"]


def test_cni_calls_without_an_answer(base):
    """Only what nothing can be answered to fails."""
    given = conf(base)
    assert cni_error(cni("NONSENSE", given)) == 4
    assert cni_error(cni("ADD", given)) == 4
    assert cni_error(cni("ADD", given, CNI_NETNS="/x",
                         CNI_CONTAINERID=None)) == 4
    assert cni_error(cni("DEL", given, CNI_CONTAINERID=None)) == 4
    assert cni_error(cni("DEL", given, CNI_CONTAINERID="../x")) == 4
    assert cni_error(cni("ADD", "{", CNI_NETNS="/x")) == 6
    process = cni("ADD", given, CNI_NETNS="/nonexistent/netns")
    assert_starts(process, "'/nonexistent/netns'")
    assert json.loads(process.stdout) == {"cniVersion": "1.0.0"}
    assert_starts(cni("ADD", conf(base, runtimeDir=7),
                      CNI_NETNS="/proc/self/ns/net"), "runtimeDir")


def test_the_program_explains_itself():
    process = run("--help")
    assert process.returncode == 0 and "CNI_COMMAND" in process.stdout
    assert run("--version").stdout.startswith("berth-hook ")


def test_examples_name_it():
    examples = Path(__file__).parents[2] / "contrib"
    hook = json.loads((examples / "hooks.d/berth.json").read_text())
    assert hook["version"] == "1.0.0"
    assert hook["stages"] == ["createRuntime", "poststop"]
    plugins = json.loads(
        (examples / "cni/berth.conflist").read_text())["plugins"]
    assert plugins[-1]["type"] == "berth-hook"
