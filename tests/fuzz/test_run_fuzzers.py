#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What run-fuzzers does with fuzzers that find something, and with those that do not: shell scripts
that take libFuzzer's options."""

import pathlib
import re
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent

QUIET = """#!/bin/sh
echo "#9 DONE   cov: 11 ft: 22 corp: 3/4b lim: 5 exec/s: 6 rss: 7Mb"
echo "stat::number_of_executed_units: 9"
echo "stat::average_exec_per_sec:     6"
printf '%s\\n' "$@" >"$0.arguments"
"""

FINDS = """#!/bin/sh
for argument; do
    case $argument in -artifact_prefix=*) prefix=${argument#*=} ;; esac
done
echo damage >"${prefix}crash-1"
echo "frame.c:1: not so: a claim: of the test"
exit 77
"""


class RunFuzzers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def fuzzer(self, name, text):
        path = self.folder / f"fuzz_{name}"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def run_fuzzers(self, *arguments):
        return subprocess.run([HERE / "run-fuzzers", "--programs", self.folder, *arguments],
                              capture_output=True, text=True, check=False)

    def test_a_target_that_finds_nothing_tells_its_figures(self):
        self.fuzzer("frame", QUIET)
        done = self.run_fuzzers("--seconds", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "frame: 9 runs, 6 a second, 11 edges, 22 features, 3 inputs\n")
        given = (self.folder / "fuzz_frame.arguments").read_text(encoding="utf-8").splitlines()
        self.assertIn("-max_total_time=3", given)
        self.assertEqual(given[-1], str(HERE.parent / "corpus/fuzz/frame"))
        self.assertFalse(pathlib.Path(given[-2]).exists(), "the scratch folder is left")

    def test_a_finding_fails_and_its_reproducer_is_there(self):
        self.fuzzer("frame", FINDS)
        self.fuzzer("url", QUIET)
        done = self.run_fuzzers("--keep", self.folder / "kept")
        self.assertEqual(done.returncode, 1)
        self.assertIn("not so: a claim", done.stdout)
        self.assertIn("url: 9 runs", done.stdout)
        path = re.search(r"reproducer: (.*)", done.stdout)[1]
        self.assertEqual(pathlib.Path(path).read_text(encoding="utf-8"), "damage\n")
        self.assertRegex(done.stdout, rf"replay it: .*fuzz_frame {re.escape(path)}\n")

    def test_only_what_is_named_runs(self):
        self.fuzzer("frame", FINDS)
        self.fuzzer("url", QUIET)
        self.assertEqual(self.run_fuzzers("url").returncode, 0)
        refused = self.run_fuzzers("nothing")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("there are: frame, url", refused.stderr)


if __name__ == "__main__":
    unittest.main()
