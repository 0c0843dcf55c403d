/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conversation.h - plays the conversations of tests/corpus/conversations, one text file each. The
 * language is told in the README there. Asserts: main thread. What a client under test does runs in
 * a thread of its own.
 */
#ifndef PW_TESTS_CONVERSATION_H
#define PW_TESTS_CONVERSATION_H

/* Fails the test, and names the line, where something else comes than what is written. */
void conversation_play(const char *path);

#endif
