# SPDX-License-Identifier: Apache-2.0
"""turns.py - programs that are measured one after the other, again and again
"""
import contextlib
import os
import signal
import time


@contextlib.contextmanager
def alone(program, others):
    """Only @program runs; the others are paused, not ended."""
    for other in others:
        if other is not program:
            os.kill(other.pid, signal.SIGSTOP)
    os.kill(program.pid, signal.SIGCONT)
    time.sleep(0.05)
    try:
        yield
    finally:
        for other in others:
            os.kill(other.pid, signal.SIGCONT)


def take_turns(subjects, rounds, measure):
    """Samples of each subject; who begins changes with each round.

    subjects: {name: (program, directory)};
    measure(name, directory, round) returns a list of samples.
    """
    programs = [program for program, _ in subjects.values()]
    samples = {name: [] for name in subjects}
    for number in range(rounds):
        names = list(subjects)
        if number % 2:
            names.reverse()
        for name in names:
            program, directory = subjects[name]
            with alone(program, programs):
                samples[name] += measure(name, directory, number)
    return samples
