#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""power.py --build FOLDER [--long] [--count N]: takes the power from the disk (--long: 200 times) under a
load of registrations: an ext4 on a loop device is shut down without its journal being written, so what
it had not sent to the device is lost. Then the daemon is killed, and started again with what is there.

What was acknowledged before the power went is there, and the file opens. (While it goes, the kernel may say
of a sync that it went well and drop it; a machine without power would have told nobody.) Needs root, and
loop devices.
"""

import fcntl
import os
import random
import signal
import struct
import subprocess
import tempfile
import time

from common import FACTOR, Figures, passed, skip
from load import Ledger, Loads, check, check_file, check_tokens, parse_times, start
from mounted import enter_namespace, run

NAME = "the_power_goes_under_load"
COUNT = 5
COUNT_LONG = 200
IMAGE_BYTES = 64 << 20

# From the kernel's ext4: _IOR('X', 125, __u32), and the flag for not even flushing the journal.
EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2


class Disk:
    def __init__(self, folder):
        self.image = os.path.join(folder, "image")
        self.place = os.path.join(folder, "mounted")
        os.mkdir(self.place)
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.place)

    def unmount(self):
        run("umount", self.place)

    def drop(self):
        run("umount", "--lazy", self.place)

    def cut(self):
        folder = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(folder)


def one_round(disk, store, number, ledger, longest_s):
    process, url = start(store)
    try:
        check_file(store, ledger)
        check_tokens(url, ledger)
        loads = Loads(url, number, ledger)
        time.sleep(random.uniform(0, longest_s))
        loads.will_break()
        disk.cut()
        process.signal(signal.SIGKILL)
        process.wait_end()
        answered = loads.end()
    finally:
        process.end()
    disk.unmount()
    disk.mount()
    return answered


def torture(folder, ledger, count, longest_s):
    """How many changes were acknowledged."""
    disk = Disk(folder)
    try:
        store = os.path.join(disk.place, "registrations.db")
        answered = 0
        for number in range(count):
            answered += one_round(disk, store, number, ledger, longest_s)
            print(f"{number}: {len(ledger.known)} modules are known", flush=True)
        check(store, ledger)
        return answered
    finally:
        disk.drop()


def main():
    arguments = parse_times(__doc__, COUNT, COUNT_LONG)
    why_not = enter_namespace()
    if why_not is not None:
        return skip(NAME, why_not)
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="pywatt-torture-") as folder:
        try:
            Disk(tempfile.mkdtemp(dir=folder)).unmount()
        except (OSError, subprocess.CalledProcessError) as error:
            return skip(NAME, f"no loop device: {error}")
        answered = torture(folder, ledger, arguments.count, arguments.longest * FACTOR)
    figures = Figures("power", arguments.long)
    figures.add("power cuts", arguments.count)
    figures.add("changes that were acknowledged", answered)
    ledger.report(figures)
    figures.finish()
    return passed(NAME)


if __name__ == "__main__":
    main()
