#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""wrong_tokens.py --build FOLDER [--long]: beats with wrong tokens, in the names of modules that live,
and registrations with wrong join tokens.

Each is refused, little or nothing is written to the log for it, and the modules that live do not
notice. With --long 10,000 come each second, and what that costs is measured, in turns with the same
attack on another daemon, and with none.
"""

import json
import os
import statistics
import subprocess
import time

from common import (Daemon, Figures, Fleet, Process, Running, add_ratio, add_times, folder, in_turns,
                    measure, parse, passed, program, steady, wait_beats)

JOIN_TOKEN = "right-right-right-right"
# What is attacked, in which codec, over how many connections, and lines of log for it: none, or few.
ATTACKS = (("beats", "json", 1, 0), ("registrations", "json", 4, 11), ("registrations", "protobuf", 4, 11))


class Attack:
    """Measures while wrong tokens come to a daemon; keeps what wrong.c and the daemon say of it."""

    def __init__(self, fleet, daemon, what, ids, rate, seconds):
        self.fleet, self.daemon, self.what, self.ids = fleet, daemon, what, ids
        self.rate, self.seconds = rate, seconds
        self.sent = 0
        self.rates, self.cores = [], []
        self.lines = 0

    def __call__(self):
        mark, cpu_s, began = self.daemon.mark(), self.daemon.cpu_s(), time.monotonic()
        process = Process(["nice", "-n", "10", program("tests/torture", "torture_wrong"),
                           self.daemon.url, str(self.rate), *self.what], stdin=subprocess.PIPE)
        try:
            process.child.stdin.write(self.ids + "\n" if self.what[-1] == "beats" else "")
            process.child.stdin.flush()
            found = measure(self.fleet, self.seconds)
            process.child.stdin.close()
            result = json.loads(process.wait_line("^{").string)
        finally:
            process.end()
        assert result["refused"] == result["sent"], result
        self.sent += result["sent"]
        self.rates.append(result["rate"])
        self.cores.append((self.daemon.cpu_s() - cpu_s) / (time.monotonic() - began))
        self.lines += self.daemon.mark() - mark
        return found


class Scene:
    """A daemon that wants a join token, with modules at it; with --long another one, to be compared."""

    def __init__(self, running, tokens, long):
        with open(tokens, "w", encoding="ascii") as file:
            file.write(JOIN_TOKEN + "\n")
        os.chmod(tokens, 0o600)
        self.long = long
        self.rate, self.seconds, self.rounds = (10000, 4, 10) if long else (1000, 1, 1)
        self.daemon = running.start(Daemon("--join-token-file", tokens))
        self.fleet = running.start(Fleet(self.daemon.url, "a", interval_ms=1000 if long else 200,
                                         join_token=JOIN_TOKEN))
        if long:
            self.other = running.start(Daemon("--join-token-file", tokens))
            self.victims = running.start(Fleet(self.other.url, "b", 1, 100, 60000, 3600000,
                                               join_token=JOIN_TOKEN))
        wait_beats(self.fleet)

    def attack_on(self, daemon, fleet, what):
        return Attack(self.fleet, daemon, what, fleet.ids(), self.rate, self.seconds)

    def nobody_was_harmed(self):
        wait_beats(self.fleet)
        stats = self.fleet.stats()
        assert stats["failed"] == 0 and stats["timeouts"] == 0 and stats["connects"] == 50, stats
        assert not self.daemon.lost(), "modules were lost"
        assert self.daemon.registered_once("a") == self.fleet.count


def attack(figures, scene, what, codec, connections, lines_a_second):
    command = (codec, str(connections), what)
    here = scene.attack_on(scene.daemon, scene.fleet, command)
    conditions = {"beside_them": here}
    if scene.long:
        conditions["without_them"] = lambda: measure(scene.fleet, scene.seconds)
        conditions["while_they_are_elsewhere"] = scene.attack_on(scene.other, scene.victims, command)
    found = in_turns(scene.rounds, **conditions)
    most_lines = (10 + lines_a_second * (scene.seconds + 1)) * scene.rounds
    assert here.lines <= most_lines, f"{here.lines} lines of log for {here.sent} wrong tokens"
    what = f"{what} in {codec}"
    figures.add(f"{what}: wrong tokens", statistics.median(here.rates), "/s",
                at_least=scene.rate * 0.98 if scene.long else None)
    figures.add(f"{what}: the daemon's processors", round(max(here.cores), 3), "cores",
                at_most=0.5 if scene.long else None)
    figures.add(f"{what}: lines of log", here.lines, "", at_most=most_lines)
    figures.add(f"{what}: beats skipped", sum(each["skipped"] for each in found["beside_them"]), "",
                at_most=0 if scene.long else None)
    add_times(figures, what, found)
    if scene.long:
        add_ratio(figures, f"{what}: to without them", found["beside_them"],
                  found["without_them"])
        add_ratio(figures, f"{what}: to while they are elsewhere", found["beside_them"],
                  found["while_they_are_elsewhere"], at_most=1.5)


def run(figures, long):
    with Running() as running, folder() as place:
        scene = Scene(running, os.path.join(place, "tokens"), long)
        for one in ATTACKS:
            attack(figures, scene, *one)
        scene.nobody_was_harmed()


def main():
    arguments = parse(__doc__)
    figures = Figures("wrong-tokens", arguments.long)
    steady(lambda: run(figures, arguments.long), 1)
    passed("wrong_tokens_are_refused")
    figures.finish()


if __name__ == "__main__":
    main()
