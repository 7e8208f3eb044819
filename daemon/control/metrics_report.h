/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_report.h - the facts of one moment that metrics are made of */
#ifndef DAEMON_CONTROL_METRICS_REPORT_H
#define DAEMON_CONTROL_METRICS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/histogram.h"
#include "daemon/health.h"
#include "lib/berth.h"
#include "watcher/registration.h"

/** enum metrics_state - what a listener may be; metrics_state_name() */
enum metrics_state {
	METRICS_LISTENING,
	METRICS_WAITING,
	METRICS_REFUSED,
	METRICS_DRAINING,
	METRICS_SHADOWED, /* of an earlier rule that wants the same */
};
#define METRICS_STATES (METRICS_SHADOWED + 1)

/** metrics_state_name() - the value of the label `state` */
const char *metrics_state_name(enum metrics_state state);

/**
 * struct metrics_group - listeners that have their series together
 * @netns, @listener: text for JSON; NULL: those of all namespaces
 * @rule:	text for JSON
 * @protocol:	static text
 * @counted:	@counts are of all that it ever had
 * @drops, @limits: those that are told also while there was none, see
 *		metrics_reasons_drops(); of a namespace none are
 * @listeners:	by state
 * @unreachable: of those that listen, and that nobody can reach or nobody
 *		answers for, by the cause
 * @key:	the four texts
 */
struct metrics_group {
	const char *netns;
	const char *rule;
	const char *protocol;
	const char *listener;
	bool counted;
	uint32_t drops;
	uint32_t limits;
	uint64_t listeners[METRICS_STATES];
	uint64_t unreachable[HEALTH_CAUSES];
	struct berth_counts counts;
	UT_hash_handle hh;
	char key[];
};

/* Reasons that waiting listeners are told apart by; the rest has none. */
#define METRICS_REASONS_MAX 64

/** struct metrics_reason - @error: positive errno; 0: another */
struct metrics_reason {
	int error;
	uint64_t n;
};

/** struct metrics_consumer - @name: owned */
struct metrics_consumer {
	char *name;
	bool connected;
};

/**
 * struct metrics_backend - a backend of a rule
 * @rule:	owned; the other texts stand behind it
 * @netns:	"": the consumer's own
 * @protocol:	static text
 * @up:		1 or 0
 * @connections: how many clients have it
 */
struct metrics_backend {
	char *rule;
	const char *backend;
	const char *netns;
	const char *protocol;
	uint64_t up;
	uint64_t connections;
};

/** A number of the report that nobody knows. */
#define METRICS_UNKNOWN UINT64_MAX

/* berthd and its relay. */
#define METRICS_PROCESSES 2

/**
 * struct metrics_process - what /proc says of a process
 * @program:	static text; NULL: there is none
 * @open_fds:	0: this kernel does not say (before 6.2)
 */
struct metrics_process {
	const char *program;
	double cpu_seconds;
	double start_seconds;
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t open_fds;
	uint64_t max_fds;
};

/**
 * struct metrics_report - all of them
 * @groups:	by key; @list has them in the order in which they were found
 * @limited:	listeners that wait because there are the most
 * @unreadable:	names that cannot be opened; not in @pending
 * @lingering_berth: of @lingering, those in which berth or a consumer has
 *		something
 * @kernel:	its release
 * @backends:	of which consumers told anything
 * @rules_time:	of the last reload without a problem, seconds since 1970;
 *		METRICS_UNKNOWN: there was none
 * @relay_restarts: METRICS_UNKNOWN: berthd does not start it
 */
struct metrics_report {
	unsigned int refs;
	struct metrics_group *groups;
	struct metrics_group **list;
	size_t n_groups;
	struct metrics_reason reasons[METRICS_REASONS_MAX];
	size_t n_reasons;
	uint64_t limited;
	uint64_t named;
	uint64_t pending;
	uint64_t unreadable;
	uint64_t lingering;
	uint64_t lingering_berth;
	uint64_t lingering_others;
	uint64_t containers_files;
	uint64_t containers_registered[REGISTRATION_SOURCES];
	uint64_t names_overflows;
	uint64_t netlink_overflows;
	uint64_t resyncs;
	struct histogram open;
	struct histogram freed;
	struct metrics_consumer *consumers;
	size_t n_consumers;
	struct metrics_backend *backends;
	size_t n_backends;
	char kernel[65];
	uint64_t rules_successful;
	uint64_t rules_time;
	uint64_t relay_restarts;
	struct metrics_process processes[METRICS_PROCESSES];
};

/**
 * metrics_group_get() - the group of these texts, made when it is missing
 * @netns, @listener: NULL: of all namespaces
 * Return: NULL: no memory.
 */
struct metrics_group *metrics_group_get(struct metrics_report *report,
					const char *netns, const char *rule,
					const char *protocol,
					const char *listener);

/** metrics_group_find() - as metrics_group_get(). Return: NULL: there is none,
 * or no memory to look. */
struct metrics_group *metrics_group_find(const struct metrics_report *report,
					 const char *netns, const char *rule,
					 const char *protocol,
					 const char *listener);

/** metrics_report_wait() - one more listener waits on @error */
void metrics_report_wait(struct metrics_report *report, int error);

/**
 * metrics_report_backend() - one more backend of a rule
 * @protocol:	static text; the others are copied
 * @report->backends has room for it. Return: 0 or -ENOMEM.
 */
int metrics_report_backend(struct metrics_report *report,
			   const struct metrics_backend *backend);

/** metrics_report_list() - fills in @list. Return: 0 or -ENOMEM. */
int metrics_report_list(struct metrics_report *report);

/** metrics_report_new() - one reference, and nothing known. Return: NULL: no
 * memory. */
struct metrics_report *metrics_report_new(void);

/** metrics_report_ref() - takes one more reference; returns @report */
struct metrics_report *metrics_report_ref(struct metrics_report *report);

/** metrics_report_unref() - gives one reference back; the last one frees it.
 * NULL is fine. Returns NULL. */
struct metrics_report *metrics_report_unref(struct metrics_report *report);

/** metrics_process_read() - fills in all but @program of process @pid.
 * Return: 0; -ESRCH: it cannot be read. */
int metrics_process_read(int pid, struct metrics_process *ret_process);

#endif
