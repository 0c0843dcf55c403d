#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""pause.py --build FOLDER [--long]: processes that stand still, and a wall clock that is set.

The orchestrator, its clients and both are stopped for longer than a lease; the time of day of both is
set forward and back by a day while they run. No lease is lost that was not due: a module of a client
that stands still is to be lost, is back when that goes on, and takes nobody with it.
"""

import os
import pathlib
import signal
import sys
import time

from common import (Daemon, Figures, Fleet, Running, folder, parse, passed, program, steady, wait_beats,
                    wait_until)


class Times:
    def __init__(self, long):
        self.pause_s = 30 if long else 3
        self.lease_ms = 5000 if long else 1000
        self.interval_ms = 1000 if long else 200
        self.clients, self.modules = (50, 10) if long else (4, 10)
        self.patience_s = 120


def fleet_of(times, url, name, lease_ms=None, **more):
    return Fleet(url, name, times.clients, times.modules, times.interval_ms, lease_ms or times.lease_ms,
                 **more)


def stand_still(times, process):
    process.signal(signal.SIGSTOP)
    time.sleep(times.pause_s)
    process.signal(signal.SIGCONT)


def stand_still_together(times, daemon, fleet, lease_s):
    """The modules are silent before and after, and more than a lease together; the pause is what saves
    them."""
    fleet.signal(signal.SIGSTOP)
    time.sleep(0.6 * lease_s)
    stand_still(times, daemon)
    time.sleep(0.6 * lease_s)
    fleet.signal(signal.SIGCONT)


def stopped(times, figures, who):
    """`who` stops: "orchestrator", "client" or "both"."""
    lease_ms = 2 * times.lease_ms if who == "both" else times.lease_ms
    with Running() as running:
        daemon = running.start(Daemon())
        fleet = running.start(fleet_of(times, daemon.url, "a", lease_ms))
        # Of a client that goes on, or has time enough.
        other = running.start(fleet_of(times, daemon.url, "b", None if who == "client" else 3600000))
        wait_beats(fleet, times.patience_s)
        if who == "both":
            stand_still_together(times, daemon.process, fleet.process, lease_ms / 1000)
        else:
            stand_still(times, daemon.process if who == "orchestrator" else fleet.process)
        began = time.monotonic()
        wait_beats(fleet, times.patience_s)
        back_s = time.monotonic() - began
        wait_beats(other, times.patience_s)
        wait_until("all are alive", lambda: daemon.alive("a") == fleet.count, times.patience_s)
        undue = len(daemon.lost("b"))
        due = len(daemon.lost("a"))
        if who != "client":
            undue += due
        else:
            figures.add("client: lost, and due", due, "modules", at_least=fleet.count)
            assert due == fleet.count, f"{due} of {fleet.count} were lost"
        figures.add(f"{who}: lost, and not due", undue, "modules", at_most=0)
        figures.add(f"{who}: all beat twice after", round(back_s, 2), "s")
        assert undue == 0, f"{undue} modules were lost"
        assert daemon.registered_once("a") == fleet.count
        for each in (fleet, other):
            stats = each.stats()
            assert stats["ids_changed"] == 0 and stats["reregistrations"] == 0, stats


def clock_steps(times, figures):
    """wall_clock.c has the offset from a file: the time of day of both jumps while they wait."""
    with Running() as running, folder() as place:
        offset = pathlib.Path(place) / "offset"
        offset.write_bytes(bytes(8))

        def step(seconds):
            with open(offset, "r+b", buffering=0) as file:
                file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

        environment = {**os.environ, "LD_PRELOAD": program("tests/torture", "torture_wall_clock.so"),
                       "PYWATT_TEST_WALL_CLOCK": str(offset)}
        daemon = running.start(Daemon(env=environment))
        fleet = running.start(fleet_of(times, daemon.url, "a", env=environment))
        wait_beats(fleet, times.patience_s)
        dates = [daemon.events()[-1][0][:10]]
        for days in (1, -1):
            step(days * 86400)
            time.sleep(3 * times.lease_ms / 1000)
            wait_beats(fleet, times.patience_s)
            # Something that is logged shows that the daemon lives in another day.
            marker = fleet_of(times, daemon.url, f"day{days}-", 3600000, env=environment)
            marker.end()
            dates.append(daemon.events("registered")[-1][0][:10])
        assert dates[2] < dates[0] < dates[1], f"the clock was not set: {dates}"
        lost = len(daemon.lost("a"))
        figures.add("time of day set by +1 and -1 day: lost", lost, "modules", at_most=0)
        assert lost == 0, f"{lost} modules were lost"
        assert daemon.registered_once("a") == fleet.count


def main():
    arguments = parse(__doc__)
    times = Times(arguments.long)
    figures = Figures("pause", arguments.long)
    for who in ("orchestrator", "client", "both"):
        steady(lambda who=who: stopped(times, figures, who), times.lease_ms / 4000)
        passed(f"pause_of_{who}")
    steady(lambda: clock_steps(times, figures), times.lease_ms / 4000)
    passed("pause_clock_set_by_a_day")
    figures.finish()


if __name__ == "__main__":
    main()
