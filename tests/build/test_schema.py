# SPDX-License-Identifier: Apache-2.0
"""test_schema.py - what editors check is what berthd takes."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
SCHEMA = ROOT / "contrib" / "schema"
KINDS = {"rules": "berth-rules.schema.json", "config": "berthd.schema.json"}
GOOD = [(kind, path) for kind in KINDS
        for path in sorted((UNIT / kind).glob("*.in.yaml"))
        if path.with_name(path.name.replace(".in.yaml", ".ok")).exists()]
EXAMPLES = sorted((ROOT / "contrib" / "rules.d").glob("*.yaml"))


def validator(kind):
    schema = json.loads((SCHEMA / KINDS[kind]).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def named(value):
    """Keys of JSON are texts; YAML takes `on` for a truth."""
    if isinstance(value, dict):
        return {str(key): named(value[key]) for key in value}
    return [named(v) for v in value] if isinstance(value, list) else value


def read(path):
    return named(yaml.safe_load(path.read_text(encoding="utf-8-sig")))


@pytest.mark.parametrize("kind,path", GOOD, ids=lambda x: getattr(
    x, "name", x))
def test_takes_what_berthd_takes(kind, path):
    validator(kind).validate(read(path))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_takes_the_examples(path):
    validator("rules").validate(read(path))


def test_takes_the_configuration_that_is_installed():
    validator("config").validate(read(ROOT / "contrib" / "berthd.yaml"))


@pytest.mark.parametrize("name", ["35-rule", "39-log", "50-listen", "57-balance"])
def test_refuses_rules_that_berthd_refuses(name):
    assert not validator("rules").is_valid(
        read(UNIT / "rules" / f"{name}.in.yaml"))


@pytest.mark.parametrize("name", ["35-level", "38-format", "36-level"])
def test_refuses_configurations_that_berthd_refuses(name):
    assert not validator("config").is_valid(
        read(UNIT / "config" / f"{name}.in.yaml"))


def test_refuses_unknown_keys():
    rule = {"name": "a", "listen": {"protocol": "tcp", "port": 80},
            "respond": "echo"}
    assert validator("rules").is_valid({"rules": [rule]})
    assert not validator("rules").is_valid({"rules": [dict(rule, x=1)]})
    assert not validator("config").is_valid({"worker": 3})


def words_of(*files):
    """The keys in the tables of the parsers."""
    text = "".join((ROOT / file).read_text() for file in files)
    return set(re.findall(r'\[(?:[A-Z]+_)+[A-Z]+\] = "([a-z_]+)"', text))


def keys_of(schema):
    """All keys that a schema knows."""
    found = set()
    if isinstance(schema, dict):
        found |= set(schema.get("properties", {}))
        schema = list(schema.values())
    for value in schema if isinstance(schema, list) else []:
        found |= keys_of(value)
    return found


def test_no_key_is_forgotten():
    known = keys_of(json.loads((SCHEMA / KINDS["rules"]).read_text()))
    assert words_of(*(f"rules/parse_{part}.c" for part in (
        "file", "match", "listen", "action", "proxy", "provide", "check",
        "http", "rate", "to"))) <= known
    known = keys_of(json.loads((SCHEMA / KINDS["config"]).read_text()))
    assert words_of("daemon/config_consumers.c", "daemon/config_control.c") \
        <= known
