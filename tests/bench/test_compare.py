#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""bench/compare over small reports: what is noise, what is better, what is worse. bench/plan over a
small report. And bench/simulate as it is run by hand."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
from support import ROOT, Case, main, program, under_valgrind  # noqa: E402


def result(metric, value, unit="/s", peer=None, ratio=None):
    return {"subject": "s", "metric": metric, "value": value, "unit": unit, "peer": peer,
            "peer_value": None, "ratio": ratio, "bar": None, "bar_met": None, "runs": [value]}


class Compare(Case):
    def compare(self, before, after, *options, code=0):
        for name, report in (("before", before), ("after", after)):
            pathlib.Path(self.path(name)).write_text(json.dumps(report))
        done = self.run_to_end(program("bench", "bench_compare"), *options, self.path("before"),
                               self.path("after"))
        self.assert_ends(done, code)
        return done.text()

    def assert_verdict(self, before, after, verdict, *options):
        code = 3 if verdict == "WORSE" else 0
        text = self.compare([before], [after], *options, code=code)
        self.assertTrue(text.split("\n")[1].endswith(verdict), text)

    @under_valgrind
    def test_small_changes_are_noise(self):
        self.assert_verdict(result("a", 100), result("a", 91), "same within noise")
        self.assert_verdict(result("a", 100), result("a", 109), "same within noise")

    def test_states_its_threshold(self):
        self.assertIn("noise threshold: 10 %", self.compare([], []))
        self.assertIn("noise threshold: 3 %", self.compare([], [], "--noise", 3))
        self.assert_verdict(result("a", 100), result("a", 91), "WORSE", "--noise", 3)

    def test_rates_are_better_the_larger_and_times_the_smaller(self):
        self.assert_verdict(result("a", 100), result("a", 120), "better")
        self.assert_verdict(result("a", 100), result("a", 80), "WORSE")
        for unit in ("us", "ns", "ms", "bytes", "cores", ""):
            self.assert_verdict(result("a", 100, unit), result("a", 120, unit), "WORSE")
            self.assert_verdict(result("a", 100, unit), result("a", 80, unit), "better")

    def test_ratios_count_where_there_is_a_peer(self):
        # Half as fast, on a machine on which the peer is half as fast, too.
        self.assert_verdict(result("a", 100, peer="p", ratio=3), result("a", 50, peer="p", ratio=3),
                            "same within noise")
        self.assert_verdict(result("a", 100, peer="p", ratio=3), result("a", 100, peer="p", ratio=2),
                            "WORSE")

    def test_from_zero_is_a_change(self):
        self.assert_verdict(result("lost", 0, ""), result("lost", 1, ""), "WORSE")
        self.assert_verdict(result("lost", 0, ""), result("lost", 0, ""), "same within noise")

    def test_what_only_one_has_is_named(self):
        text = self.compare([result("a", 1), result("b", 2)], [result("b", 2), result("c", 3)])
        self.assertRegex(text, "(?m)^s +a .*only before$")
        self.assertRegex(text, "(?m)^s +b .*same within noise$")
        self.assertRegex(text, "(?m)^s +c .*only after$")

    def test_what_is_no_report_is_refused(self):
        pathlib.Path(self.path("text")).write_text("no report")
        for name in ("text", "missing"):
            done = self.run_to_end(program("bench", "bench_compare"), self.path(name),
                                   self.path(name))
            self.assert_ends(done, 1)
            self.assertIn(name, done.text("stderr"))
        self.assert_ends(self.run_to_end(program("bench", "bench_compare"), self.path("text")), 2)


class Plan(Case):
    MEASURED = {
        ("fleet", "orchestrator's time for a beat protobuf"): 100,
        ("connections", "cost of a beat, a connection each"): 4000,
        ("scale", "memory of a module"): 500,
        ("connections", "memory of a connection with a module"): 1500,
        ("registration", "registrations protobuf"): 50000,
        ("codec", "protobuf heartbeat request, size"): 87,
        ("codec", "protobuf heartbeat batch of 100 by alias request, size"): 429,
    }

    def plan(self, measured, *options, code=0):
        report = [dict(result(metric, value), subject=subject)
                  for (subject, metric), value in measured.items()]
        pathlib.Path(self.path("report")).write_text(json.dumps(report))
        done = self.run_to_end(ROOT / "bench" / "plan", *options, self.path("report"))
        self.assert_ends(done, code)
        return done

    def row(self, *options):
        done = self.plan(self.MEASURED, *options, "--together", 1, "--")
        heads, _, first = [[cell.strip() for cell in line.strip("|").split("|")]
                           for line in done.lines["stdout"]][:3]
        return dict(zip(heads, first))

    def test_names_what_asks_for_the_most(self):
        # A million beats a second of 4 us each are four processors.
        row = self.row("--modules", 1e6)
        self.assertEqual(row["busy processors"], "4")
        self.assertEqual((row["orchestrators"], row["by"]), ("3", "takeover"))
        row = self.row("--modules", 1e6, "--connections", 1000)
        self.assertEqual((row["orchestrators"], row["by"]), ("1,000", "connections"))
        row = self.row("--modules", 1e6, "--processors", 1, "--busy", 0.01)
        self.assertEqual((row["orchestrators"], row["by"]), ("400", "processors"))
        row = self.row("--modules", 1e6, "--memory-gib", 0.1)
        self.assertEqual((row["orchestrators"], row["by"]), ("53", "memory"))

    def test_says_what_a_report_lacks(self):
        done = self.plan({("scale", "memory of a module"): 500}, code=1)
        self.assertIn("registration: registrations protobuf", done.text("stderr"))


class Simulate(Case):
    @under_valgrind
    def test_prints_the_same_table_for_the_same_seed(self):
        small = ("--modules", 2000, "--capacity", 50, "--queue", 100)
        runs = [self.run_to_end(program("bench", "bench_simulate"), *small, "--seed", seed)
                for seed in (7, 7, 8)]
        for done in runs:
            self.assert_ends(done, 0)
        self.assertEqual(runs[0].text(), runs[1].text())
        self.assertNotEqual(runs[0].text(), runs[2].text())
        paced = [line for line in runs[0].lines["stdout"] if line.startswith("pacing")]
        self.assertEqual(len(paced), 3)
        for line in paced:
            self.assertRegex(line, " 0 +0$")


if __name__ == "__main__":
    main()
