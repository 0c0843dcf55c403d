/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * commands.h - the commands of pywattctl. Each is given its own name as argv[0] and returns the exit
 * code of the program; what went wrong has been said by then.
 */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

int ctl_register(int argc, char **argv);
int ctl_run(int argc, char **argv);
int ctl_heartbeat(int argc, char **argv);
int ctl_advertise(int argc, char **argv);
int ctl_unregister(int argc, char **argv);

#endif
