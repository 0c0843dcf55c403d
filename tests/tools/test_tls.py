#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The daemon and pywattctl over TLS: files, names, and certificates that are read again."""

import os
import shutil
import signal
import subprocess

from support import Case, main, program, under_valgrind


class Tls(Case):
    def setUp(self):
        super().setUp()
        self.make("ca", "hub", "DNS:hub.example,IP:127.0.0.1", "module", "DNS:camera")
        self.serving = ["--tls-cert", self.path("hub.pem"), "--tls-key", self.path("hub.key")]
        self.trusting = ["--tls-ca", self.path("ca.pem")]
        self.showing = ["--tls-cert", self.path("module.pem"), "--tls-key", self.path("module.key")]

    def make(self, ca, *certificates, folder=None):
        subprocess.run([program("tests/support", "make-certificates"), folder or self.folder, ca,
                        *certificates], check=True)

    def start_tls(self, *options):
        return self.start_orchestrator(*self.serving, *options, listen="tls://127.0.0.1:0")

    def register(self, daemon, name, *options, code=0):
        return self.ctl("register", "--endpoint", daemon.url, "--name", name, *options, code=code)

    @under_valgrind
    def test_a_module_lives_its_life_with_either_codec(self):
        daemon = self.start_tls("--tls-client-ca", self.path("ca.pem"))
        self.assertRegex(daemon.url, r"^tls://127\.0\.0\.1:\d+$")
        for codec in self.some(["protobuf", "json"]):
            state = ["--state", self.path(codec), *self.trusting, *self.showing]
            self.register(daemon, "camera", "--codec", codec, *state)
            self.ctl("heartbeat", "--status", "degraded", *state)
            self.ctl("advertise", "--message-type", "picture", *state)
            self.ctl("unregister", *state)

    def test_run_beats_over_tls(self):
        daemon = self.start_tls()
        run = self.start_run("--endpoint", daemon.url, "--name", "camera", "--interval", "1ms",
                             "--count", "20", *self.trusting)
        self.assert_ends(run, 0)

    def test_a_certificate_is_for_its_modules_only(self):
        daemon = self.start_tls("--tls-client-ca", self.path("ca.pem"))
        refused = self.register(daemon, "lamp", *self.trusting, *self.showing, code=4)
        self.assertIn("not for this module", refused.text("stderr"))
        refused = self.register(daemon, "camera", *self.trusting, code=3)
        self.assertIn("it wants a certificate from us", refused.text("stderr"))
        daemon.wait_line("it showed no certificate", stream="stderr")

    def test_names_and_cas_are_checked(self):
        daemon = self.start_tls()
        refused = self.register(daemon, "a", *self.trusting, "--tls-name", "b.example", code=3)
        self.assertIn("its certificate is for hub.example, 127.0.0.1, not for b.example",
                      refused.text("stderr"))
        self.register(daemon, "a", *self.trusting, "--tls-name", "hub.example")
        self.assertIn("unknown CA", self.register(daemon, "b", code=3).text("stderr"))

    def test_plain_is_never_spoken_where_tls_is_asked_for(self):
        daemon = self.start_orchestrator()
        refused = self.register(daemon, "a", *self.trusting, code=2)
        self.assertIn("not encrypted", refused.text("stderr"))
        as_tls = "tls" + daemon.url[3:]
        refused = self.ctl("register", "--endpoint", as_tls, "--name", "a", *self.trusting, code=3)
        self.assertIn("TLS handshake", refused.text("stderr"))

    def refused(self, *options):
        process = self.run_to_end(program("tools", "pywatt-orchestrator"), *options)
        self.assert_ends(process, 2)
        self.assertEqual(process.text(), "")
        return process.text("stderr")

    def test_a_daemon_with_certificates_and_no_use_for_them_does_not_start(self):
        said = "no listen speaks TLS; it needs one that begins with 'tls://'"
        for listen in ([], ["--listen", "tcp://127.0.0.1:0"]):
            self.assertIn(said, self.refused(*self.serving, *listen))

    def test_a_listener_without_tls_beside_one_that_asks_for_certificates_is_told_of(self):
        asking = ["--tls-client-ca", self.path("ca.pem")]
        daemon = self.start_tls(*asking, "--listen", "tcp://127.0.0.1:0")
        daemon.wait_line("nobody is asked for a certificate at 'tcp://127.0.0.1:0'",
                         stream="stderr")

    def test_bad_files_end_the_daemon_with_2_and_are_named(self):
        listen = ["--listen", "tls://127.0.0.1:0"]
        hub, module = self.path("hub"), self.path("module")
        self.assertIn("needs tls-cert and tls-key", self.refused(*listen))
        self.assertIn("needs a tls-key", self.refused(*listen, "--tls-cert", hub + ".pem"))
        self.assertIn("is not the key of the certificate in", self.refused(
            *listen, "--tls-cert", hub + ".pem", "--tls-key", module + ".key"))
        self.assertIn("No such file", self.refused(
            *listen, "--tls-cert", hub + ".pem", "--tls-key", "/nowhere"))
        self.assertIn("/nowhere", self.refused(*listen, *self.serving, "--tls-client-ca", "/nowhere"))
        self.assertIn("tls-handshake-timeout", self.refused(*listen, *self.serving, "--tls-handshake-timeout", "0"))

    def test_a_file_that_is_missing_ends_ctl_and_is_named(self):
        self.assertIn("/nowhere", self.ctl("register", "--name", "a", "--endpoint",
                                           "tls://127.0.0.1:1", "--tls-ca", "/nowhere",
                                           code=1).text("stderr"))

    # ---- SIGHUP ----

    @under_valgrind
    def test_sighup_has_new_certificates_read(self):
        daemon = self.start_tls()
        self.register(daemon, "a", *self.trusting)
        other = self.path("other")
        os.mkdir(other)
        self.make("ca", "hub", "DNS:new.example", folder=other)
        for name in ("hub.pem", "hub.key"):
            shutil.copy(os.path.join(other, name), self.path(name))
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("SIGHUP: certificates were read again", stream="stderr")
        refused = self.register(daemon, "b", *self.trusting, code=3)
        self.assertIn("its certificate is for new.example", refused.text("stderr"))
        self.register(daemon, "b", "--tls-ca", os.path.join(other, "ca.pem"), "--tls-name",
                      "new.example")

    def test_sighup_with_a_bad_file_leaves_the_old_ones_and_says_why(self):
        daemon = self.start_tls()
        shutil.copy(self.path("module.key"), self.path("hub.key"))
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("SIGHUP: --tls-key: TLS: key_file .* is not the key of the certificate in", stream="stderr")
        self.register(daemon, "a", *self.trusting)
        os.remove(self.path("hub.pem"))
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("SIGHUP: --tls-cert: .*hub.pem.*No such file", stream="stderr")
        daemon.wait_line("SIGHUP: settings, certificates and join tokens stay as they were", stream="stderr")
        self.register(daemon, "b", *self.trusting)
        daemon.signal(signal.SIGTERM)
        self.assert_ends(daemon, 0)

    def test_sighup_puts_other_files_in_force(self):
        config = self.path("orchestrator.ini")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"[tls]\ntls-cert = {self.path('hub.pem')}\ntls-key = {self.path('hub.key')}\n")
        daemon = self.start_orchestrator("--config", config, listen="tls://127.0.0.1:0")
        self.register(daemon, "a", *self.trusting)
        with open(config, "a", encoding="ascii") as file:
            file.write(f"tls-client-ca = {self.path('ca.pem')}\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("SIGHUP: settings were read again: 1 changed: tls-client-ca", stream="stderr")
        refused = self.register(daemon, "camera", *self.trusting, code=3)
        self.assertIn("it wants a certificate from us", refused.text("stderr"))
        self.register(daemon, "camera", *self.trusting, *self.showing)
        os.remove(config)
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("SIGHUP: .*orchestrator.ini: the config file cannot be read", stream="stderr")
        self.register(daemon, "camera", *self.trusting, *self.showing)

    def test_whether_there_is_tls_is_decided_at_the_start(self):
        config = self.path("orchestrator.ini")
        with open(config, "w", encoding="ascii") as file:
            file.write("[serving]\nlisten = tcp://127.0.0.1:0\n")
        daemon = self.start(program("tools", "pywatt-orchestrator"), "--store", "memory", "--config", config)
        daemon.wait_line(r"^listening tcp:")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"[serving]\nlisten = tls://127.0.0.1:0\n[tls]\ntls-cert = {self.path('hub.pem')}\ntls-key = {self.path('hub.key')}\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("SIGHUP: tls-cert has changed, which needs a restart", stream="stderr")
        daemon.wait_line("SIGHUP: settings were read again: 0 changed", stream="stderr")

    def test_a_key_that_others_may_read_is_warned_of(self):
        os.chmod(self.path("hub.key"), 0o604)
        daemon = self.start_tls()
        daemon.wait_line(r"warning: --tls-key: everybody on this machine may use '.*hub.key'; chmod o=",
                         stream="stderr")
        self.register(daemon, "a", *self.trusting)


if __name__ == "__main__":
    main()
