#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Our client, as pywattctl, against an orchestrator on the published Rust SDK
(src/bin/sdk_orchestrator.rs), which knows nothing of what libpywatt adds to the protocol."""

import json
import signal

from cargo import main_with_programs, sdk_program
from support import Case

UNKNOWN_ID = "8a2f6d3e-5c1b-4f7a-9d0e-3b6c8e1f2a4d"


class RustOrchestrator(Case):
    def start_sdk(self, *address):
        hub = self.start(sdk_program("sdk_orchestrator"), *address)
        hub.url = hub.wait_line(r"^listening (\S+)$").group(1)
        return hub

    def told(self, hub, what, name):
        """What it says next about a request of this kind."""
        return json.loads(hub.wait_line(f"^{what} {name} (.*)$").group(1))

    def test_the_life_of_a_module(self):
        hub = self.start_sdk()
        module = self.ctl_json("register", "--name", "a", "--version", "1.2", "--description", "A test",
                               "--metadata", "site=north", "--endpoint", hub.url)
        self.assertEqual(module["orchestrator_host"], "127.0.0.1")
        self.assertEqual(self.told(hub, "registered", "a"),
                         {"name": "a", "version": "1.2", "description": "A test",
                          "metadata": {"site": "north"}})
        who = ["--id", module["id"], "--token", module["token"], "--endpoint", hub.url]
        for status in ("Healthy", "Degraded", "Unhealthy"):
            beat = self.ctl_json("heartbeat", "--status", status.lower(), "--detail", "load=1", *who)
            self.assertEqual(beat["verdict"], status)
            self.assertEqual(self.told(hub, "beat", "a"), [status, {"load": "1"}])
        self.ctl("advertise", "--http", "GET,POST /items", "--message-type", "resize", "--capability",
                 'limits={"max": [1, 2.5]}', *who)
        self.assertEqual(self.told(hub, "advertised", "a"), {
            "endpoints": [{"path": "/items", "methods": ["GET", "POST"]}],
            "message_types": ["resize"],
            "additional_capabilities": {"limits": {"max": [1, 2.5]}}})
        self.ctl("unregister", *who)
        self.told(hub, "unregistered", "a")
        self.ctl("heartbeat", *who, code=5)
        self.assertEqual(hub.text("stderr"), "")

    def test_what_it_refuses_is_known_by_its_words(self):
        hub = self.start_sdk()
        module = self.ctl_json("register", "--name", "a", "--endpoint", hub.url)
        taken = self.ctl_json("register", "--name", "a", "--endpoint", hub.url, code=4)
        self.assertEqual(taken["error"]["status"], "NAME_TAKEN")
        self.assertEqual(taken["error"]["message"], "Module name 'a' is already taken")
        for who, code in (([module["id"], module["token"][::-1]], 6), ([UNKNOWN_ID, "x"], 5)):
            who = ["--id", who[0], "--token", who[1], "--endpoint", hub.url]
            for command in ("heartbeat", "advertise", "unregister"):
                with self.subTest(command=command, code=code):
                    self.ctl(command, *who, code=code)

    def test_beats_by_itself_and_leaves(self):
        hub = self.start_sdk()
        process = self.start_run("--name", "a", "--endpoint", hub.url, "--interval", "5ms",
                                 "--message-type", "t", "--health", "degraded")
        self.told(hub, "registered", "a")
        hub.wait_lines("^advertised a ", *[r'^beat a \["Degraded",null\]'] * 20)
        process.signal(signal.SIGUSR2)
        process.wait_line("^verdict +health=Healthy$")
        process.signal(signal.SIGINT)
        self.assert_ends(process, 0)
        self.told(hub, "unregistered", "a")

    def test_registers_again_with_its_id_at_one_that_has_forgotten_it(self):
        hub = self.start_sdk()
        process = self.start_run("--name", "a", "--endpoint", hub.url, "--interval", "5ms",
                                 "--message-type", "t")
        module_id = process.wait_line("^registered .*id=([0-9a-f-]+)").group(1)
        process.wait_line("^verdict ")
        hub.signal(signal.SIGKILL)
        self.assert_ends(hub, -signal.SIGKILL)
        process.wait_line("^lost ")
        again = self.start_sdk(hub.url.removeprefix("tcp://"))
        self.assertEqual(self.told(again, "registered", "a")["id"], module_id)
        self.assertEqual(self.told(again, "advertised", "a")["message_types"], ["t"])
        self.told(again, "beat", "a")
        process.wait_lines("^reregistered ", "^back$")
        process.signal(signal.SIGINT)
        self.assert_ends(process, 0)

    def test_four_at_once(self):
        hub = self.start_sdk()
        names = ["a", "b", "c", "d"]
        running = [self.start_run("--name", name, "--endpoint", hub.url, "--interval", "2ms",
                                  "--count", "100") for name in names]
        for process in running:
            self.assert_ends(process, 0)
        hub.wait_lines(*(f"^unregistered {name} " for name in names))
        for name in names:
            self.assertGreaterEqual(hub.text().count(f"\nbeat {name} "), 100)


if __name__ == "__main__":
    main_with_programs()
