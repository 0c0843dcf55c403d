#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""kill.py --build FOLDER [--long] [--count N]: kills the daemon (--long: 1,000 times) under a load of
registrations, at random moments, and starts it again with the same store. Every fourth time it is killed
while it starts, with a log to recover that has grown for the round before.

What was acknowledged is there afterwards: each module under its id, token and generation, with what it
advertised; what was unregistered is not; no name is there twice. What was under way when the daemon
died may have happened or not, but not half.
"""

import contextlib
import os
import random
import signal
import sqlite3
import tempfile
import time

from common import FACTOR, Figures
from load import Ledger, Loads, begin, check, check_file, check_tokens, parse_times, start

COUNT = 10
COUNT_LONG = 1000
LONGEST_START_S = 0.3


class Killer:
    def __init__(self, store, longest_s, long):
        self.store = store
        self.longest_s = longest_s
        self.growing_s = longest_s * (5 if long else 1)
        self.start_s = LONGEST_START_S
        self.ledger = Ledger()
        self.answered = 0
        self.unready = 0  # killed before they were ready
        self.log_bytes = 0

    @contextlib.contextmanager
    def log_grows(self):
        """Somebody reads, so nothing that is written from then on leaves the log."""
        with contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as database:
            database.isolation_level = None
            database.execute("BEGIN")
            database.execute("SELECT count(*) FROM modules").fetchone()
            yield
        self.log_bytes = max(self.log_bytes, os.path.getsize(self.store + "-wal"))

    def at_work(self, number, log_grows):
        """Returns how many modules were there."""
        began = time.monotonic()
        process, url = start(self.store)
        self.start_s = time.monotonic() - began
        try:
            present = check_file(self.store, self.ledger)
            check_tokens(url, self.ledger)
            with self.log_grows() if log_grows else contextlib.nullcontext():
                loads = Loads(url, number, self.ledger)
                time.sleep(self.growing_s if log_grows else random.uniform(0, self.longest_s))
                process.signal(signal.SIGKILL)
                process.wait_end()
                self.answered += loads.end()
            return present
        finally:
            process.end()

    def at_its_start(self):
        """Somewhere between exec and when it is ready, as far as is known from the start before."""
        process = begin(self.store)
        try:
            time.sleep(random.uniform(0, min(self.start_s, LONGEST_START_S * FACTOR)))
            process.signal(signal.SIGKILL)
            process.wait_end()
            self.unready += "listening" not in process.text()
        finally:
            process.end()

    def one_round(self, number):
        if number % 4 == 3:
            self.at_its_start()
            print(f"{number}: while it started", flush=True)
        else:
            present = self.at_work(number, log_grows=number % 4 == 2)
            print(f"{number}: {present} modules were there", flush=True)


def main():
    arguments = parse_times(__doc__, COUNT, COUNT_LONG)
    with tempfile.TemporaryDirectory(prefix="pywatt-torture-") as folder:
        killer = Killer(os.path.join(folder, "registrations.db"), arguments.longest * FACTOR,
                        arguments.long)
        for number in range(arguments.count):
            killer.one_round(number)
        check(killer.store, killer.ledger)
    figures = Figures("kill", arguments.long)
    figures.add("kills", arguments.count)
    figures.add("kills of one that was not ready yet", killer.unready)
    figures.add("largest log that was to be recovered", round(killer.log_bytes / 2**20, 1), "MiB")
    figures.add("changes that were acknowledged", killer.answered)
    killer.ledger.report(figures)
    figures.finish()


if __name__ == "__main__":
    main()
