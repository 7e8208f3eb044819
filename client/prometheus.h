/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus.h - berthd's metrics in the text format of Prometheus
 *
 * Call PROMETHEUS_METHOD with prometheus_parameters(), taking several replies,
 * and add each of them. Nothing is kept but the names of the families: the text
 * of 100,000 series is written as it arrives.
 */
#ifndef CLIENT_PROMETHEUS_H
#define CLIENT_PROMETHEUS_H

#include <jansson.h>
#include <stdio.h>

#define PROMETHEUS_METHOD "io.berth.ListMetrics"

/* Of the text. */
#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct prometheus;

/**
 * prometheus_parameters() - what PROMETHEUS_METHOD is called with
 * @namespaces:	a pattern: series for each of these namespaces; NULL: by rule
 *		and protocol
 * Return: a new reference; NULL: no memory, or @namespaces is not UTF-8.
 */
json_t *prometheus_parameters(const char *namespaces);

/** prometheus_new() - before the first reply. Return: NULL: no memory. */
struct prometheus *prometheus_new(void);

/**
 * prometheus_add() - writes what one reply has
 * @parameters:	the reply's
 * @out:	whether all was written is the caller's to check: ferror(3)
 *
 * Return: 0; -ENOMEM; -EPROTO: this is no reply of PROMETHEUS_METHOD. What was
 * written before is to be thrown away then.
 */
int prometheus_add(struct prometheus *prometheus, const json_t *parameters,
		   FILE *out);

/** prometheus_free() - after the last reply, or before. NULL is fine. Return:
 * NULL. */
struct prometheus *prometheus_free(struct prometheus *prometheus);

#endif
