# SPDX-License-Identifier: Apache-2.0
"""report.py - prints figures as they come, and all of them at the end"""
import os
import platform
import statistics


def number(value):
    """Three digits that matter."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


class Report:
    def __init__(self):
        self.rows = []
        self.relay_rows = []
        self.wrong = 0

    def add(self, name, result, floor="", ratio="", goal="", verdict=""):
        row = (name, str(result), floor, ratio, goal, verdict)
        self.rows.append(row)
        print("   " + ", ".join(filter(None, (
            f"{name}: {result}", floor and f"floor {floor}",
            ratio and f"ratio {ratio}", goal and f"goal {goal}", verdict))),
            flush=True)

    @staticmethod
    def spread(samples, unit):
        return (f"{number(statistics.median(samples))} {unit} "
                f"({number(min(samples))}-{number(max(samples))})")

    def compare(self, name, unit, samples, ratio_goal=None, limit=None):
        """Medians of berth and floor; the goal is a ratio or a limit."""
        berth = statistics.median(samples["berth"])
        ratio = berth / statistics.median(samples["floor"])
        if limit is not None:
            goal, met = f"<= {limit} {unit}", berth <= limit
        elif ratio_goal is not None:
            goal, met = f"ratio <= {ratio_goal}", ratio <= ratio_goal
        else:
            goal, met = "", None
        self.add(f"{name} (n = {len(samples['berth'])})",
                 self.spread(samples["berth"], unit),
                 self.spread(samples["floor"], unit), f"{ratio:.2f}", goal,
                 {True: "met", False: "MISSED", None: ""}[met])

    def single(self, name, unit, samples, limit=None):
        """The limit is the median's."""
        if not samples:
            return
        goal = verdict = ""
        if limit is not None:
            goal = f"<= {number(limit)} {unit}"
            met = statistics.median(samples) <= limit
            verdict = "met" if met else "MISSED"
        self.add(f"{name} (n = {len(samples)})", self.spread(samples, unit),
                 goal=goal, verdict=verdict)

    def value(self, name, value, goal=None):
        if goal is None:
            self.add(name, value)
        else:
            self.add(name, value, goal=f"<= {goal}",
                     verdict="met" if value <= goal else "MISSED")

    def relays(self, name, figures, ratio, goal, verdict):
        """figures: of berth, each setting of each peer, and the floor."""
        self.relay_rows.append((name, figures, ratio, goal, verdict))
        print(f"   {name}: " + ", ".join(
            f"{subject} {value}" for subject, value in figures.items())
            + (ratio and f"; berth {ratio}")
            + (goal and f", goal {goal}, {verdict}"),
            flush=True)

    def relay_table(self):
        subjects = list(dict.fromkeys(
            subject for row in self.relay_rows for subject in row[1]))
        yield ("the relay: medians", *subjects, "berth's ratio", "goal", "")
        for name, figures, *rest in self.relay_rows:
            yield (name, *(figures.get(subject, "")
                           for subject in subjects), *rest)

    @staticmethod
    def print_table(rows):
        rows = list(rows)
        widths = [max(len(row[i]) for row in rows)
                  for i in range(len(rows[0]))]
        for i, row in enumerate(rows):
            print("| " + " | ".join(cell.ljust(width) for cell, width
                                    in zip(row, widths)) + " |")
            if i == 0:
                print("|" + "|".join("-" * (width + 2)
                                     for width in widths) + "|")
        print()

    def check(self, name, good):
        """Not a matter of speed: printed in the table only when wrong."""
        if good:
            print(f"   {name}: as it must be", flush=True)
        else:
            self.wrong += 1
            self.add(name, "WRONG", verdict="WRONG")

    def end(self):
        print(f"\nLinux {platform.release()}, {os.cpu_count()} CPUs\n")
        if self.rows:
            self.print_table([("figure", "berth: median (min-max)",
                               "floor: median (min-max)", "ratio", "goal",
                               "")] + self.rows)
        if self.relay_rows:
            self.print_table(self.relay_table())
        if self.wrong:
            print(f"{self.wrong} checks failed")
        return 1 if self.wrong else 0
