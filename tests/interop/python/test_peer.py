#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Modules with the manners of the Python SDK (peer.py) against the daemon."""

import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools"))
from peer import HEALTH, AuthenticationFailed, Module, NameTaken, Rejected, refusal  # noqa: E402
from support import PATIENCE_S, Case, main  # noqa: E402


class PythonModule(Case):
    def register(self, url, name, **more):
        module = Module(url, name, patience_s=PATIENCE_S, **more)
        self.addCleanup(module.end)
        return module

    def refused(self, call, *arguments, kind=Rejected):
        with self.assertRaises(Rejected) as caught:
            call(*arguments)
        self.assertIs(type(caught.exception), kind, str(caught.exception))
        return str(caught.exception)

    def test_the_life_of_a_module_over_each_transport(self):
        daemon = self.start_orchestrator(listen=["tcp://127.0.0.1:0", f"unix:{self.path('s')}"])
        for url in daemon.urls:
            with self.subTest(url=url):
                name = url.split(":")[0]
                module = self.register(url, name, metadata={"site": "north"})
                self.assertEqual(module.registration["info"]["name"], name)
                self.assertEqual(module.registration["info"]["metadata"], {"site": "north"})
                self.assertEqual(
                    f"tcp://{module.registration['orchestrator_host']}:"
                    f"{module.registration['orchestrator_port']}", daemon.url)
                daemon.wait_line(f" registered {name} id={module.id}", "stderr")
                for status in reversed(HEALTH):
                    self.assertEqual(module.heartbeat(status, {"load": "1"}), status)
                    daemon.wait_line(f" health {name} .*health={status.capitalize()} ", "stderr")
                module.advertise("/limits", ["GET", "POST"], ["temperature"], {"max": [1, None]})
                daemon.wait_line(f" advertised {name} ", "stderr")
                module.unregister()
                daemon.wait_line(f" unregistered {name} ", "stderr")
                self.assertEqual(self.refused(module.heartbeat, "healthy"),
                                 f"Module not found: {module.id}")

    def test_a_wrong_token_is_refused_and_the_module_beats_on(self):
        daemon = self.start_orchestrator()
        module = self.register(daemon.url, "a")
        right, module.token = module.token, module.token[::-1]
        for call in (lambda: module.heartbeat("healthy"), lambda: module.advertise("/", ["GET"]),
                     module.unregister):
            self.assertEqual(self.refused(call), "Invalid token")
        module.token = right
        self.assertEqual(module.heartbeat("degraded"), "degraded")

    def test_a_name_is_refused_while_its_holder_lives(self):
        daemon = self.start_orchestrator()
        module = self.register(daemon.url, "a")
        self.assertEqual(self.refused(self.register, daemon.url, "a", kind=NameTaken),
                         "Module name 'a' is already taken")
        module.unregister()
        self.register(daemon.url, "a")

    def test_a_join_token_in_the_metadata_lets_it_in(self):
        secret = "a-join-token-of-some-length"
        with open(self.path("tokens"), "w", encoding="ascii") as file:
            file.write(secret + "\n")
        daemon = self.start_orchestrator("--join-token-file", self.path("tokens"))
        self.assertIn("needs a join token", self.refused(self.register, daemon.url, "a"))
        for metadata in (None, {"site": "north"}):
            shown = {**(metadata or {}), "join_token": secret}
            module = self.register(daemon.url, "a", metadata=shown)
            self.assertEqual(module.registration["info"]["metadata"] or None, metadata)
            self.assertEqual(module.heartbeat("degraded"), "degraded")
            module.unregister()
        self.assertNotIn(secret, daemon.text("stderr"))

    def test_goes_on_with_id_and_token_after_a_kill_by_call_and_by_its_loop(self):
        store = f"sqlite:{self.path('registrations.db')}"
        daemon = self.start_orchestrator(store=store)
        called, looping = self.register(daemon.url, "called"), self.register(daemon.url, "looping")
        health = {"is": "healthy"}
        called.advertise("/", ["GET"])
        looping.start_loop(0.01, lambda: health["is"])
        daemon.signal(signal.SIGKILL)
        self.assert_ends(daemon, -signal.SIGKILL)
        again = self.start_orchestrator(listen=daemon.url, store=store)
        with self.assertRaises(OSError):
            called.heartbeat("degraded")
        self.assertEqual(called.heartbeat("degraded"), "degraded")
        health["is"] = "unhealthy"
        again.wait_line(" health looping .*health=Unhealthy ", "stderr")
        called.unregister()
        again.wait_line(" unregistered called ", "stderr")
        self.assertNotRegex(again.text("stderr"), r" (registered|reregistered) ")

    def test_four_at_once_on_their_connections(self):
        daemon = self.start_orchestrator()
        failures = []

        def live(name):
            try:
                module = self.register(daemon.url, name)
                for number in range(100):
                    status = HEALTH[number % 3]
                    assert module.heartbeat(status) == status
                module.unregister()
            except Exception as failure:  # pylint: disable=broad-except
                failures.append((name, failure))

        threads = [threading.Thread(target=live, args=(f"task-{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        daemon.wait_lines(*(f" unregistered task-{n} " for n in range(4)), stream="stderr")

    def test_the_peer_tells_errors_apart_as_the_sdk_does(self):
        for text, kind in (("Module name 'a' is already taken", NameTaken), ("Invalid token", Rejected),
                           ("Authentication failed: no token", AuthenticationFailed)):
            self.assertIs(type(refusal(text)), kind)


if __name__ == "__main__":
    main()
