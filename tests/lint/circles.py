# SPDX-License-Identifier: Apache-2.0
"""circles.py - no circle of includes

A node is a module: a .c and a .h of one base name in one folder, and the
x_internal.h that a module of several files shares. So what a.h says to b.c and
b.h says to a.c is a circle, although the compiler would not mind.
"""
import os
import re

from source import reach


def module(name):
    return re.sub(r"(?:_internal)?\.[ch]$", "", name)


def graph_of(tree):
    """By module: the modules that it includes, each with one place."""
    graph = {module(source.name): {} for source in tree.c_files}
    for source in tree.c_files:
        begin = module(source.name)
        for line, kind, path in source.includes:
            beside = os.path.join(source.folder, path)
            target = tree.files.get(path) or tree.files.get(beside)
            if kind == '"' and target and module(target.name) != begin:
                graph[begin].setdefault(module(target.name),
                                        (source.name, line))
    return graph


def way(graph, begin, end):
    """The shortest way from one module to another, both included."""
    came_from, new = {begin: None}, [begin]
    for node in new:
        for target in sorted(graph[node]):
            if target not in came_from:
                came_from[target] = node
                new.append(target)
    nodes = [end]
    while nodes[0] != begin:
        nodes.insert(0, came_from[nodes[0]])
    return nodes


def check(tree):
    """One message for each group of modules that reach one another."""
    graph = graph_of(tree)
    reachable = {node: reach(graph, node) for node in graph}
    told = set()
    for node in sorted(graph):
        circles = [way(graph, target, node) for target in graph[node]
                   if node in reachable[target]]
        if not circles or node in told:
            continue
        told |= {other for other in reachable[node]
                 if node in reachable[other]}
        circle = min(circles, key=lambda nodes: (len(nodes), nodes))
        name, line = graph[node][circle[0]]
        yield name, line, "include circle: " + " -> ".join([node, *circle])
