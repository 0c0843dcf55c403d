#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""programs.py --build FOLDER [--long] [NAME...]: runs those test programs that have a long form, in that
form; without --long as scripts/test does. A line of figures in JSON for each, and the exit code 1 if one
fails.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

# Name, program, what makes it long, and what it says of itself.
PROGRAMS = {
    "damage": ("orchestrator/test_orchestrator_store_damage", {"PYWATT_TEST_SEEDS": "500"},
               {"refused": r"(\d+) of \d+ refused", "damaged": r"\d+ of (\d+) refused"}),
    "recorded_power_cuts": ("orchestrator/test_orchestrator_store_power_cut",
                            {"PYWATT_TEST_SEEDS": "100"}, {"cuts": r"(\d+) power cuts"}),
    "store_calls": ("orchestrator/test_orchestrator_store_calls", {"PYWATT_TEST_LONG": "1"},
                    {"failed_calls": r"(\d+) calls failed"}),
    "failing_calls": ("integration/test_integration_failing_calls", {"PYWATT_TEST_LONG": "1"},
                      {"failed_calls": r"(\d+) calls failed"}),
    "no_memory": ("integration/test_integration_no_memory_anywhere", {}, {}),
    "store_no_memory": ("orchestrator/test_orchestrator_store_no_memory", {}, {}),
}


def run(build, name, is_long):
    program, long_form, figures = PROGRAMS[name]
    environment = {**os.environ, "PYWATT_TEST_TIMEOUT_S": "3600", **(long_form if is_long else {})}
    began = time.monotonic()
    done = subprocess.run([str(pathlib.Path(build) / "tests" / program)], env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout)
    result = {"test": name, "ok": done.returncode == 0}
    for figure, pattern in figures.items():
        result[figure] = sum(int(n) for n in re.findall(pattern, done.stdout))
    result["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(result), flush=True)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROGRAMS))
    arguments = parser.parse_args()
    results = [run(arguments.build, name, arguments.long)
               for name in arguments.names or PROGRAMS]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
