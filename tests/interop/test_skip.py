#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Without cargo the tests with the Rust SDK skip, and say so in the line that scripts/test looks for."""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))
from support import ROOT, Case, main  # noqa: E402

SKIPPED = 77


class Skip(Case):
    def run_without(self, script, folder):
        """With nothing in PATH but what is in `folder`."""
        environment = {**os.environ, "PATH": folder, "CARGO_HOME": self.folder, "HOME": self.folder,
                       "PYWATT_TEST_NAME": "interop.some_name"}
        return subprocess.run([sys.executable, HERE / "rust" / script, "--build", self.folder],
                              env=environment, capture_output=True, text=True, check=False)

    def test_names_what_is_missing(self):
        os.mkdir(self.path("empty"))
        for script in ("test_module.py", "test_orchestrator.py"):
            with self.subTest(script=script):
                result = self.run_without(script, self.path("empty"))
                self.assertEqual(result.returncode, SKIPPED, result.stdout + result.stderr)
                self.assertEqual(result.stdout, "[  SKIPPED ] interop.some_name: rustc is not there\n")

    def test_one_that_is_too_old_is_as_good_as_none(self):
        os.mkdir(self.path("old"))
        for name, text in (("rustc", "rustc 1.2.3 (old)"), ("cargo", "cargo 1.2.3 (old)")):
            with open(self.path(f"old/{name}"), "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\necho '{text}'\n")
            os.chmod(self.path(f"old/{name}"), 0o755)
        result = self.run_without("test_module.py", self.path("old"))
        self.assertEqual(result.returncode, SKIPPED, result.stdout + result.stderr)
        self.assertRegex(result.stdout, r"^\[  SKIPPED \] interop\.some_name: rustc 1\.2\.3 is older than")

    def test_the_line_is_what_the_script_looks_for(self):
        expressions = (ROOT / "scripts" / "test").read_text(encoding="utf-8")
        wanted = re.search(r"'s/(\^\\\[ \*SKIPPED .*?)/MISSING", expressions).group(1)
        self.assertRegex("[  SKIPPED ] interop.some_name: rustc is not there", wanted)


if __name__ == "__main__":
    main()
