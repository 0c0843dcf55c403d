/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pin.h - which processor the two sides of a round trip run on. Left alone, the kernel puts some pairs
 * of threads on one processor and some on two, which makes more of a difference than what is
 * measured; so the caller has one, and whoever answers another, each pair alike.
 */
#ifndef BENCH_PIN_H
#define BENCH_PIN_H

/* The calling thread, and the threads and processes that it starts from now on. */
void bench_pin_answerers(void);
void bench_pin_caller(void);

#endif
