# SPDX-License-Identifier: Apache-2.0
"""test_service.py - the systemd unit fits the program"""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = (ROOT / "contrib/berthd.service").read_text()
RELAY_UNIT = (ROOT / "contrib/berth-relay.service").read_text()
FOLLOW_UNIT = (ROOT / "contrib/berth-follow.service").read_text()
WEB_UNIT = (ROOT / "contrib/berth-web.service").read_text()


def settings(unit):
    return [line.split("=", 1) for line in unit.splitlines()
            if "=" in line and not line.startswith("#")]


SETTINGS = settings(UNIT)

# systemd.exec(5): each gives the service a mount namespace, in which a name
# of a network namespace would not appear as it does on the host.
MOUNT_NAMESPACE = {
    "BindPaths", "BindReadOnlyPaths", "DynamicUser", "ExecPaths",
    "InaccessiblePaths", "MountFlags", "NoExecPaths", "PrivateDevices",
    "PrivateIPC", "PrivateMounts", "PrivateTmp", "ProcSubset",
    "ProtectControlGroups", "ProtectHome",
    "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
    "ProtectProc", "ProtectSystem", "ReadOnlyPaths", "ReadWritePaths",
    "RootDirectory", "RootImage", "TemporaryFileSystem",
}


def values(name):
    return [value for key, value in SETTINGS if key == name]


def test_capabilities_are_those_that_berthd_keeps():
    source = (ROOT / "daemon/privileges.c").read_text()
    table = source[source.index("needed[] = {"):]
    kept = set(re.findall(r"\{ (CAP_\w+),", table[:table.index("};")]))
    granted = set(" ".join(values("CapabilityBoundingSet")).split())
    assert kept and granted == kept


def test_readme_names_every_capability():
    text = (ROOT / "README.md").read_text()
    for name in " ".join(values("CapabilityBoundingSet")).split():
        assert name in text, name


@pytest.mark.parametrize("unit", [UNIT, RELAY_UNIT, FOLLOW_UNIT, WEB_UNIT])
def test_no_mount_namespace_of_its_own(unit):
    assert {key for key, _ in settings(unit)} & MOUNT_NAMESPACE == set()


@pytest.mark.parametrize("name,text", [
    ("berth-relay", RELAY_UNIT), ("berth-follow", FOLLOW_UNIT),
    ("berth-web", WEB_UNIT)])
def test_others_have_nothing(name, text):
    """From the start: a user of its own, no capability, no namespace."""
    unit = dict(settings(text))
    assert unit["User"] == name
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == ""
    assert unit["NoNewPrivileges"] == unit["RestrictNamespaces"] == "yes"
    assert f"u {name} " in (ROOT / "contrib/berth.sysusers").read_text()


def test_web_is_a_reader():
    """It is in the group that berthd lets read, which exists."""
    assert dict(settings(WEB_UNIT))["SupplementaryGroups"] == "berth"
    assert "g berth " in (ROOT / "contrib/berth.sysusers").read_text()


def test_follow_sees_processes_and_the_hosts_network():
    """By which it knows the containers that have the host's network."""
    unit = dict(settings(FOLLOW_UNIT))
    assert not {"ProtectProc", "PrivateNetwork", "ProcSubset"} & unit.keys()
    assert unit["RestrictAddressFamilies"] == "AF_UNIX"


def test_relay_can_be_reloaded():
    """The new main process is no child of the old one."""
    relay = dict(settings(RELAY_UNIT))
    assert (relay["Type"], relay["NotifyAccess"]) == ("notify", "all")
    reload = RELAY_UNIT[RELAY_UNIT.index("ExecReload="):]
    assert "--takeover --background" in reload[:reload.index("\n#")]


def test_no_network_namespace_of_its_own():
    assert values("PrivateNetwork") == []
    assert values("RestrictNamespaces") == ["net"]


def test_restart_leaves_consumers_what_they_have():
    """berthd(8), SIGNALS: SIGTERM ends berthd alone, SIGINT everything."""
    assert values("RestartKillSignal") == ["SIGTERM"]
    assert values("KillSignal") == ["SIGINT"]
    assert values("KillMode") == ["process"]
    assert values("RuntimeDirectoryPreserve") == ["yes"]


def test_reload_fails_when_a_file_has_an_error():
    """A signal would return at once and could not fail."""
    assert values("ExecReload") == ["@BINDIR@/berthctl reload"]


@pytest.mark.parametrize("name,text", [
    ("berthd.service", UNIT), ("berth-relay.service", RELAY_UNIT),
    ("berth-follow.service", FOLLOW_UNIT),
    ("berth-web.service", WEB_UNIT)])
def test_systemd_accepts_it(tmp_path, name, text):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze on this machine")
    unit = tmp_path / name
    unit.write_text(text.replace("@SBINDIR@/berthd", "/bin/true")
                    .replace("@BINDIR@/berthctl", "/bin/true")
                    .replace("@LIBEXECDIR@/berth-relay", "/bin/true")
                    .replace("@LIBEXECDIR@/berth-follow", "/bin/true")
                    .replace("@LIBEXECDIR@/berth-web", "/bin/true")
                    .replace("@DOCDIR@", "/usr/share/doc/berth"))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", unit],
                            text=True, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert name not in result.stderr
