/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pywatt.h - all of the module side's API in one include. The orchestrator's is apart, in
 * <pywatt/orchestrator.h>, as it is a library of its own.
 */
#ifndef PYWATT_PYWATT_H
#define PYWATT_PYWATT_H

#include <pywatt/client.h>
#include <pywatt/heartbeat.h>
#include <pywatt/histogram.h>
#include <pywatt/log.h>
#include <pywatt/model.h>
#include <pywatt/module.h>
#include <pywatt/status.h>
#include <pywatt/uuid.h>

#endif
