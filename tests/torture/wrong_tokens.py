#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""wrong_tokens.py --build FOLDER [--long]: beats with wrong tokens, in the names of modules that live.

Each is refused, nothing is written to the log for it, and the modules in whose names they come do not
notice. With --long 10,000 come each second, and what that costs is measured.
"""

import json
import subprocess
import time

from common import Daemon, Figures, Fleet, Process, Running, parse, passed, program, steady, wait_beats


def attack(url, ids, rate, seconds):
    """What wrong.c says at its end."""
    process = Process(["nice", "-n", "10", program("tests/torture", "torture_wrong"), url, str(rate)],
                      stdin=subprocess.PIPE)
    try:
        process.child.stdin.write(ids + "\n")
        process.child.stdin.flush()
        time.sleep(seconds)
        process.child.stdin.close()
        return json.loads(process.wait_line("^{").string)
    finally:
        process.end()


def run(figures, long):
    rate, seconds = (10000, 60) if long else (1000, 3)
    with Running() as running:
        daemon = running.start(Daemon())
        fleet = running.start(Fleet(daemon.url, "a"))
        wait_beats(fleet)
        fleet.stats()
        time.sleep(seconds / 2)
        before = fleet.stats()
        mark, cpu = daemon.mark(), daemon.cpu_s()
        began = time.monotonic()
        result = attack(daemon.url, fleet.ids(), rate, seconds)
        cores = (daemon.cpu_s() - cpu) / (time.monotonic() - began)
        after = fleet.stats()
        lines = daemon.mark() - mark
        wait_beats(fleet)
        assert result["refused"] == result["sent"], result
        assert after["failed"] == 0 and after["timeouts"] == 0 and after["connects"] == 50, after
        assert not daemon.lost(), "modules were lost"
        assert daemon.registered_once("a") == fleet.count
        assert lines <= 10 + seconds, f"{lines} lines of log for {result['sent']} wrong tokens"
        figures.add("wrong tokens", result["rate"], "/s", at_least=rate * 0.98 if long else None)
        figures.add("the daemon's processors", round(cores, 3), "cores",
                    at_most=0.5 if long else None)
        figures.add("lines of log", lines, "", at_most=10 + seconds)
        figures.add("beats skipped", after["skipped"] - before["skipped"], "",
                    at_most=0 if long else None)
        for name in ("p50_us", "p99_us"):
            figures.add(f"beats without them: {name[:3]}", before[name], "us")
            figures.add(f"beats beside them: {name[:3]}", after[name], "us")


def main():
    arguments = parse(__doc__)
    figures = Figures("wrong-tokens", arguments.long)
    steady(lambda: run(figures, arguments.long), 1)
    passed("wrong_tokens_are_refused")
    figures.finish()


if __name__ == "__main__":
    main()
