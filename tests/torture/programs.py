#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""programs.py --build FOLDER [--long]: those test programs that have a long form, in that form; without
--long as scripts/test does.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

from common import Figures, parse

# Name, program, what makes it long, and what it says of itself.
PROGRAMS = {
    "damage": ("orchestrator/test_orchestrator_store_damage", {"PYWATT_TEST_SEEDS": "500"},
               {"files that were damaged": r"\d+ of (\d+) refused",
                "of these refused, and all others right": r"(\d+) of \d+ refused"}),
    "recorded power cuts": ("orchestrator/test_orchestrator_store_power_cut",
                            {"PYWATT_TEST_SEEDS": "100"}, {"cuts": r"(\d+) power cuts"}),
    "calls of the store": ("orchestrator/test_orchestrator_store_calls", {"PYWATT_TEST_LONG": "1"},
                           {"calls that failed": r"(\d+) calls failed"}),
    "calls of a conversation": ("integration/test_integration_failing_calls",
                                {"PYWATT_TEST_LONG": "1"},
                                {"calls that failed": r"(\d+) calls failed"}),
    "allocations": ("integration/test_integration_no_memory_anywhere", {}, {}),
    "allocations of the store": ("orchestrator/test_orchestrator_store_no_memory",
                                 {"PYWATT_TEST_LONG": "1"},
                                 {"allocations that failed": r"(\d+) allocations failed"}),
    "calls for long": ("integration/test_integration_failing_for_long", {"PYWATT_TEST_LONG": "1"},
                       {"calls that failed": r"(\d+) calls failed"}),
    "allocations of TLS": ("tls/test_tls_no_memory", {"PYWATT_TEST_LONG": "1"},
                           {"allocations that failed": r"(\d+) allocations failed"}),
}


def run(figures, build, name, is_long):
    program, long_form, counts = PROGRAMS[name]
    environment = {**os.environ, "PYWATT_TEST_TIMEOUT_S": "3600", **(long_form if is_long else {})}
    began = time.monotonic()
    done = subprocess.run([str(pathlib.Path(build) / "tests" / program)], env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout)
    for count, pattern in counts.items():
        figures.add(f"{name}: {count}", sum(int(n) for n in re.findall(pattern, done.stdout)))
    figures.add(f"{name}: time", round(time.monotonic() - began, 1), "s")
    return done.returncode == 0


def main():
    arguments = parse(__doc__)
    figures = Figures("programs", arguments.long)
    failed = [name for name in PROGRAMS if not run(figures, arguments.build, name, arguments.long)]
    figures.add("programs that failed", len(failed), at_most=0)
    figures.finish()
    sys.exit(", ".join(failed))


if __name__ == "__main__":
    main()
