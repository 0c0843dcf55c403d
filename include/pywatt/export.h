/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export.h - what marks a name as public, and how the compiler is told about formats.
 *
 * Every function that carries PYWATT_API is exported by one of the two shared libraries; nothing
 * else is.
 */
#ifndef PYWATT_EXPORT_H
#define PYWATT_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define PYWATT_API __attribute__((visibility("default")))
#define PYWATT_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#else
#define PYWATT_API
#define PYWATT_PRINTF(format_index, first_index)
#endif

#ifdef __cplusplus
#define PYWATT_BEGIN_DECLS extern "C" {
#define PYWATT_END_DECLS }
#else
#define PYWATT_BEGIN_DECLS
#define PYWATT_END_DECLS
#endif

#endif
