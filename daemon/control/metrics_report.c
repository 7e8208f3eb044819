// SPDX-License-Identifier: Apache-2.0
/* metrics_report.c - the facts of one moment that metrics are made of */
#include "daemon/control/metrics_report.h"

#include <string.h>

#include "common/util.h"

const char *metrics_state_name(enum metrics_state state)
{
	static const char *const names[] = {
		[METRICS_LISTENING] = "listening",
		[METRICS_WAITING] = "waiting",
		[METRICS_REFUSED] = "refused",
		[METRICS_DRAINING] = "draining",
		[METRICS_SHADOWED] = "shadowed",
	};

	return names[state];
}

/* Appends @text with its NUL. Return: where it stands; NULL for NULL. */
static const char *append(char *key, size_t *at, const char *text)
{
	const char *place = key + *at;
	size_t size = strlen(text ? text : "") + 1;

	memcpy(key + *at, text ? text : "", size);
	*at += size;
	return text ? place : NULL;
}

static size_t size_of(const char *text)
{
	return strlen(text ? text : "") + 1;
}

static struct metrics_group *group_new(const char *netns, const char *rule,
				       const char *protocol,
				       const char *listener, size_t *ret_size)
{
	size_t size = size_of(netns) + size_of(rule) + size_of(protocol) +
		      size_of(listener);
	struct metrics_group *group = calloc(1, sizeof(*group) + size);

	*ret_size = 0;
	if (!group)
		return NULL;
	group->netns = append(group->key, ret_size, netns);
	group->rule = append(group->key, ret_size, rule);
	group->protocol = append(group->key, ret_size, protocol);
	group->listener = append(group->key, ret_size, listener);
	return group;
}

struct metrics_group *metrics_group_get(struct metrics_report *report,
					const char *netns, const char *rule,
					const char *protocol,
					const char *listener)
{
	size_t size;
	struct metrics_group *group =
		group_new(netns, rule, protocol, listener, &size);
	struct metrics_group *found;

	if (!group)
		return NULL;
	HASH_FIND(hh, report->groups, group->key, size, found);
	if (found) {
		free(group);
		return found;
	}
	HASH_ADD(hh, report->groups, key, size, group);
	if (group->hh.tbl) {
		report->n_groups++;
		return group;
	}
	free(group);
	return NULL;
}

struct metrics_group *metrics_group_find(const struct metrics_report *report,
					 const char *netns, const char *rule,
					 const char *protocol,
					 const char *listener)
{
	size_t size;
	struct metrics_group *group =
		group_new(netns, rule, protocol, listener, &size);
	struct metrics_group *found = NULL;

	if (group)
		HASH_FIND(hh, report->groups, group->key, size, found);
	free(group);
	return found;
}

void metrics_report_wait(struct metrics_report *report, int error)
{
	size_t i = 0;

	while (i < report->n_reasons && report->reasons[i].error != error)
		i++;
	/* The last place is for 0. */
	if (i == report->n_reasons && i == METRICS_REASONS_MAX - 1 && error) {
		metrics_report_wait(report, 0);
		return;
	}
	if (i == report->n_reasons)
		report->reasons[report->n_reasons++].error = error;
	report->reasons[i].n++;
}

int metrics_report_backend(struct metrics_report *report,
			   const struct metrics_backend *backend)
{
	struct metrics_backend *copy = &report->backends[report->n_backends];
	size_t size = size_of(backend->rule) + size_of(backend->backend) +
		      size_of(backend->netns);
	char *texts = malloc(size);
	size_t at = 0;

	if (!texts)
		return -ENOMEM;
	*copy = *backend;
	copy->rule = texts;
	(void)append(texts, &at, backend->rule);
	copy->backend = append(texts, &at, backend->backend);
	copy->netns = append(texts, &at, backend->netns);
	report->n_backends++;
	return 0;
}

int metrics_report_list(struct metrics_report *report)
{
	struct metrics_group *group;
	size_t n = 0;

	report->list = calloc(report->n_groups + 1, sizeof(group));
	if (!report->list)
		return -ENOMEM;
	for (group = report->groups; group; group = group->hh.next)
		report->list[n++] = group;
	return 0;
}

struct metrics_report *metrics_report_new(void)
{
	struct metrics_report *report = calloc(1, sizeof(*report));

	if (report)
		report->refs = 1;
	return report;
}

struct metrics_report *metrics_report_ref(struct metrics_report *report)
{
	report->refs++;
	return report;
}

struct metrics_report *metrics_report_unref(struct metrics_report *report)
{
	struct metrics_group *group, *next;

	if (!report || --report->refs > 0)
		return NULL;
	for (size_t i = 0; i < report->n_consumers; i++)
		free(report->consumers[i].name);
	free(report->consumers);
	for (size_t i = 0; i < report->n_backends; i++)
		free(report->backends[i].rule);
	free(report->backends);
	free(report->list);
	group = report->groups;
	HASH_CLEAR(hh, report->groups);
	for (; group; group = next) {
		next = group->hh.next;
		free(group);
	}
	free(report);
	return NULL;
}
