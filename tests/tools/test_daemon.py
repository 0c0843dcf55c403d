#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""pywatt-orchestrator: what it prints, how it ends, and what it says about bad input."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess

from support import PATIENCE_S, Case, main, program, under_valgrind


def port_of(url):
    return int(url.rsplit(":", 1)[1])


class Daemon(Case):
    def refused(self, *options, code=2):
        """Starts it with what it must refuse, and returns its message."""
        process = self.run_to_end(program("tools", "pywatt-orchestrator"), *options)
        self.assert_ends(process, code)
        self.assertEqual(process.text(), "", "nothing may be announced: " + process.story())
        self.assertRegex(process.text("stderr"), r"(?m)^pywatt-orchestrator: ")
        return process.text("stderr")

    # ---- Listening ----

    def test_tells_the_port_that_it_took_and_accepts_there(self):
        daemon = self.start_orchestrator()
        self.assertGreater(port_of(daemon.url), 0)
        socket.create_connection(("127.0.0.1", port_of(daemon.url)), PATIENCE_S).close()

    def test_announces_every_listener_in_the_order_of_the_options(self):
        path = self.path("s")
        daemon = self.start_orchestrator(
            listen=["tcp://127.0.0.1:0", f"unix:{path}", "tcp://127.0.0.1:0"])
        self.assertEqual(daemon.urls[1], f"unix:{path}")
        self.assertNotEqual(port_of(daemon.urls[0]), port_of(daemon.urls[2]))
        for url in daemon.urls:
            self.ctl("register", "--name", url, "--endpoint", url)

    def test_removes_its_unix_socket_at_the_end(self):
        path = self.path("s")
        daemon = self.start_orchestrator(listen=f"unix:{path}")
        self.assertTrue(os.path.exists(path))
        daemon.signal(signal.SIGTERM)
        self.assert_ends(daemon, 0)
        self.assertFalse(os.path.exists(path))

    @under_valgrind
    def test_a_busy_port_ends_it_with_3_and_names_the_url(self):
        daemon = self.start_orchestrator()
        message = self.refused("--listen", daemon.url, code=3)
        self.assertIn(daemon.url, message)
        self.assertIn("in use", message)

    def test_nothing_is_announced_if_one_of_several_cannot_be_had(self):
        daemon = self.start_orchestrator()
        message = self.refused("--listen", "tcp://127.0.0.1:0", "--listen", daemon.url, code=3)
        self.assertIn(daemon.url, message)

    def test_a_unix_socket_in_use_ends_it_with_3_and_harms_nobody(self):
        url = f"unix:{self.path('s')}"
        daemon = self.start_orchestrator(listen=url)
        self.assertIn(url, self.refused("--listen", url, code=3))
        self.ctl("register", "--name", "a", "--endpoint", daemon.url)

    def test_a_folder_that_is_not_there_ends_it_with_3(self):
        url = f"unix:{self.path('nowhere')}/s"
        self.assertIn(url, self.refused("--listen", url, code=3))

    # ---- The end ----

    def end_by(self, number):
        daemon = self.start_orchestrator()
        beating = self.start_run("--name", "a", "--endpoint", daemon.url, "--interval", "1ms")
        beating.wait_line("^verdict")
        silent = socket.create_connection(("127.0.0.1", port_of(daemon.url)), PATIENCE_S)
        self.addCleanup(silent.close)
        daemon.signal(number)
        self.assert_ends(daemon, 0)
        beating.wait_line("^lost")

    @under_valgrind
    def test_sigterm_ends_it_with_0_while_modules_beat(self):
        self.end_by(signal.SIGTERM)

    def test_ends_in_time_while_the_disk_hangs_and_loses_nothing_that_was_acknowledged(self):
        preload = program("tests/tools", "hung_sync.so")
        if not os.path.exists(preload):
            self.skipTest("a build with sanitizers lets nothing be preloaded")
        store, switch = f"sqlite:{self.path('r.db')}", self.path("hangs")
        daemon = self.start_orchestrator(
            "--end-timeout", "200ms", store=store,
            env={**os.environ, "LD_PRELOAD": preload, "PYWATT_TEST_HUNG_SYNC": switch})
        state = self.path("state")
        self.ctl("register", "--name", "a", "--endpoint", daemon.url, "--state", state)
        with open(switch, "w", encoding="ascii"):
            pass
        waits = self.start(program("tools", "pywattctl"), "register", "--name", "b",
                           "--endpoint", daemon.url)
        daemon.wait_line("^a sync hangs", stream="stderr")
        daemon.signal(signal.SIGTERM)
        self.assert_ends(daemon, 1)
        self.assertIn("end-timeout", daemon.text("stderr"))
        self.assertNotEqual(waits.wait_end(), 0, waits.story())
        again = self.start_orchestrator(store=store, listen=daemon.url)
        self.ctl("heartbeat", "--state", state)
        self.stop(again)

    def test_sigint_ends_it_with_0_while_modules_beat(self):
        self.end_by(signal.SIGINT)

    def test_starts_again_on_the_same_port_after_a_kill(self):
        daemon = self.start_orchestrator()
        held = socket.create_connection(("127.0.0.1", port_of(daemon.url)), PATIENCE_S)
        self.addCleanup(held.close)
        daemon.signal(signal.SIGKILL)
        self.assert_ends(daemon, -signal.SIGKILL)
        again = self.start_orchestrator(listen=daemon.url)
        self.assertEqual(again.url, daemon.url)

    def test_replaces_the_unix_socket_that_a_killed_one_left(self):
        url = f"unix:{self.path('s')}"
        daemon = self.start_orchestrator(listen=url)
        daemon.signal(signal.SIGKILL)
        self.assert_ends(daemon, -signal.SIGKILL)
        self.assertTrue(os.path.exists(self.path("s")))
        self.start_orchestrator(listen=url)
        self.ctl("register", "--name", "a", "--endpoint", url)

    def test_ends_with_1_if_it_cannot_announce_itself(self):
        process = self.run_to_end("sh", "-c", 'exec "$0" --listen tcp://127.0.0.1:0 >/dev/full',
                                  program("tools", "pywatt-orchestrator"))
        self.assert_ends(process, 1)
        self.assertIn("standard output", process.text("stderr"))

    # ---- Bad usage ----

    def test_urls_that_are_none_end_it_with_2_and_are_quoted(self):
        for url in ("", "nonsense", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:x",
                    "tcp://127.0.0.1:65536", "tcp://[::1:7900", "ftp://127.0.0.1:1", "unix:",
                    "unix:/" + "a" * 200):
            with self.subTest(url=url):
                self.assertIn(f"'{url}'", self.refused("--listen", url))

    def test_numbers_out_of_range_end_it_with_2_and_are_quoted(self):
        for option, value in (("workers", "257"), ("workers", "-1"), ("workers", "two"),
                              ("workers", ""), ("lease", "0"), ("lease", "5x"),
                              ("min-lease", "0"), ("max-lease", "4294967296"), ("retain", "x"),
                              ("max-frame", "0"), ("max-connections", "0"),
                              ("max-modules", "1e3"), ("frame-timeout", "0"),
                              ("registrations", "10000001"),
                              ("idle-timeout", "99999999999999999999"),
                              ("takeover", "never"), ("log-level", "loud"),
                              ("advertise", "127.0.0.1"), ("advertise", "127.0.0.1:0"),
                              ("advertise", "::1:7900"), ("advertise", ":7900")):
            with self.subTest(option=option, value=value):
                message = self.refused(f"--{option}", value)
                self.assertIn(f"--{option}: '{value}'", message)

    def test_options_that_do_not_fit_together_end_it_with_2(self):
        self.assertIn("lease", self.refused("--min-lease", "2000", "--max-lease", "1000"))

    def test_an_address_to_advertise_has_to_be_an_ip_literal(self):
        self.assertIn("localhost", self.refused("--advertise", "localhost:7900"))

    def test_options_that_are_none_end_it_with_2_and_are_quoted(self):
        self.assertIn("'--colour'", self.refused("--colour"))
        self.assertIn("'-x'", self.refused("-x"))
        self.assertIn("'more'", self.refused("more"))
        self.assertIn("--listen needs a value", self.refused("--listen"))
        self.assertIn("--log-events takes no value", self.refused("--log-events=yes"))

    def test_a_store_that_is_none_ends_it_with_4_and_is_named(self):
        self.assertIn("papyrus", self.refused("--store", "papyrus", code=4))

    # ---- What outlives it ----

    def stop(self, daemon, number=signal.SIGTERM):
        daemon.signal(number)
        self.assertEqual(daemon.wait_end(), 0 if number == signal.SIGTERM else -number)

    @under_valgrind
    def test_modules_are_known_after_it_was_killed(self):
        store = f"sqlite:{self.path('r.db')}"
        state = self.path("state")
        daemon = self.start_orchestrator(store=store)
        module = self.ctl_json("register", "--name", "a", "--endpoint", daemon.url, "--state", state)
        self.ctl("advertise", "--state", state, "--message-type", "t")
        self.stop(daemon, signal.SIGKILL)
        daemon = self.start_orchestrator(store=store, listen=daemon.url)
        self.ctl("heartbeat", "--state", state)
        again = self.ctl_json("register", "--name", "b", "--endpoint", daemon.url)
        self.assertEqual((again["generation"], module["generation"]), (1, 1))
        for name in os.listdir(self.folder):
            if name.startswith("r.db"):
                with open(self.path(name), "rb") as file:
                    content = file.read()
                for secret in (json.load(open(state))["token"], again.get("token", "\0none")):
                    self.assertNotIn(secret.encode(), content)
        self.stop(daemon)

    def test_registrations_are_kept_in_the_state_folder_by_default(self):
        daemon = self.start_orchestrator(store=None)
        self.ctl("register", "--name", "a", "--endpoint", daemon.url)
        folder = self.path("state-home/pywatt")
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)
        self.assertTrue(os.path.exists(f"{folder}/registrations.db"))
        self.stop(daemon)
        self.assertNotIn(folder, daemon.text("stderr"))
        os.chmod(folder, 0o770)
        daemon = self.start_orchestrator(store=None)
        self.stop(daemon)
        self.assertRegex(daemon.text("stderr"), f"(?m){folder}.*by others")

    def missing(self, why):
        """Skips the test, in words that scripts/test names."""
        print(f"\n[  SKIPPED ] tools.daemon: {self._testMethodName}: {why}", flush=True)
        self.skipTest(why)

    def as_another_user(self):
        """Options for a start: as nobody if we are root, who has no state folder in his home."""
        if os.geteuid() != 0:
            return {}
        other = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        try:
            subprocess.run([program("tools", "pywatt-orchestrator"), "--version"], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **other)
        except (OSError, ValueError, LookupError, subprocess.CalledProcessError) as error:
            self.missing(f"nobody else can run the program: {error}")
        os.chmod(self.folder, 0o755)
        shutil.chown(self.path("home"), "nobody", "nogroup")
        return other

    def test_registrations_of_a_user_are_kept_in_his_home_by_default(self):
        home = self.path("home")
        os.mkdir(home)
        more = self.as_another_user()
        for state_home in ["", "not/absolute"]:
            daemon = self.start_orchestrator(
                store=None, env={**os.environ, "HOME": home, "XDG_STATE_HOME": state_home}, **more)
            folder = f"{home}/.local/state/pywatt"
            self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)
            self.assertEqual(os.stat(f"{folder}/registrations.db").st_uid, os.stat(home).st_uid)
            self.stop(daemon)
            shutil.rmtree(f"{home}/.local")

    def test_registrations_of_root_are_kept_in_var_lib_by_default(self):
        in_namespace = ["unshare", "--mount", "sh", "-c",
                        "mount -t tmpfs tmpfs /var/lib && exec \"$@\"", "sh"]
        try:
            subprocess.run([*in_namespace, "true"], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            self.missing(f"no mount namespace: {error}")
        home = self.path("home")
        os.mkdir(home)
        daemon = self.start(*in_namespace, program("tools", "pywatt-orchestrator"),
                            "--listen", "tcp://127.0.0.1:0",
                            env={**os.environ, "HOME": home, "XDG_STATE_HOME": ""})
        url = daemon.wait_line(r"^listening (\S+)$").group(1)
        self.ctl("register", "--name", "a", "--endpoint", url)
        folder = f"/proc/{daemon.child.pid}/root/var/lib/pywatt"
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)
        self.assertTrue(os.path.exists(f"{folder}/registrations.db"))
        self.assertEqual(os.listdir(home), [])
        self.stop(daemon)

    def test_a_folder_that_cannot_be_made_ends_it_with_4_and_is_named(self):
        with open(self.path("file"), "w", encoding="ascii"):
            pass
        process = self.run_to_end(program("tools", "pywatt-orchestrator"),
                                  env={**os.environ, "XDG_STATE_HOME": self.path("file")})
        self.assert_ends(process, 4)
        self.assertIn(self.path("file"), process.text("stderr"))
        self.assertIn("--store", process.text("stderr"))

    def test_a_second_one_with_the_same_store_is_refused_and_told_who_has_it(self):
        store = f"sqlite:{self.path('r.db')}"
        daemon = self.start_orchestrator(store=store)
        message = self.refused("--store", store, "--listen", "tcp://127.0.0.1:0", code=4)
        self.assertIn(self.path("r.db"), message)
        self.assertIn(f"process {daemon.child.pid}", message)
        self.stop(daemon, signal.SIGKILL)
        self.stop(self.start_orchestrator(store=store))

    def test_a_damaged_store_is_refused_and_recovered_as_it_says(self):
        store = f"sqlite:{self.path('r.db')}"
        daemon = self.start_orchestrator(store=store)
        for name in "abc":
            self.ctl("register", "--name", name, "--endpoint", daemon.url)
        self.stop(daemon)
        with contextlib.closing(sqlite3.connect(self.path("r.db"))) as database, database:
            database.execute("UPDATE modules SET token_hash = 'x' WHERE name = 'b'")
        message = self.refused("--store", store, code=4)
        self.assertIn(self.path("r.db"), message)
        self.assertIn("pywatt-orchestrator --recover", message)
        process = self.run_to_end(program("tools", "pywatt-orchestrator"), "--store", store, "--recover")
        self.assert_ends(process, 0)
        self.assertEqual(process.text(), f"recovered {store}: 2 modules kept, 1 left out; the damaged "
                                         f"file is now {self.path('r.db')}.damaged-1")
        daemon = self.start_orchestrator(store=store)
        self.stop(daemon)
        with contextlib.closing(sqlite3.connect(self.path("r.db"))) as database:
            self.assertEqual(database.execute("SELECT name FROM modules").fetchall(),
                             [("a",), ("c",)])
        self.assertIn("keeps nothing", self.refused("--store", "memory", "--recover", code=4))

    # ---- What it was told ----

    def test_help_names_every_option_and_version_the_version(self):
        shown = self.run_to_end(program("tools", "pywatt-orchestrator"), "--help")
        self.assert_ends(shown, 0)
        for option in ("listen", "workers", "lease", "min-lease", "max-lease", "retain", "takeover",
                       "store", "recover", "advertise", "max-frame", "max-connections", "max-modules",
                       "registrations", "frame-timeout", "idle-timeout", "log-level", "log-events", "version",
                       "help"):
            self.assertRegex(shown.text(), rf"--{option}\b")
        shown = self.run_to_end(program("tools", "pywatt-orchestrator"), "--version")
        self.assert_ends(shown, 0)
        self.assertRegex(shown.text(), r"^pywatt-orchestrator \d+\.\d+\.\d+ ")

    def test_modules_get_the_lease_and_the_address_of_its_options(self):
        daemon = self.start_orchestrator("--lease", "2s", "--min-lease", "1s", "--max-lease", "3s",
                                         "--advertise", "192.0.2.7:1234")
        plain = self.ctl_json("register", "--name", "a", "--endpoint", daemon.url)
        short = self.ctl_json("register", "--name", "b", "--endpoint", daemon.url, "--lease", "1ms")
        long = self.ctl_json("register", "--name", "c", "--endpoint", daemon.url, "--lease", "1h")
        self.assertEqual([m["lease_ms"] for m in (plain, short, long)], [2000, 1000, 3000])
        self.assertEqual((plain["orchestrator_host"], plain["orchestrator_port"]),
                         ("192.0.2.7", 1234))

    def test_more_modules_than_allowed_are_refused(self):
        daemon = self.start_orchestrator("--max-modules", "1")
        self.ctl("register", "--name", "a", "--endpoint", daemon.url)
        refused = self.ctl_json("register", "--name", "b", "--endpoint", daemon.url, code=4)
        self.assertEqual(refused["error"]["status"], "LIMIT")

    def test_takeover_by_token_keeps_a_name_from_others(self):
        for policy, code in (("suspect", 0), ("lost", 4), ("token", 4)):
            with self.subTest(policy=policy):
                daemon = self.start_orchestrator("--takeover", policy)
                self.ctl("register", "--name", "a", "--endpoint", daemon.url)
                # Its connection is closed by now, so its holder is suspect.
                daemon.wait_line(r"liveness a .*liveness=suspect", "stderr")
                self.ctl("register", "--name", "a", "--endpoint", daemon.url, code=code)

    @under_valgrind
    def test_events_tell_the_life_of_a_module(self):
        daemon = self.start_orchestrator("--lease", "100", "--min-lease", "100", "--retain", "100")
        state = self.path("state")
        self.ctl("register", "--name", "line\nbreak", "--endpoint", daemon.url, "--state", state)
        daemon.wait_line(r" registered line\?break id=[0-9a-f-]{36} health=Healthy liveness=alive "
                         r"generation=1$", "stderr")
        daemon.wait_line(r" liveness line\?break .* liveness=lost ", "stderr")
        daemon.wait_line(r" forgotten line\?break ", "stderr")


if __name__ == "__main__":
    main()
