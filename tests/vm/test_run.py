# SPDX-License-Identifier: Apache-2.0
"""test_run.py - tests/vm/run keeps its word, also when a machine does not

Runs on the host. One kernel is enough: none of it depends on which.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from guest_kernel import GuestKernel, scratch_folder

RUN = pathlib.Path(__file__).with_name("run")
ROOT = RUN.parents[2]
BUILD = ROOT / os.environ.get("BERTH_BUILD", "build")
GUARD = 120


@pytest.fixture(scope="module")
def base():
    """The folder of 6.1 in a build folder of the tests' own.

    Other runs do not come in between, and the kernel is not fetched again.
    """
    kernel = GuestKernel.get("6.1", BUILD / "vm")
    with scratch_folder(BUILD / "vm") as folder:
        made = folder / "vm/6.1"
        made.mkdir(parents=True)
        (made / "kernel").symlink_to(kernel.folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BERTH_BUILD", str(folder))
            yield made


def start(*words, **options):
    return subprocess.Popen([RUN, "--kernel", "6.1", *words], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **options)


def finish(process):
    """Its status, stdout and stderr; a run that hangs fails the test."""
    try:
        stdout, stderr = process.communicate(timeout=GUARD)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, stdout, stderr


def run(*words, **options):
    return finish(start(*words, **options))


def machines(base):
    """The pids of all qemu processes that use a folder below base."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"qemu-system-x86_64") \
                and any(bytes(base) in word for word in words):
            found.append(int(entry.parent.name))
    return found


def wait_until(predicate):
    deadline = time.monotonic() + GUARD
    while not predicate():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def nothing_left(base):
    yield
    assert machines(base) == []
    assert list(base.glob("run-*")) == []


def test_output_status_and_files(base, tmp_path):
    """All that a command does, in one boot: each costs many seconds."""
    script = """
        nproc
        echo to-stdout; echo to-stderr >/dev/stderr; printf '%s|' "$@"; pwd
        echo result >"$BERTH_VM_OUTPUT/result"
        echo changed >"$0"; touch /etc/vmtest-changed
        sleep 1000 & exit 77
    """
    victim = tmp_path / "victim file"
    victim.write_text("unchanged")
    status, stdout, stderr = run("--cpus", "2", "--", "bash", "-c", script,
                                 str(victim), "two words", "*", "",
                                 cwd=tmp_path)
    assert stdout.splitlines() == ["2", "to-stdout", "to-stderr",
                                   f"two words|*||{tmp_path}"]
    assert status == 77
    assert "exit status 77" in stderr
    assert (base / "output/result").read_text() == "result\n"
    assert victim.read_text() == "unchanged"
    assert not pathlib.Path("/etc/vmtest-changed").exists()


def test_a_kernel_that_dies_is_no_success():
    status, _, stderr = run("--", "sh", "-c", "echo c >/proc/sysrq-trigger")
    assert status == 125
    assert "the machine died while the command ran" in stderr
    assert "Kernel panic" in stderr


def test_timeout():
    begin = time.monotonic()
    status, _, stderr = run("--timeout", "2", "--", "true")
    assert status == 124
    assert "not done after 2 s" in stderr
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_machine(base, number):
    process = start("--", "true")
    wait_until(lambda: machines(base))
    process.send_signal(number)
    status, _, _ = finish(process)
    assert status == 128 + number


def test_a_machine_does_not_outlive_a_killed_run(base):
    process = start("--", "true")
    wait_until(lambda: machines(base))
    process.kill()
    finish(process)
    wait_until(lambda: not machines(base))
    for folder in base.glob("run-*"):
        shutil.rmtree(folder)


def test_missing_tools(tmp_path):
    """Says what to install."""
    for tool in ("python3", "busybox", "dpkg", "apt-get"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    status, _, stderr = run("--", "true", env={"PATH": str(tmp_path)})
    assert status == 125
    assert "qemu-system-x86_64" in stderr
    assert "contrib/install-dependencies build test vm" in stderr


@pytest.mark.parametrize("words, text", [
    (["--kernel", "5.0", "--", "true"], "invalid choice: '5.0'"),
    (["--cpus", "many", "--", "true"], "invalid int value: 'many'"),
    ([], "the following arguments are required: COMMAND"),
])
def test_bad_usage(words, text):
    status, _, stderr = run(*words)
    assert status == 2
    assert text in stderr


def chosen(kernel, *words):
    """The tests of SCTP that the suite runs under one of two kernels."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q",
         "--collect-only", *words,
         "--ignore=tests/vm/test_run.py", "--ignore=tests/vm/test_systemd.py",
         "tests/vm"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        env=dict(os.environ, BERTH_VM=kernel, KERNELS="6.1 6.12"))
    return {line for line in done.stdout.splitlines() if "::" in line}


def test_each_test_has_a_kernel():
    """Those marked run under both, the others under the last."""
    every, both = chosen("another"), chosen("another", "-m", "kernel")
    first, second = chosen("6.1"), chosen("6.12")
    assert first | second == every
    assert first & second == both
    assert both and first == both and second > both
