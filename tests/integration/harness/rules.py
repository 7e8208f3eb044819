# SPDX-License-Identifier: Apache-2.0
"""rules.py - rules files as the tests write them."""

import yaml


class _Dumper(yaml.SafeDumper):
    """Without anchors, which the rule language does not have."""

    def ignore_aliases(self, data):
        return True


def rule(name="web", namespace="*", listen=None, port=8080, protocol="tcp",
         address="any", match=None, **action):
    """One rule; without an action it answers "ack"."""
    conditions = {} if namespace is None else {"namespace": namespace}
    conditions.update(match or {})
    entry = {"protocol": protocol, "address": address, "port": port}
    made = {"name": name, "match": conditions, "listen": listen or [entry]}
    made.update(action or {"respond": "ack"})
    return made


def rules(*made):
    """The text of a rules file."""
    return yaml.dump({"rules": list(made)}, Dumper=_Dumper, sort_keys=False)


def ack(**kwargs):
    """A file with one rule."""
    return rules(rule(**kwargs))


def forward(to, name="web", options=None, **kwargs):
    """A file with one rule that forwards."""
    return rules(rule(name=name, forward=dict({"to": to}, **(options or {})),
                      **kwargs))
