#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""kill.py --build FOLDER [--long] [COUNT]: kills the daemon COUNT times (1,000 times) under a load of
registrations, at random moments, and starts it again with the same store.

What was acknowledged is there afterwards: each module under its id, token and generation, with what it
advertised; what was unregistered is not; no name is there twice. What was under way when the daemon
died may have happened or not, but not half. The last line is one of figures, in JSON.
"""

import json
import os
import random
import signal
import tempfile
import time

from load import Loads, check_file, check_tokens, parse_arguments, start
from support import FACTOR

COUNT = 10
COUNT_LONG = 1000


def one_round(store, number, known, doubtful, longest_s):
    process, url = start(store)
    try:
        present = check_file(store, known, doubtful)
        check_tokens(url, known, doubtful)
        loads = Loads(url, number, known, doubtful)
        time.sleep(random.uniform(0, longest_s))
        process.signal(signal.SIGKILL)
        process.wait_end()
        return present, loads.end()
    finally:
        process.end()


def main():
    arguments = parse_arguments(__doc__, COUNT, COUNT_LONG)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pywatt-torture-") as folder:
        store = os.path.join(folder, "registrations.db")
        known, doubtful = {}, set()
        answered = 0
        for number in range(arguments.count):
            present, more = one_round(store, number, known, doubtful, arguments.longest * FACTOR)
            answered += more
            print(f"{number}: {present} modules were there", flush=True)
        process, url = start(store)
        try:
            present = check_file(store, known, doubtful)
            check_tokens(url, known, doubtful)
        finally:
            process.end()
    print(json.dumps({"test": "kill", "kills": arguments.count, "acknowledged": answered, "lost": 0,
                      "names_twice": 0, "modules": present,
                      "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
