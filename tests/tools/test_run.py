#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""pywattctl run: a module that lives until it is told to end."""

import json
import os
import signal
import subprocess
import time

from support import FACTOR, PATIENCE_S, Case, Peer, closed_port, main, program, under_valgrind

CODECS = ("json", "protobuf")


def values(line):
    """The key=value pairs of a line of text."""
    return dict(pair.split("=", 1) for pair in line.split()[1:])


class Run(Case):
    def run_module(self, daemon, *options, name="a", interval="5ms"):
        """A module that beats: its first answer has come."""
        process = self.start_run("--name", name, "--endpoint", daemon.url, "--interval", interval,
                                 *options)
        process.wait_line("^verdict ")
        return process

    def assert_unregistered(self, process, daemon, name="a"):
        self.assert_ends(process, 0)
        daemon.wait_line(f" unregistered {name} ", "stderr")
        counts = values(process.lines["stdout"][-1])
        self.assertTrue(process.lines["stdout"][-1].startswith("summary"), process.story())
        self.assertGreater(int(counts["answered"]), 0)
        self.assertEqual(counts["failed"], "0")
        return counts

    @under_valgrind
    def test_a_whole_life_over_each_codec_and_transport(self):
        daemon = self.start_orchestrator(listen=["tcp://127.0.0.1:0", f"unix:{self.path('s')}"])
        for url, codec in self.some((url, codec) for codec in CODECS for url in daemon.urls):
            with self.subTest(url=url, codec=codec):
                name = url.split(":")[0] + codec
                process = self.start_run("--name", name, "--endpoint", url, "--codec", codec,
                                         "--interval", "2ms", "--http", "GET /x", "--lease",
                                         "30s", "--message-type", "t", "--capability", "a=[1]")
                told = values(process.wait_line("^registered ").string)
                self.assertEqual((told["name"], told["codec"], told["lease_ms"]),
                                 (name, codec, "30000"))
                told = values(process.wait_line("^advertised ").string)
                self.assertEqual(told, {"endpoints": "1", "message_types": "1",
                                        "additional_capabilities": "1"})
                told = values(process.wait_line("^beating ").string)
                self.assertEqual(told, {"interval_ms": "2", "health": "Healthy"})
                process.wait_line("^verdict +health=Healthy$")
                daemon.wait_line(f" advertised {name} id=.*", "stderr")
                process.signal(signal.SIGINT)
                self.assert_unregistered(process, daemon, name)

    def test_sigterm_unregisters_too(self):
        daemon = self.start_orchestrator()
        process = self.run_module(daemon)
        process.signal(signal.SIGTERM)
        self.assert_unregistered(process, daemon)

    def test_json_is_one_object_on_each_line(self):
        daemon = self.start_orchestrator()
        process = self.start_run("--name", "a", "--endpoint", daemon.url, "--interval", "1ms",
                                 "--count", "20", "--message-type", "t", "--json")
        self.assert_ends(process, 0)
        events = [json.loads(line) for line in process.lines["stdout"]]
        self.assertEqual([event["event"] for event in events],
                         ["connecting", "registered", "advertised", "beating", "verdict",
                          "ending", "unregistered", "summary"])
        self.assertEqual(events[5]["reason"], "count")
        self.assertGreaterEqual(events[-1]["answered"], 20)
        self.assertNotIn("token", events[1])

    def test_count_ends_it_close_to_so_many_beats(self):
        daemon = self.start_orchestrator()
        process = self.start_run("--name", "a", "--endpoint", daemon.url, "--interval", "100ms",
                                 "--count", "3")
        counts = self.assert_unregistered(process, daemon)
        if FACTOR == 1:
            self.assertIn(int(counts["answered"]), (3, 4))

    def test_duration_ends_it(self):
        daemon = self.start_orchestrator()
        began = time.monotonic()
        process = self.start_run("--name", "a", "--endpoint", daemon.url, "--interval", "5ms",
                                 "--duration", "300ms")
        self.assert_unregistered(process, daemon)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)

    def test_without_an_interval_it_takes_the_one_of_the_orchestrator(self):
        daemon = self.start_orchestrator("--lease", "300ms")
        process = self.start_run("--name", "a", "--endpoint", daemon.url)
        process.wait_line("^verdict ")
        process.signal(signal.SIGINT)
        self.assert_unregistered(process, daemon)

    # ---- Health ----

    def test_signals_change_the_health_step_by_step(self):
        daemon = self.start_orchestrator()
        process = self.run_module(daemon)
        for number, health in ((signal.SIGUSR1, "Degraded"), (signal.SIGUSR1, "Unhealthy"),
                               (signal.SIGUSR2, "Degraded"), (signal.SIGUSR2, "Healthy")):
            process.signal(number)
            process.wait_line(f"^health +health={health}$")
            process.wait_line(f"^verdict +health={health}$")
            daemon.wait_line(f" health a .* health={health} ", "stderr")
        process.signal(signal.SIGINT)
        self.assert_unregistered(process, daemon)

    def test_health_stops_at_either_end(self):
        daemon = self.start_orchestrator()
        process = self.run_module(daemon, "--health", "unhealthy")
        process.signal(signal.SIGUSR1)
        process.wait_line("^health +health=Unhealthy$")
        process.signal(signal.SIGUSR2)
        process.wait_line("^verdict +health=Degraded$")

    # ---- The orchestrator goes away ----

    @under_valgrind
    def test_registers_again_by_itself_when_the_orchestrator_was_killed(self):
        for codec in self.some(CODECS):
            with self.subTest(codec=codec):
                daemon = self.start_orchestrator()
                state = self.path("state" + codec)
                process = self.run_module(daemon, "--codec", codec, "--message-type", "t",
                                          "--health", "degraded", "--state", state)
                with open(state, encoding="utf-8") as file:
                    old = json.load(file)
                daemon.signal(signal.SIGKILL)
                self.assert_ends(daemon, -signal.SIGKILL)
                process.wait_line("^lost ")
                again = self.start_orchestrator(listen=daemon.url)
                again.wait_line(f" registered a id={old['id']} ", "stderr")
                again.wait_lines(" advertised a ", " health a .* health=Degraded",
                                 stream="stderr")
                process.wait_lines("^reregistered ", "^back$")
                # The file holds the new token: other commands can go on with it.
                self.assertEqual(self.ctl_json("heartbeat", "--state", state)["id"], old["id"])
                with open(state, encoding="utf-8") as file:
                    self.assertNotEqual(json.load(file)["token"], old["token"])
                process.signal(signal.SIGINT)
                self.assert_ends(process, 0)
                again.wait_line(" unregistered a ", "stderr")
                self.assertFalse(os.path.exists(state))

    def orphan(self, *options):
        """A module whose orchestrator is gone, and which has noticed."""
        daemon = self.start_orchestrator()
        process = self.run_module(daemon, *options)
        daemon.signal(signal.SIGKILL)
        self.assert_ends(daemon, -signal.SIGKILL)
        process.wait_line("^lost ")
        process.signal(signal.SIGINT)
        process.wait_line("^ending +reason=signal$")
        return process

    @under_valgrind
    def test_the_end_does_not_wait_for_an_orchestrator_that_is_away(self):
        process = self.orphan("--timeout", f"{300 * FACTOR}ms")
        self.assertIn(process.wait_end(), (3, 7), process.story())
        self.assertIn("unregister", process.text("stderr"))

    def test_a_second_ctrl_c_ends_it_at_once(self):
        process = self.orphan("--timeout", "1h")
        began = time.monotonic()
        process.signal(signal.SIGINT)
        self.assert_ends(process, 7)
        self.assertLess(time.monotonic() - began, 3 * FACTOR)

    @under_valgrind
    def test_ctrl_c_ends_it_while_it_waits_to_be_registered(self):
        began = time.monotonic()
        process = self.wait_in_register(Peer(lambda connection: connection.recv(1 << 20)))
        process.signal(signal.SIGINT)
        self.assert_ends(process, 1)
        self.assertIn("interrupted", process.text("stderr"))
        self.assertLess(time.monotonic() - began, PATIENCE_S)

    def wait_in_register(self, peer):
        """A run whose request has reached a peer that does not answer."""
        self.addCleanup(peer.close)
        process = self.start_run("--name", "a", "--endpoint", peer.url, "--log-level", "debug")
        deadline = time.monotonic() + PATIENCE_S
        while not peer.open:
            self.assertLess(time.monotonic(), deadline, process.story())
            try:
                process.child.wait(0.01)
                self.fail(process.story())
            except subprocess.TimeoutExpired:
                pass
        return process

    def test_3_when_no_orchestrator_is_found_in_time(self):
        holder, url = closed_port()
        self.addCleanup(holder.close)
        process = self.start_run("--name", "a", "--endpoint", url, "--timeout", "200ms")
        self.assert_ends(process, 3)
        self.assertIn(url, process.text("stderr"))

    # ---- State files ----

    def test_keep_leaves_the_module_and_a_later_run_goes_on_with_it(self):
        daemon = self.start_orchestrator()
        state = self.path("state")
        self.assert_ends(self.start_run("--name", "a", "--endpoint", daemon.url, "--interval",
                                        "1ms", "--count", "3", "--state", state, "--keep"), 0)
        daemon.wait_line(" registered a ", "stderr")
        with open(state, encoding="utf-8") as file:
            kept = json.load(file)
        process = self.start_run("--state", state, "--interval", "1ms", "--count", "3")
        self.assertEqual(values(process.wait_line("^attached ").string)["id"], kept["id"])
        self.assert_unregistered(process, daemon)
        self.assertFalse(os.path.exists(state))
        self.assertEqual(daemon.text("stderr").count(" registered a "), 1)

    def test_a_state_file_of_another_module_is_refused(self):
        daemon = self.start_orchestrator()
        state = self.path("state")
        self.ctl("register", "--name", "a", "--endpoint", daemon.url, "--state", state)
        process = self.start_run("--name", "b", "--state", state)
        self.assert_ends(process, 2)
        self.assertIn("'a', not 'b'", process.text("stderr"))
        self.assertTrue(os.path.exists(state))

    # ---- Trouble ----

    def test_4_when_the_name_is_taken(self):
        daemon = self.start_orchestrator()
        self.run_module(daemon)
        second = self.start_run("--name", "a", "--endpoint", daemon.url)
        self.assert_ends(second, 4)
        self.assertIn("'a'", second.text("stderr"))

    def test_unregisters_when_nobody_reads_its_output_any_more(self):
        daemon = self.start_orchestrator()
        read_end, write_end = os.pipe()
        child = subprocess.Popen(
            [program("tools", "pywattctl"), "run", "--name", "a", "--endpoint", daemon.url,
             "--interval", "5ms"], stdout=write_end, stderr=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        os.close(write_end)
        with open(read_end, encoding="utf-8") as output:
            while not output.readline().startswith("verdict"):
                pass
        child.send_signal(signal.SIGUSR1)
        self.assertEqual(child.wait(PATIENCE_S), 1)
        daemon.wait_line(" unregistered a ", "stderr")

    def test_a_module_that_was_frozen_and_replaced_ends_itself(self):
        daemon = self.start_orchestrator("--lease", "200ms")
        process = self.run_module(daemon, interval="20ms")
        process.signal(signal.SIGSTOP)
        daemon.wait_line(" liveness a .* liveness=lost", "stderr")
        new = self.start_run("--name", "a", "--endpoint", daemon.url, "--interval", "20ms")
        new.wait_line("^verdict ")
        process.signal(signal.SIGCONT)
        self.assertIn(process.wait_end(), (4, 6), process.story())
        new.signal(signal.SIGINT)
        self.assert_ends(new, 0)


if __name__ == "__main__":
    main()
