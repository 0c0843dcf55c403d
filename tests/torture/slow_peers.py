#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""slow_peers.py --build FOLDER [--long]: peers that send a byte now and then, beside healthy modules.

None of them is there for longer than a frame may take, however often they come again, and the healthy
modules do not notice: all of their beats are answered. With --long 5,000 come against 500 modules, and
the times of the beats are measured in turns: beside the crowd, while there is none, and while the same
crowd is at another daemon. The last has the same work done on the same machine, so its difference to the
first is what the crowd does to the modules of its own daemon.
"""

import json
import subprocess
import time

from common import (Daemon, Figures, Fleet, Process, Running, add_ratio, add_times, in_turns, measure,
                    parse, passed, port_of, program, steady, wait_beats, wait_until)


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
        stats = crowd.stats()
        assert stats["open"] == 0, stats
        assert stats["oldest_closed_ms"] < 3 * 2000, stats
        wait_beats(fleet)
        no_beat_lost(daemon, fleet)


class Beside:
    """Measures while a crowd is at a daemon; keeps what the crowd and the daemon say of it."""

    def __init__(self, fleet, daemon, count, seconds):
        self.fleet, self.daemon, self.count, self.seconds = fleet, daemon, count, seconds
        self.crowds = []
        self.cpu_s = 0.0

    def __call__(self):
        crowd = Crowd(self.daemon.url, self.count, 5000, again=True)
        try:
            time.sleep(1)
            before = self.daemon.cpu_s()
            found = measure(self.fleet, self.seconds)
            self.cpu_s += self.daemon.cpu_s() - before
            stats = crowd.stats()
            assert stats["open"] == self.count, stats
            self.crowds.append(stats)
            return found
        finally:
            crowd.end()

    def oldest_ms(self):
        return max(max(stats["oldest_closed_ms"], stats["oldest_open_ms"]) for stats in self.crowds)

    def cores(self):
        return round(self.cpu_s / len(self.crowds) / self.seconds, 3)


def many(figures, count, rounds=20, seconds=4):
    with Running() as running:
        daemon, other = running.start(Daemon()), running.start(Daemon())
        fleet = running.start(Fleet(daemon.url, "a"))
        wait_beats(fleet)
        here, there = (Beside(fleet, each, count, seconds) for each in (daemon, other))

        def alone():
            time.sleep(1)
            return measure(fleet, seconds)

        found = in_turns(rounds, beside_them=here, while_they_are_elsewhere=there, without_them=alone)
        no_beat_lost(daemon, fleet)
        what = f"{count} slow peers beside {fleet.count} modules"
        figures.add(f"{what}: the oldest", here.oldest_ms(), "ms", at_most=10000)
        figures.add(f"{what}: closed", sum(stats["closed"] for stats in here.crowds))
        figures.add(f"{what}: the daemon's processors", here.cores(), "cores")
        add_times(figures, what, found)
        add_ratio(figures, f"{what}: to without them", found["beside_them"],
                  found["without_them"])
        add_ratio(figures, f"{what}: to while they are elsewhere", found["beside_them"],
                  found["while_they_are_elsewhere"], at_most=1.2)


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
