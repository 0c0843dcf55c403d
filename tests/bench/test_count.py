#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""bench/count: that it tells the sides apart, and finds what it looks for."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
from support import ROOT, Case, main, program  # noqa: E402


class Count(Case):
    def test_counts_both_sides(self):
        rows = self.count("together")
        self.assertEqual([row[1:3] for row in rows],
                         [["protobuf", "client"], ["protobuf", "orchestrator"]])
        together = [int(row[3]) for row in rows]
        self.assertTrue(all(together), rows)
        rows = self.count("blocking")
        self.assertEqual([row[1:3] for row in rows],
                         [[codec, side] for codec in ("json", "protobuf")
                          for side in ("client", "orchestrator")])
        for row, least in zip(rows, together + together):
            self.assertGreater(int(row[3]), 3 * least, rows)
            # The client writes, and waits where it reads, unless that takes long; the orchestrator
            # waits for all it has.
            least, most = (2, 4) if row[2] == "client" else (3, 3)
            self.assertGreater(float(row[5]), least - 0.3, rows)
            self.assertLess(float(row[5]), most + 0.3, rows)

    def count(self, way):
        done = self.start(ROOT / "bench" / "count", "--program", program("bench", "bench_count"),
                          "--beats", 500, "--way", way)
        done.wait_end(100)
        self.assert_ends(done, 0)
        return [[cell.strip() for cell in line.strip("|").split("|")]
                for line in done.lines["stdout"] if line.startswith("| ")][1:]


if __name__ == "__main__":
    main()
