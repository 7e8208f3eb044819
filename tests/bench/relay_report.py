# SPDX-License-Identifier: Apache-2.0
"""relay_report.py - turns of the relays, and how their figures compare"""
import dataclasses
import statistics
import time

from report import number

PAUSE_S = 0.05


@dataclasses.dataclass
class Goal:
    """berth's figure, divided by the best of the peers; or a limit."""
    at_most: float = None
    at_least: float = None
    limit: float = None
    peers: tuple = ("HAProxy", "Go", "nginx")

    def __str__(self):
        if self.limit is not None:
            return f"<= {self.limit}"
        if self.at_most is None and self.at_least is None:
            return ""
        return (f"<= {self.at_most} x" if self.at_least is None
                else f">= {self.at_least} x")

    def met(self, value, best):
        if self.limit is not None:
            return value <= self.limit
        if best is None or not str(self):
            return None
        return (value <= self.at_most * best if self.at_least is None
                else value >= self.at_least * best)


class Turns:
    """Samples of each figure and subject."""

    def __init__(self, subjects, samples=None):
        self.subjects = subjects
        self.samples = {} if samples is None else samples

    def take(self, rounds, measure):
        """Only one of the subjects runs, the others are paused; who begins
        changes with each round. measure(subject, add) calls add(figure,
        value)."""
        for subject in self.subjects:
            subject.pause()
        for turn in range(rounds):
            shift = turn % len(self.subjects)
            for subject in self.subjects[shift:] + self.subjects[:shift]:
                subject.resume()
                time.sleep(PAUSE_S)
                measure(subject, lambda figure, value, name=subject.name:
                        self.samples.setdefault(figure, {}).setdefault(
                            name, []).append(value))
                subject.pause()
        for subject in self.subjects:
            subject.resume()

    def report(self, report, title, figure, goal, subject="berth"):
        """How @subject compares with the goal's peers."""
        medians = {name: statistics.median(values)
                   for name, values in self.samples[figure].items()}
        larger = goal.at_least is not None
        rivals = {name: value for name, value in medians.items()
                  if name.split()[0] in goal.peers}
        count = len(self.samples[figure][subject])
        best, ratio = None, ""
        if rivals:
            best = (max if larger else min)(rivals, key=rivals.get)
            if rivals[best]:
                ratio = f"{medians[subject] / rivals[best]:.2f} x {best}"
        report.relays(
            f"{title} (n = {count})",
            {name: number(value) for name, value in medians.items()},
            ratio, str(goal), {True: "met", False: "MISSED", None: ""}[
                goal.met(medians[subject], rivals.get(best))])
