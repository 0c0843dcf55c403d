#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every program of examples/ does what its first lines say."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

from support import ROOT, Case, main, program, under_valgrind  # noqa: E402


class Examples(Case):
    def start_example(self, name, *arguments, **more):
        self.tried.add(name)
        return self.start(program("examples", name), *arguments, **more)

    tried = set()

    @under_valgrind
    def test_client_lives_until_enter(self):
        daemon = self.start_orchestrator()
        client = self.start_example("client", daemon.url, stdin=subprocess.PIPE)
        daemon.wait_line(" registered thermometer ", "stderr")
        daemon.wait_line(" health thermometer .* health=Degraded liveness=alive", "stderr")
        self.assertIsNone(client.child.poll())
        client.child.stdin.write("\n")
        client.child.stdin.flush()
        daemon.wait_line(" unregistered thermometer ", "stderr")
        self.assert_ends(client, 0)

    def test_client_says_why_it_cannot_register(self):
        client = self.start_example("client", "nonsense")
        self.assert_ends(client, 1)
        self.assertIn("nonsense", client.text("stderr"))

    @under_valgrind
    def test_orchestrator_serves_until_enter(self):
        url = f"unix:{self.path('s')}"
        orchestrator = self.start_example("orchestrator", url, stdin=subprocess.PIPE)
        # It does not say when it listens; a module waits until somebody does.
        module = self.start_run("--name", "a", "--endpoint", url, "--interval", "1ms", "--count",
                                "5", "--message-type", "t")
        self.assert_ends(module, 0)
        for event in ("registered", "advertised", "unregistered"):
            orchestrator.wait_line(f"^{event} a$", "stderr")
        orchestrator.child.stdin.write("\n")
        orchestrator.child.stdin.flush()
        self.assert_ends(orchestrator, 0)

    def test_orchestrator_says_why_it_cannot_listen(self):
        orchestrator = self.start_example("orchestrator", "nonsense")
        self.assert_ends(orchestrator, 1)
        self.assertIn("nonsense", orchestrator.text("stderr"))

    @under_valgrind
    def test_async_gets_every_beat_answered(self):
        daemon = self.start_orchestrator()
        counter = self.start_example("async", daemon.url)
        self.assert_ends(counter, 0)
        self.assertEqual(counter.lines["stdout"], ["registered", "unregistered after 100 beats"])
        self.assertEqual(counter.text("stderr"), "")
        daemon.wait_line(" unregistered counter ", "stderr")

    @under_valgrind
    def test_embedded_needs_nobody_else(self):
        both = self.start_example("embedded")
        self.assert_ends(both, 0)
        self.assertEqual(both.lines["stdout"], ["thermometer is alive and says Degraded",
                                                'it sends temperature, of range '
                                                '{"unit":"C","max":60}',
                                                "the orchestrator does not know the module"])

    @under_valgrind
    def test_attach_goes_on_with_a_module(self):
        daemon = self.start_orchestrator()
        module = self.ctl_json("register", "--name", "a", "--endpoint", daemon.url)
        attached = self.start_example("attach", daemon.url, module["id"], module["token"])
        self.assert_ends(attached, 0)
        self.assertEqual(attached.text(), "the orchestrator thinks: Healthy")
        wrong = self.start_example("attach", daemon.url, module["id"], "no")
        self.assert_ends(wrong, 1)
        self.assertIn("Invalid token", wrong.text("stderr"))

    def test_zz_none_is_left_out(self):
        there = {path.stem for path in (ROOT / "examples").glob("*.c")}
        self.assertEqual(self.tried, there)


if __name__ == "__main__":
    main()
