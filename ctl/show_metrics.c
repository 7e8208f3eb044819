// SPDX-License-Identifier: Apache-2.0
/* show_metrics.c - metrics as the text that Prometheus reads */
#include "ctl/show.h"

#include <stdio.h>

#include "client/prometheus.h"
#include "common/util.h"

void *show_metrics_begin(void)
{
	return prometheus_new();
}

int show_metrics_add(void *state, const json_t *reply, struct json_span none)
{
	(void)none;
	return prometheus_add(state, reply, stdout);
}

int show_metrics_end(void *state)
{
	(void)state; /* main checks ferror(3) */
	return 0;
}

void show_metrics_free(void *state)
{
	(void)prometheus_free(state); /* is always NULL */
}
