# SPDX-License-Identifier: Apache-2.0
"""relay_report.py - turns of the relays, and how their figures compare"""
import dataclasses
import statistics
import time

from report import number

PAUSE_S = 0.05


@dataclasses.dataclass
class Goal:
    """berth's figure, divided by the best of the peers."""
    at_most: float = None
    at_least: float = None
    peers: tuple = ("HAProxy", "Go", "nginx")

    def __str__(self):
        return (f"<= {self.at_most} x" if self.at_least is None
                else f">= {self.at_least} x")

    def met(self, ratio):
        return (ratio <= self.at_most if self.at_least is None
                else ratio >= self.at_least)


class Turns:
    """Samples of each figure and subject."""

    def __init__(self, subjects):
        self.subjects = subjects
        self.samples = {}

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

    def report(self, report, title, unit, figure, goal=None):
        medians = {name: statistics.median(values)
                   for name, values in self.samples[figure].items()}
        larger = goal is not None and goal.at_least is not None
        rivals = {name: value for name, value in medians.items()
                  if name.split()[0] in (goal or Goal()).peers}
        count = len(self.samples[figure]["berth"])
        ratio = verdict = ""
        if rivals:
            best = (max if larger else min)(rivals, key=rivals.get)
            ratio = f"{medians['berth'] / rivals[best]:.2f} x {best}"
            if goal is not None:
                verdict = ("met" if goal.met(medians["berth"] / rivals[best])
                           else "MISSED")
        report.relays(
            f"{title}: {unit} (n = {count})",
            {name: number(value) for name, value in medians.items() if value},
            ratio, str(goal or ""), verdict)
