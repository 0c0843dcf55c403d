#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""scripts/torture: its table, a quick item, and what it does when one fails."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
from support import OPTIONS, ROOT, Case, main  # noqa: E402

SCRIPT = str(ROOT / "scripts" / "torture")


class Script(Case):
    def run_script(self, *arguments, code=0):
        result = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def test_lists_every_item_that_there_is(self):
        listed = {line.split()[0] for line in self.run_script("--list").splitlines()}
        here = pathlib.Path(__file__).parent
        there = {path.stem.replace("_", "-") for path in here.glob("*.py") if os.access(path, os.X_OK)}
        self.assertLessEqual(there - {"test-script"}, listed)

    def test_refuses_an_item_that_does_not_exist(self):
        self.assertIn("--list", self.run_script("sunshine", code=2))

    def test_writes_the_figures_of_an_item(self):
        # The programs stay where they are; what is written goes to this test's folder.
        os.symlink(pathlib.Path(OPTIONS.build).resolve() / "tools", self.path("tools"))
        os.symlink(pathlib.Path(OPTIONS.build).resolve() / "tests", self.path("tests"))
        output = self.run_script("--quick", "--build", self.folder, "wrong-tokens")
        lines = pathlib.Path(self.path("torture-out/figures.jsonl")).read_text(encoding="utf-8")
        head, *figures = [json.loads(line) for line in lines.splitlines()]
        self.assertEqual(head["command"], f"scripts/torture --quick --build {self.folder} wrong-tokens")
        self.assertEqual({figure["item"] for figure in figures}, {"wrong-tokens"})
        self.assertIn("lines of log: ", output)

    def test_says_which_item_failed(self):
        output = self.run_script("--quick", "--build", self.folder, "wrong-tokens", code=1)
        self.assertIn("failed, or missed a bar: wrong-tokens", output)


if __name__ == "__main__":
    main()
