#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""slow_peers.py --build FOLDER [--long]: peers that send a byte now and then, beside healthy modules.

None of them is there for longer than a frame may take, however often they come again, and the healthy
modules do not notice: all of their beats are answered, and with --long, where 5,000 come against
500 modules, the times of the beats are compared with those before and after, in turns.
"""

import json
import statistics
import subprocess
import time

from common import (Daemon, Figures, Fleet, Process, Running, parse, passed, port_of, program, steady,
                    wait_beats, wait_until)


class Crowd:
    """Slow peers in a process of their own: slow.c."""

    def __init__(self, url, count, interval_ms, again):
        self.process = Process(["nice", "-n", "10", program("tests/torture", "torture_slow"),
                                str(port_of(url)), str(count), str(interval_ms),
                                "again" if again else "once"], stdin=subprocess.PIPE)
        self.process.wait_line("^all$", patience_s=120)

    def stats(self):
        self.process.child.stdin.write("?\n")
        self.process.child.stdin.flush()
        return json.loads(self.process.wait_line("^{").string)

    def end(self):
        self.process.end()


def no_beat_lost(daemon, fleet):
    stats = fleet.stats()
    assert stats["failed"] == 0 and stats["timeouts"] == 0 and stats["connects"] == 50, stats
    assert not daemon.lost(), "modules were lost"
    assert daemon.registered_once("a") == fleet.count


def some(count):
    """They go in time, and the healthy ones stay."""
    with Running() as running:
        daemon = running.start(Daemon("--first-frame-timeout", 2000))
        fleet = running.start(Fleet(daemon.url, "a"))
        crowd = running.start(Crowd(daemon.url, count, 500, again=False))
        wait_beats(fleet)
        wait_until("the slow ones are gone", lambda: crowd.stats()["closed"] == count)
        assert crowd.stats()["open"] == 0
        wait_beats(fleet)
        no_beat_lost(daemon, fleet)


def measure(fleet, seconds):
    """The 99th percentile of the beats of so many seconds, in microseconds, and the median."""
    fleet.stats()
    time.sleep(seconds)
    stats = fleet.stats()
    assert stats["times"] > fleet.count * seconds / 2, stats
    return stats["p99_us"], stats["p50_us"]


def many(figures, count, rounds=7, seconds=10):
    with Running() as running:
        daemon = running.start(Daemon())
        fleet = running.start(Fleet(daemon.url, "a"))
        wait_beats(fleet)
        without, beside, oldest, closed = [], [], [], 0
        cpu = 0.0
        for _ in range(rounds):
            without.append(measure(fleet, seconds))
            crowd = Crowd(daemon.url, count, 5000, again=True)
            try:
                time.sleep(6)
                before = daemon.cpu_s()
                beside.append(measure(fleet, seconds))
                cpu += daemon.cpu_s() - before
                stats = crowd.stats()
                oldest.append(max(stats["oldest_closed_ms"], stats["oldest_open_ms"]))
                closed += stats["closed"]
                assert stats["open"] == count, stats
            finally:
                crowd.end()
            time.sleep(1)
        no_beat_lost(daemon, fleet)
        what = f"{count} slow peers beside {fleet.count} modules"
        figures.add(f"{what}: the oldest", max(oldest), "ms", at_most=10250)
        figures.add(f"{what}: closed", closed)
        figures.add(f"{what}: the daemon's processors", round(cpu / rounds / seconds, 3), "cores")
        for at, name in ((1, "p50"), (0, "p99")):
            alone_us = statistics.median(one[at] for one in without)
            beside_us = statistics.median(one[at] for one in beside)
            figures.add(f"beats without them: {name}", round(alone_us, 1), "us")
            figures.add(f"beats beside them: {name}", round(beside_us, 1), "us")
        ratio = statistics.median(b[0] / a[0] for a, b in zip(without, beside))
        figures.add("p99 beside them to that without, median of the rounds", round(ratio, 3), "",
                    at_most=1.2)


def main():
    arguments = parse(__doc__)
    figures = Figures("slow-peers", arguments.long)
    if arguments.long:
        many(figures, 5000)
    else:
        steady(lambda: some(500), 1)
        passed("slow_peers_are_gone")
    figures.finish()


if __name__ == "__main__":
    main()
