#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""fuzz.py --build FOLDER [--long]: all fuzzers, for a minute each (--long) or a second. They are built below
FOLDER, with clang. A finding is a failure.
"""

import pathlib
import re
import shutil
import subprocess
import sys

from common import Figures, parse, skip

RUN = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "run-fuzzers"
RESULT = re.compile(r"^(\w+): (\d+) runs, \d+ a second, (\d+) edges,")


def main():
    arguments = parse(__doc__)
    if shutil.which("clang") is None:
        return skip("fuzz", "clang is not installed")
    figures = Figures("fuzz", arguments.long)
    done = subprocess.Popen([RUN, "--seconds", "60" if arguments.long else "1", "--build",
                             pathlib.Path(arguments.build) / "fuzz"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)
    for line in done.stdout:
        result = RESULT.match(line)
        if result is None:
            print(line, end="", flush=True)
        else:
            figures.add(f"{result[1]}: inputs", int(result[2]))
            figures.add(f"{result[1]}: edges that they reach", int(result[3]))
    return sys.exit(done.wait())


if __name__ == "__main__":
    main()
