# SPDX-License-Identifier: Apache-2.0
"""oracle.py - what should be listening, worked out a second time.

Written from the manual of the rule language alone, and as plainly as can be:
it shares no idea with berthd's own code, so that both are not wrong together.
"""

import fnmatch
import ipaddress
import re

from .netns import endpoint


def wanted(files, names, addresses, host=False):
    """The endpoints that should be open in one namespace.

    files: parsed rules files in order; names: of the namespace; addresses: as
    Place.addresses() returns them. Return: set of texts as ss prints them.
    """
    accepted = []
    for document in files:
        for rule in document["rules"]:
            for candidate in _candidates(rule, names, addresses, host):
                if not any(_collide(candidate, other) for other in accepted):
                    accepted.append(candidate)
    return {endpoint(protocol, address, port)
            for protocol, address, port in accepted}


def _candidates(rule, names, addresses, host):
    match = rule["match"]
    if not _holds_for_namespace(match, names, host):
        return
    matching = [a for a in addresses if _address_matches(match, a)]
    if _has_address_condition(match) and not matching:
        return
    for entry in rule["listen"]:
        for protocol in _list(entry["protocol"]):
            for port in _ports(entry["port"]):
                for address in _list(entry.get("address", "any")):
                    for text in _texts(address, matching,
                                       entry.get("interface_bound")):
                        yield protocol, text, port


def _texts(address, matching, bound=False):
    if address == "any":
        return ["*"]
    if address == "any4":
        return ["0.0.0.0"]
    if address == "any6":
        return ["::"]
    if address == "each":
        return [_scoped(a, bound) for a in matching]
    return [address]


def _scoped(address, bound):
    if bound or ipaddress.ip_address(address["local"]).is_link_local \
            and ":" in address["local"]:
        return f"{address['local']}%{address['ifname']}"
    return address["local"]


def _holds_for_namespace(match, names, host):
    if host:
        return bool(match.get("host"))
    patterns = _list(match.get("namespace", []))
    if not patterns:
        return not match.get("host")
    return any(_pattern_matches(patterns, name) for name in names)


def _pattern_matches(patterns, text):
    positive = [p for p in patterns if not p.startswith("!")]
    negative = [p[1:] for p in patterns if p.startswith("!")]
    return any(_one_pattern(p, text) for p in positive) \
        and not any(_one_pattern(p, text) for p in negative)


def _one_pattern(pattern, text):
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        return re.fullmatch(pattern[1:-1], text) is not None
    return fnmatch.fnmatchcase(text, pattern)


def _has_address_condition(match):
    return bool({"interface", "address", "family", "scope"} & set(match))


def _address_matches(match, address):
    if address.get("tentative") or address.get("dadfailed"):
        return False
    if address["scope"] not in _list(match.get("scope", ["global", "host"])):
        return False
    if "interface" in match and not _pattern_matches(
            _list(match["interface"]), address["ifname"]):
        return False
    if "family" in match and match["family"] != \
            {"inet": "ipv4", "inet6": "ipv6"}[address["family"]]:
        return False
    nets = _list(match.get("address", []))
    positive = [n for n in nets if not n.startswith("!")]
    negative = [n[1:] for n in nets if n.startswith("!")]
    if nets and not any(_in_net(n, address["local"]) for n in positive):
        return False
    return not any(_in_net(n, address["local"]) for n in negative)


def _in_net(net, address):
    network = ipaddress.ip_network(net)
    parsed = ipaddress.ip_address(address)
    return network.version == parsed.version and parsed in network


def _collide(one, other):
    """Would the kernel refuse the second, or is it the very same?"""
    if (one[0], one[2]) != (other[0], other[2]):
        return False
    return addresses_collide(one[1], other[1])


def address_of(text):
    """The address of an endpoint as ss prints it, without brackets."""
    return text.partition(" ")[2].rpartition(":")[0] \
        .replace("[", "").replace("]", "")


def addresses_collide(one, other):
    """Sockets that are bound to two interfaces never do."""
    one, _, interface = one.partition("%")
    other, _, other_interface = other.partition("%")
    if interface and other_interface and interface != other_interface:
        return False
    if one == other or "*" in (one, other):
        return True
    if (":" in one) != (":" in other):
        return False
    return one in ("0.0.0.0", "::") or other in ("0.0.0.0", "::")


def _ports(value):
    found = []
    for item in _list(value):
        first, _, last = str(item).partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _list(value):
    return value if isinstance(value, list) else [value]
