#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the documents show is what the tree holds, and every command in them works.

A block that begins with ```sh is run, in a folder of its own, with the programs of this build on the
PATH. A block that cannot be (it installs, or runs all tests) stands below a comment
`<!-- tested by FILE... -->` that names what tests it instead.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

from support import OPTIONS, PATIENCE_S, ROOT, Case, main, program  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- tested by ([^>]*) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)


def read(path):
    return path.read_text(encoding="utf-8")


def blocks(page, language):
    """(tested by, text) of each block of the language."""
    return [(tested_by, text) for tested_by, found, text in BLOCK.findall(read(page))
            if found == language]


class Shown(Case):
    def test_the_programs_in_the_readme_are_those_of_the_examples(self):
        shown = [text for _, text in blocks(ROOT / "README.md", "c")]
        for name, text in zip(("client.c", "orchestrator.c"), shown, strict=True):
            whole = read(ROOT / "examples" / name)
            self.assertEqual(text, whole[whole.index("#include"):], name)

    def test_the_programs_in_the_readme_are_short(self):
        for _, text in blocks(ROOT / "README.md", "c"):
            self.assertLessEqual(len(text.splitlines()), 25, text)

    def test_the_readme_is_short_and_opens_with_the_two_commands(self):
        text = read(ROOT / "README.md")
        self.assertLess(text.count("\n"), 200)
        first = blocks(ROOT / "README.md", "sh")[0][1]
        self.assertEqual([line.split()[0] for line in first.splitlines()],
                         ["scripts/demo", "scripts/test"])

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", read(page)):
                if "://" not in link:
                    self.assertTrue((page.parent / link).exists(), f"{page.name}: {link}")

    def test_names_of_the_library_exist(self):
        declared = "".join(read(header) for header in (ROOT / "include/pywatt").glob("*.h"))
        for page in PAGES:
            for name in set(re.findall(r"\b(?:pywatt_\w+|PYWATT_[A-Z_]+)\b", read(page))):
                if name.startswith("PYWATT_") and name not in declared:
                    # A status stands without its prefix in the table of the header.
                    found = f"X({name[len('PYWATT_'):]}," in declared or self.is_option(name)
                else:
                    found = re.search(rf"\b{name}\b", declared)
                self.assertTrue(found, f"{page.name}: there is no {name}")

    def is_option(self, name):
        """Names of the build and of version nodes stand in cmake/, those of the tests where they are run."""
        paths = [path for path in (ROOT / "cmake").iterdir() if path.is_file()]
        return any(name in read(path) for path in paths + [ROOT / "tests/support/run-test"])


class Headers(Case):
    def undocumented(self, text):
        """The declarations that stand in no group of lines with a comment above them."""
        found = []
        for group in re.split(r"\n\s*\n", text):
            before, api, after = f"\n{group}".partition("\nPYWATT_API")
            if api and "*/" not in before:
                found.append(after.split("\n")[0])
        return found

    def test_every_public_function_stands_below_a_comment(self):
        count = 0
        for header in sorted((ROOT / "include/pywatt").glob("*.h")):
            text = read(header)
            count += text.count("\nPYWATT_API")
            self.assertEqual(self.undocumented(text), [], header.name)
        self.assertGreater(count, 100)
        self.assertEqual(self.undocumented("/* a */\n\nPYWATT_API int a(void);\n"), [" int a(void);"])


class Errors(Case):
    def test_the_table_of_errors_is_that_of_the_sources(self):
        declared = re.findall(r"X\((\w+), (\d+), \"(\w+)\"", read(ROOT / "include/pywatt/status.h"))
        page = read(ROOT / "docs/ERRORS.md")
        table = re.findall(r"^\| `PYWATT_(\w+)` \| (\d+) \| `(\w+)` \| (\d) \|$", page, re.M)
        self.assertEqual([row[:3] for row in table], declared)
        self.assertEqual({row[0]: int(row[3]) for row in table}, self.exit_codes())
        for name, _, _ in declared:
            self.assertIn(f"**`{name}`**", page)

    def exit_codes(self):
        """The switch of exit_code.c, with its names replaced by the numbers of the headers."""
        sources = ROOT / "tools"
        headers = read(sources / "common/report.h") + read(sources / "pywattctl/exit_code.h")
        numbers = {name: int(number)
                   for name, number in re.findall(r"\b(\w+_EXIT_\w+) = (\d)", headers)}
        codes, waiting = {}, []
        for name, code in re.findall(r"case PYWATT_(\w+):(?:\s*return (\w+);)?",
                                     read(sources / "pywattctl/exit_code.c")):
            waiting.append(name)
            if code:
                codes.update(dict.fromkeys(waiting, numbers[code]))
                waiting = []
        return codes


class Manual(Case):
    def options_of_help(self, *command):
        shown = self.run_to_end(*command, "--help")
        self.assert_ends(shown, 0)
        return set(re.findall(r"^ {2}(?:-\w, | {4})--([a-z-]+)", shown.text(), re.M))

    def options_of_page(self, name):
        page = read(ROOT / "docs/man" / f"{name}.1").replace("\\-", "-")
        return set(re.findall(r"^\.(?:BI|B|BR) (?:-\w \", \" )?--([a-z-]+)", page, re.M))

    def test_every_option_of_the_daemon_is_in_its_page_and_no_other(self):
        self.assertEqual(self.options_of_page("pywatt-orchestrator"),
                         self.options_of_help(program("tools", "pywatt-orchestrator")))

    def test_the_defaults_of_the_daemon_are_those_of_the_library(self):
        page = read(ROOT / "docs/man/pywatt-orchestrator.1").replace("\\-", "-")
        said = dict(re.findall(r"^\.BI --([a-z-]+) .*\n(?:[^.\n].*\n)*?.*Default: (\d+)", page, re.M))
        of_orchestrator = read(ROOT / "src/orchestrator/options.c")
        of_tls = read(ROOT / "src/tls/options.c")
        for option, value in said.items():
            library = of_tls if option.startswith("tls-") else of_orchestrator
            field = option.removeprefix("tls-").replace("-", "_")
            found = re.search(rf"\.{field}(?:_ms|_bytes|_per_s)? = (\d+)(?: << (\d+))?,", library)
            self.assertTrue(found, option)
            self.assertEqual(int(value), int(found[1]) << int(found[2] or 0), option)
        self.assertGreaterEqual(len(said), 8)

    def test_the_presets_in_the_documents_are_there(self):
        presets = json.loads(read(ROOT / "CMakePresets.json"))["configurePresets"]
        names = {preset["name"] for preset in presets if not preset.get("hidden")}
        listed = re.search(r"The other presets are (.*)\.", read(ROOT / "docs/HACKING.md"))[1]
        self.assertEqual(set(re.findall(r"`([a-z-]+)`", listed)) | {"dev"}, names)

    def test_every_option_of_the_commands_is_in_their_page_and_no_other(self):
        options = set()
        for command in ("register", "run", "heartbeat", "advertise", "unregister"):
            options |= self.options_of_help(program("tools", "pywattctl"), command)
        self.assertEqual(self.options_of_page("pywattctl"), options)


class Commands(Case):
    def test_commands_in_the_documents_work(self):
        count = 0
        for page in PAGES:
            for tested_by, text in blocks(page, "sh"):
                count += 1
                with self.subTest(page=page.name, block=text):
                    if tested_by:
                        for path in tested_by.split():
                            self.assertTrue((ROOT / path).exists(), path)
                    else:
                        self.run_block(text, f"{page.stem}-{count}")
        self.assertGreater(count, 0)

    def run_block(self, text, name):
        folder = pathlib.Path(self.path(name))
        folder.mkdir()
        for part in ("scripts", "examples"):
            (folder / part).symlink_to(ROOT / part)
        path = os.pathsep.join([str(pathlib.Path(OPTIONS.build) / "tools"), os.environ["PATH"]])
        process = self.start("sh", "-eu", "-c", text, cwd=folder, env={**os.environ, "PATH": path},
                             start_new_session=True)
        try:
            self.assert_ends(process, 0, PATIENCE_S * 6)
        finally:
            # What the block has left running is in the group of its shell.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.child.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
