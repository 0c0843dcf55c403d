#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""pywatt-orchestrator: its config file, the environment, and both read again on SIGHUP."""

import os
import re
import signal

from support import ROOT, Case, main, program, under_valgrind

DAEMON = "pywatt-orchestrator"
SECTIONS = ("serving", "admission", "leases", "limits", "tls", "log")


def read(path):
    with open(ROOT / path, encoding="utf-8") as file:
        return file.read()


def settings_of_fields():
    """(setting, field of the library's options), of each that has one."""
    entries = re.split(r'^    \{(?=")', read("tools/orchestrator/setting_table.c"), flags=re.M)[1:]
    found = [(re.match('"(.*?)"', entry), re.search(r"\b(?:OPTION|TLS)\((\w+)\)", entry)) for entry in entries]
    return [(name[1], field[1]) for name, field in found if field]


class Config(Case):
    def setUp(self):
        super().setUp()
        self.config = self.path("orchestrator.ini")

    def write(self, text, path=None):
        with open(path or self.config, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def check(self, *options, code=0, **env):
        process = self.run_to_end(program("tools", DAEMON), "--check-config", *options,
                                  env={**os.environ, **env})
        self.assert_ends(process, code)
        return process

    def faults(self, text, *options, code=2, **env):
        """What is wrong with this file, line by line."""
        self.write(text)
        process = self.check("--config", self.config, *options, code=code, **env)
        self.assertEqual(process.text(), "" if code else f"ok: {self.config}")
        prefix = f"{DAEMON}: {self.config}:"
        return [line.removeprefix(prefix) for line in process.lines["stderr"]]

    def start_with(self, text, *options, **more):
        self.write(text)
        return self.start_orchestrator("--config", self.config, *options, **more)

    def lease_of(self, daemon, name="a"):
        return self.ctl_json("register", "--endpoint", daemon.url, "--name", name)["lease_ms"]

    def hang_up(self, daemon, *patterns):
        daemon.signal(signal.SIGHUP)
        for pattern in patterns:
            daemon.wait_line(f"SIGHUP: {pattern}", stream="stderr")

    # ---- Reading ----

    @under_valgrind
    def test_a_file_is_read_in_all_its_forms(self):
        self.write("\ufeff# comment\r\n[serving]\r\n  listen = tcp://127.0.0.1:0 , unix:/tmp/s ; here\n"
                   "\tstore=memory\n[leases] ; there\nlease = 2s\nmin-lease=250ms\n;x\n\n[limits]\n"
                   "max-frame = 256KiB\nmax-output = 2MiB\n[leases]\ntakeover = token\n"
                   "[log]\nlog-events = yes\nlog-level = debug")
        self.assertEqual(self.check("--config", self.config).text(), f"ok: {self.config}")

    @under_valgrind
    def test_everything_that_is_wrong_is_said_with_its_line(self):
        self.assertEqual(self.faults(
            "lease = 1s\n[serving]\nworkers = 257\nworkers = 2\ncolour = red\nlease = 1s\nlisten = ftp:x\n"
            "[leases]\nlease = 5x\ntakeover = never\nretain = 1s # long\n[nowhere]\na = b\n"
            "[limits] more\n[limits]\nmax-frame\n= 3\nmax-modules = \nmax-frame = 65MiB\n[log\n"
            "[log]\nlog-events = maybe\nlog-level = info debug\n[serving]\nstore =\n"), [
                "1: lease: it belongs into the section [leases]",
                "3: workers: '257' is not a whole number from 0 to 256",
                "4: workers: it stands in line 3 already",
                "5: colour: there is no such key; --help names them",
                "6: lease: it belongs into the section [leases]",
                "7: listen: 'ftp:x': \"ftp:x\": the scheme ftp is not one that this build has: tcp, unix, "
                "memory, tls",
                "9: lease: '5x' is not a time from 1 to 4294967295 ms, such as 250, 250ms, 2s, 5m or 1h",
                "10: takeover: 'never' is none of: suspect, lost, token",
                "11: retain: a comment behind a value begins with ' ;'",
                "12: there is no such section; there are serving, admission, leases, limits, tls and log",
                "14: there is more behind the ']'",
                "16: it is neither KEY = VALUE nor [SECTION] nor a comment",
                "17: there is no key before the '='",
                "18: max-modules: '' is not a whole number from 1 to 4294967295",
                "19: max-frame: '65MiB' is not a size from 256 to 67108864 bytes, such as 4096, 256KiB or "
                "1MiB",
                "20: the ']' is missing: a section is opened by [NAME]",
                "22: log-events: 'maybe' is none of: no, yes",
                "23: log-level: 'info debug' is none of: error, warning, info, debug",
                "25: store: it is empty: it wants URL"])

    def test_what_is_quoted_is_a_line_of_text_whatever_it_was(self):
        found = self.faults("[leases]\nlease = x" + "\u00e9" * 100)
        self.assertRegex(found[0], r"^2: lease: 'x\u00e9{49}\?' is not a time")
        process = self.check(code=2, PYWATT_ORCHESTRATOR_LEASE="1\n2\x1b[m")
        self.assertEqual(len(process.lines["stderr"]), 1, process.text("stderr"))
        self.assertIn("'1?2?[m' is not a time", process.text("stderr"))

    def test_bytes_that_are_no_text_are_refused(self):
        for bad, why in ((b"\xff", "not UTF-8"), (b"\xc0\xaf", "not UTF-8"), (b"\xed\xa0\x80", "not UTF-8"),
                         (b"\xf4\x90\x80\x80", "not UTF-8"), (b"\xe2\x82", "not UTF-8"),
                         (b"\0", "control character"), (b"\x1b", "control character"),
                         (b"\xc2\x85", "control character"), (b"\x7f", "control character"),
                         (b"\r", "control character")):
            with self.subTest(bad=bad):
                found = self.faults(b"[serving]\nstore = mem" + bad + b"ory\n[log]\nlog-level = info\n")
                self.assertEqual(len(found), 1, found)
                self.assertRegex(found[0], rf"^2: it .*{why}")
        self.assertEqual(self.faults(b"# gr\xc3\xbcn \xf0\x9f\x92\xa1 \xef\xbf\xbf\n", code=0), [])

    def test_lines_and_files_that_are_too_long_are_refused(self):
        line = "# " + "x" * 3998
        self.assertEqual(self.faults(line, code=0), [])
        self.assertEqual(self.faults(f"[log]\n{line}x\nlog-level = x\n"),
                         ["2: it is longer than 4000 bytes",
                          "3: log-level: 'x' is none of: error, warning, info, debug"])
        # As long as may be, and not a byte of it is lost.
        urls = ",".join(["unix:/" + "s" * 90] * 40)
        self.assertEqual(self.faults(f"[serving]\nlisten = {urls},ftp:x"),
                         ["2: listen: 'ftp:x': \"ftp:x\": the scheme ftp is not one that this build has: tcp, "
                          "unix, memory, tls"])
        self.assertRegex(self.faults("#\n" * (128 * 1024) + "#")[0], "longer than 256 KiB")
        self.assertEqual(self.faults("#\n" * (128 * 1024), code=0), [])

    def test_what_does_not_go_together_is_said_where_it_stands(self):
        self.assertRegex(self.faults("[leases]\nmin-lease = 20s\n")[0],
                         r"^2: min-lease: lease_ms is 15000: it must lie between")
        self.assertRegex(self.faults("[serving]\n\nadvertise = localhost:1\n")[0],
                         r"^3: advertise: advertise_host is .localhost.: it must be an IP address")
        self.assertEqual(self.faults("[serving]\nlisten = tls://127.0.0.1:0\n"),
                         ["2: listen: 'tls://127.0.0.1:0' needs tls-cert and tls-key"])
        self.assertEqual(self.faults("[tls]\ntls-cert = /x\n")[0], "2: tls-cert: it needs a tls-key beside it")
        self.assertEqual(self.faults("[tls]\ntls-key = /x\n")[0], "2: tls-key: it needs a tls-cert beside it")
        self.assertEqual(self.faults("[tls]\ntls-cert = /x\ntls-key = /y\n")[0],
                         "2: tls-cert: no listen speaks TLS; it needs one that begins with 'tls://'")
        self.assertRegex(self.faults("[serving]\nlisten = tls://127.0.0.1:0\n"
                                     "[tls]\ntls-cert = /x\ntls-key = /y\n")[0],
                         "^4: tls-cert: TLS: cert_file '/x': No such file")
        self.assertRegex(self.faults("[serving]\nstore = paper\n", code=4)[0], "^2: store: .*paper")

    # ---- Where it is ----

    def test_a_file_that_is_named_must_be_there(self):
        nowhere = self.path("nowhere")
        for process in (self.check("--config", nowhere, code=2),
                        self.check(code=2, PYWATT_ORCHESTRATOR_CONFIG=nowhere)):
            self.assertIn(f"{nowhere}: the config file cannot be read: No such file", process.text("stderr"))
        self.assertIn("Is a directory", self.check("--config", self.folder, code=2).text("stderr"))

    def test_the_file_in_the_folder_for_configs_is_found(self):
        env = {k: v for k, v in os.environ.items() if k != "PYWATT_ORCHESTRATOR_CONFIG"}
        env["XDG_CONFIG_HOME"] = self.path("config-home")
        os.makedirs(self.path("config-home/pywatt"))
        path = self.path("config-home/pywatt/orchestrator.ini")
        self.write("[leases]\nlease = x\n", path)
        process = self.run_to_end(program("tools", DAEMON), "--check-config", env=env)
        self.assert_ends(process, 2)
        self.assertIn(f"{path}:2: lease: ", process.text("stderr"))

    # ---- What goes before what ----

    @under_valgrind
    def test_options_go_before_the_environment_and_that_before_the_file(self):
        text = "[leases]\nlease = 1s\nmin-lease = 1s\n"
        env = {**os.environ, "PYWATT_ORCHESTRATOR_LEASE": "2s"}
        self.assertEqual(self.lease_of(self.start_with(text)), 1000)
        if not self.valgrind:
            self.assertEqual(self.lease_of(self.start_with(text, env=env)), 2000)
            self.assertEqual(self.lease_of(self.start_with(text, "--lease", "3s", env=env)), 3000)

    def test_listeners_are_those_of_one_place(self):
        text = f"[serving]\nlisten = unix:{self.path('a')}, unix:{self.path('b')}\n"
        self.write(text)
        daemon = self.start(program("tools", DAEMON), "--config", self.config, "--store", "memory")
        self.assertEqual([daemon.wait_line("^listening (.*)").group(1) for _ in "ab"],
                         [f"unix:{self.path('a')}", f"unix:{self.path('b')}"])
        daemon = self.start_with(text, listen=f"unix:{self.path('c')}")
        self.assertEqual(daemon.urls, [f"unix:{self.path('c')}"])
        self.assertFalse(any("/a" in line for line in daemon.lines["stdout"]))

    def test_variables_are_checked_and_named(self):
        for variable, value, why in (("LEASE", "5x", "'5x' is not a time"), ("TLS_1_2", "1", "none of: no, yes"),
                                     ("LEASES", "1", "there is no such setting"), ("STORE", "", "it is empty")):
            variable = "PYWATT_ORCHESTRATOR_" + variable
            process = self.check(code=2, **{variable: value})
            self.assertIn(f"{DAEMON}: {variable}: ", process.text("stderr"))
            self.assertIn(why, process.text("stderr"))
        self.check(PYWATT_ORCHESTRATOR_LOG_EVENTS="no", PYWATT_ORCHESTRATOR_LISTEN="tcp://127.0.0.1:0")

    def test_all_that_is_wrong_with_options_is_said(self):
        lines = self.check("--lease", "x", "--workers", "300", "--listen", "y", code=2).lines["stderr"]
        self.assertEqual([line.split(":")[1] for line in lines], [" --lease", " --workers", " --listen"])

    # ---- SIGHUP ----

    @under_valgrind
    def test_what_can_change_does_at_once(self):
        daemon = self.start_with("[log]\nlog-level = warning\n")
        self.assertEqual(self.lease_of(daemon), 15000)
        self.write("[leases]\nlease = 4s\n[limits]\nmax-modules = 2\n")
        self.hang_up(daemon, "settings were read again: 3 changed: lease, max-modules, log-level")
        self.assertEqual(self.lease_of(daemon, "b"), 4000)
        self.ctl("register", "--endpoint", daemon.url, "--name", "c", code=4)

    def test_what_is_wrong_changes_nothing_and_is_said_with_its_line(self):
        daemon = self.start_with("[leases]\nlease = 4s\n")
        self.write("[leases]\nlease = 5s\nlease = 6s\n[limits]\nmax-modules = x\n")
        self.hang_up(daemon, f"{self.config}:3: lease: it stands in line 2 already",
                     f"{self.config}:5: max-modules: 'x' is not a whole number",
                     "settings, certificates and join tokens stay as they were")
        self.assertEqual(self.lease_of(daemon), 4000)
        self.write("[leases]\nmin-lease = 20s\n")
        self.hang_up(daemon, f"{self.config}:2: min-lease: ", "settings, certificates and join tokens stay")
        os.remove(self.config)
        self.hang_up(daemon, f"{self.config}: the config file cannot be read", "settings, cert.* stay")
        self.assertEqual(self.lease_of(daemon, "b"), 4000)
        self.write("[leases]\nlease = 5s\n")
        self.hang_up(daemon, "settings were read again: 1 changed: lease")
        self.assertEqual(self.lease_of(daemon, "c"), 5000)

    def test_what_has_to_wait_for_a_restart_is_named_and_the_rest_changes(self):
        daemon = self.start_with("", store=None)
        self.write("[serving]\nworkers = 7\nstore = memory\n[leases]\nlease = 5s\n")
        for _ in range(2):
            self.hang_up(daemon, "workers has changed, which needs a restart",
                         "store has changed, which needs a restart", "settings were read again")
            self.assertEqual(self.lease_of(daemon), 5000)

    def test_options_still_go_before_the_file(self):
        daemon = self.start_with("", "--lease", "3s")
        self.write("[leases]\nlease = 5s\nretain = 1h\n")
        self.hang_up(daemon, "settings were read again: 1 changed: retain")
        self.assertEqual(self.lease_of(daemon), 3000)

    def test_it_serves_while_it_is_told_again_and_again(self):
        daemon = self.start_with("")
        run = self.start_run("--endpoint", daemon.url, "--name", "a", "--interval", "1ms", "--count", "300")
        for i in range(20):
            self.write(f"[limits]\nidle-timeout = {i % 2}m\nmax-connections = {i + 100}\n")
            daemon.signal(signal.SIGHUP)
        self.assert_ends(run, 0)
        self.assertNotIn("lost", run.text())


class Agreement(Case):
    def settings_of_help(self):
        """{section: [option]}"""
        shown = self.run_to_end(program("tools", DAEMON), "--help")
        self.assert_ends(shown, 0)
        groups = re.findall(r"^\w[\w ]*, \[(\w+)\].*:\n((?:  .*\n)+)", shown.text(), re.M)
        return {name: re.findall(r"^ {6}--(\S+)", text, re.M) for name, text in groups}

    def test_the_manual_has_the_same_settings_in_the_same_sections(self):
        page = read(f"docs/man/{DAEMON}.1").replace("\\-", "-")
        parts = re.findall(r"^\.SS [^\n]*\[(\w+)\]\n(.*?)(?=^\.S[SH])", page, re.M | re.S)
        found = {name: re.findall(r"^\.(?:BI|B|BR) --([a-z0-9.-]+)", text, re.M) for name, text in parts}
        self.assertEqual(found, self.settings_of_help())
        self.assertEqual(tuple(found), SECTIONS)

    def test_every_field_of_the_options_is_a_setting(self):
        table = read("tools/orchestrator/setting_table.c")
        for header, struct, macro, others in (
                ("orchestrator", "pywatt_orchestrator_options", "OPTION",
                 {"size", "on_event", "event_user", "tls", "advertise_port"}),
                ("tls", "pywatt_tls_options", "TLS", {"size", "server_name"})):
            text = re.sub(r"/\*.*?\*/", "", read(f"include/pywatt/{header}.h"), flags=re.S)
            body = re.search(rf"^struct {struct} \{{\n(.*?)^\}};", text, re.M | re.S)[1]
            fields = set(re.findall(r"(\w+);", body))
            self.assertTrue(others <= fields)
            self.assertEqual(set(re.findall(rf"{macro}\((\w+)\)", table)) - {"member"}, fields - others)

    def test_a_setting_is_named_after_its_field(self):
        others = {("advertise", "advertise_host"), ("allow-users", "unix_allow_uids"),
                  ("allow-groups", "unix_allow_gids"), ("tls-cert", "cert_file"), ("tls-key", "key_file"),
                  ("tls-client-ca", "ca_file"), ("tls-1.2", "allow_tls12")}
        found = settings_of_fields()
        self.assertTrue(others <= set(found))
        for name, field in set(found) - others:
            plain = re.sub(r"_(ms|bytes|per_s)$|_per_s(?=_)", "", field).replace("_", "-")
            self.assertIn(name, (plain, f"tls-{plain}"))

    def example(self, marks):
        """The example with the settings behind these marks in force."""
        return re.sub(rf"(?m)^[{marks}](?=[a-z0-9.-]+ = )", "", read("examples/orchestrator.ini"))

    def test_the_example_has_every_setting(self):
        self.run_check(self.example("#"))
        found, section = {}, None
        for line in self.example("#;").splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif re.match(r"[a-z0-9.-]+ = ", line):
                found.setdefault(section, []).append(line.split(" ")[0])
        self.assertEqual(found, self.settings_of_help())

    def run_check(self, text):
        path = self.path("example.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        process = self.run_to_end(program("tools", DAEMON), "--check-config", "--config", path)
        self.assert_ends(process, 0)
        self.assertEqual(process.text("stderr"), "")
        return path

    def test_the_example_as_it_is_is_good_and_shows_the_defaults(self):
        as_it_is = read("examples/orchestrator.ini")
        self.assertEqual(re.findall(r"^[a-z].*", as_it_is, re.M), [])
        path = self.run_check(as_it_is)
        process = self.start(program("tools", DAEMON), "--config", path, "--listen", "tcp://127.0.0.1:0",
                             "--store", "memory")
        process.wait_line("^listening")
        self.run_check(self.example("#"))
        process.signal(signal.SIGHUP)
        process.wait_line("SIGHUP: settings were read again: 0 changed", stream="stderr")
        self.assertNotIn("restart", process.text("stderr"))


if __name__ == "__main__":
    main()
