// SPDX-License-Identifier: Apache-2.0
/* metrics_families.c - which metrics there are: the one table of them
 *
 * Theory of operation: each family has a function that says which series it has
 * at an index from 0 on, of a report that does not change. What is not known
 * has no series: a 0 would be taken for the truth. Most families are members of
 * the report, or of each group in it, and need no function of their own.
 */
#include "daemon/control/metrics_families.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/protocol.h"
#include "common/util.h"
#include "daemon/control/metrics_report.h"
#include "daemon/json_build.h"
#include "lib/berth_endings.h"
#include "lib/berth_reasons.h"

/* Labels of a series beside those of its group. */
#define LABELS_MAX 4

/**
 * struct sample - one series, before it is JSON
 * @group:	whose labels it has, too; or NULL
 * @values:	of the family's labels; NULL: it lacks the label
 * @real:	its value is @number, and not @count
 * @text:	where a value may stand
 */
struct sample {
	const char *suffix;
	const struct metrics_group *group;
	const char *values[LABELS_MAX];
	bool real;
	uint64_t count;
	double number;
	char text[METRICS_TEXT_MAX];
};

/* What a function says of an index. */
enum outcome {
	SAMPLE_MADE,
	SAMPLE_NONE, /* no series here, but maybe behind it */
	SAMPLE_END,
};

/** struct choice - a value of the only label, and the member that it is for */
struct choice {
	const char *value;
	size_t offset;
};

/**
 * struct entry - one family of the table
 * @labels:	beside those of the group
 * @get:	fills in the sample at an index
 * @offset:	for @get: of a member of what it takes the value from
 * @choices:	for @get: several members; the last one has no value
 */
struct entry {
	struct metrics_family family;
	const char *labels[LABELS_MAX];
	enum outcome (*get)(const struct metrics_report *report,
			    const struct entry *entry, size_t index,
			    struct sample *sample);
	size_t offset;
	const struct choice *choices;
};

static uint64_t member(const void *object, size_t offset)
{
	return *(const uint64_t *)(const void *)((const char *)object + offset);
}

/* One series, whose value is a member of the report. */
static enum outcome get_one(const struct metrics_report *report,
			    const struct entry *entry, size_t index,
			    struct sample *sample)
{
	sample->count = member(report, entry->offset);
	return index > 0 || sample->count == METRICS_UNKNOWN ? SAMPLE_END
							     : SAMPLE_MADE;
}

/* A series for each of the choices. */
static enum outcome get_choices(const struct metrics_report *report,
				const struct entry *entry, size_t index,
				struct sample *sample)
{
	const struct choice *choice = &entry->choices[index];

	if (!choice->value)
		return SAMPLE_END;
	sample->values[0] = choice->value;
	sample->count = member(report, choice->offset);
	return SAMPLE_MADE;
}

/* Each group has @n places. Return: false: there are no more groups. */
static bool go_to_group(const struct metrics_report *report, size_t index,
			size_t n, struct sample *sample, size_t *ret_place)
{
	if (index / n >= report->n_groups)
		return false;
	sample->group = report->list[index / n];
	*ret_place = index % n;
	return true;
}

static enum outcome get_build(const struct metrics_report *report,
			      const struct entry *entry, size_t index,
			      struct sample *sample)
{
	(void)entry;
	if (index > 0)
		return SAMPLE_END;
	sample->count = 1;
	sample->values[0] = BERTH_VERSION;
	sample->values[1] = report->kernel;
	return SAMPLE_MADE;
}

static enum outcome get_listeners(const struct metrics_report *report,
				  const struct entry *entry, size_t index,
				  struct sample *sample)
{
	size_t state;

	(void)entry;
	if (!go_to_group(report, index, METRICS_STATES, sample, &state))
		return SAMPLE_END;
	sample->values[0] = metrics_state_name((enum metrics_state)state);
	sample->count = sample->group->listeners[state];
	/* One that is not there has no series of its own. */
	return state == METRICS_SHADOWED && sample->group->listener
		       ? SAMPLE_NONE
		       : SAMPLE_MADE;
}

static enum outcome get_unreachable(const struct metrics_report *report,
				    const struct entry *entry, size_t index,
				    struct sample *sample)
{
	size_t cause;

	(void)entry;
	if (!go_to_group(report, index, HEALTH_CAUSES, sample, &cause))
		return SAMPLE_END;
	sample->count = sample->group->unreachable[cause];
	sample->values[0] = health_cause_name((enum health_cause)cause);
	return sample->count ? SAMPLE_MADE : SAMPLE_NONE;
}

static enum outcome get_waiting(const struct metrics_report *report,
				const struct entry *entry, size_t index,
				struct sample *sample)
{
	const char *name;

	(void)entry;
	if (index > report->n_reasons)
		return SAMPLE_END;
	if (index == report->n_reasons) {
		sample->values[0] = "limit";
		sample->count = report->limited;
		return SAMPLE_MADE;
	}
	name = strerrorname_np(report->reasons[index].error);
	sample->values[0] = report->reasons[index].error && name ? name
								 : "other";
	sample->count = report->reasons[index].n;
	return SAMPLE_MADE;
}

/* A member of what was counted, for each group. */
static enum outcome get_count(const struct metrics_report *report,
			      const struct entry *entry, size_t index,
			      struct sample *sample)
{
	size_t place;

	if (!go_to_group(report, index, 1, sample, &place))
		return SAMPLE_END;
	if (!sample->group->counted)
		return SAMPLE_NONE;
	sample->count = member(&sample->group->counts, entry->offset);
	return SAMPLE_MADE;
}

/* Number @place of several members that are told apart by words. There are many
 * words: those of which there was none have no series, but for @expected ones,
 * of which a rate is to see the first, too. */
static enum outcome by_word(const struct entry *entry, size_t place,
			    const char *word, bool expected,
			    struct sample *sample)
{
	sample->values[0] = word;
	sample->count = member(&sample->group->counts,
			       entry->offset + place * sizeof(uint64_t));
	return sample->group->counted && (sample->count || expected)
		       ? SAMPLE_MADE
		       : SAMPLE_NONE;
}

static enum outcome get_ended(const struct metrics_report *report,
			      const struct entry *entry, size_t index,
			      struct sample *sample)
{
	size_t place;

	if (!go_to_group(report, index, BERTH_ENDINGS, sample, &place))
		return SAMPLE_END;
	return by_word(entry, place, berth_ending_names[place], false, sample);
}

static bool has_bit(uint32_t bits, size_t place)
{
	return bits & (UINT32_C(1) << place);
}

static enum outcome get_dropped(const struct metrics_report *report,
				const struct entry *entry, size_t index,
				struct sample *sample)
{
	size_t place;

	if (!go_to_group(report, index, BERTH_DROPS, sample, &place))
		return SAMPLE_END;
	return by_word(entry, place, berth_drop_names[place],
		       has_bit(sample->group->drops, place), sample);
}

static enum outcome get_limited(const struct metrics_report *report,
				const struct entry *entry, size_t index,
				struct sample *sample)
{
	size_t place;

	if (!go_to_group(report, index, BERTH_LIMITS, sample, &place))
		return SAMPLE_END;
	return by_word(entry, place, berth_limit_names[place],
		       place == BERTH_LIMIT_MAX_CONNECTIONS ||
			       place == BERTH_LIMIT_NAMESPACE ||
			       has_bit(sample->group->limits, place),
		       sample);
}

/* A stream has no messages. */
static bool has_messages(const struct metrics_group *group)
{
	return strcmp(group->protocol, protocol_name(PROTOCOL_TCP)) != 0 &&
	       strcmp(group->protocol, protocol_name(PROTOCOL_MPTCP)) != 0;
}

static enum outcome get_messages(const struct metrics_report *report,
				 const struct entry *entry, size_t index,
				 struct sample *sample)
{
	size_t place;

	(void)entry;
	if (!go_to_group(report, index, 2, sample, &place))
		return SAMPLE_END;
	if (!sample->group->counted || !has_messages(sample->group))
		return SAMPLE_NONE;
	sample->values[0] = place == 0 ? "received" : "sent";
	sample->count = place == 0 ? sample->group->counts.messages_in
				   : sample->group->counts.messages_out;
	return SAMPLE_MADE;
}

static enum outcome get_failures(const struct metrics_report *report,
				 const struct entry *entry, size_t index,
				 struct sample *sample)
{
	const char *name;
	size_t place;

	(void)entry;
	if (!go_to_group(report, index, BERTH_ERRORS_MAX, sample, &place))
		return SAMPLE_END;
	if (!sample->group->counted || place >= sample->group->counts.n_errors)
		return SAMPLE_NONE;
	name = strerrorname_np(sample->group->counts.errors[place].error);
	sample->values[0] = sample->group->counts.errors[place].error && name
				    ? name
				    : "other";
	sample->count = sample->group->counts.errors[place].n;
	return SAMPLE_MADE;
}

/* One that connects in a namespace of its own says so. */
static enum outcome get_backends(const struct metrics_report *report,
				 const struct entry *entry, size_t index,
				 struct sample *sample)
{
	const struct metrics_backend *backend;

	if (index >= report->n_backends)
		return SAMPLE_END;
	backend = &report->backends[index];
	sample->values[0] = backend->rule;
	sample->values[1] = backend->protocol;
	sample->values[2] = backend->backend;
	sample->values[3] = *backend->netns ? backend->netns : NULL;
	sample->count = member(backend, entry->offset);
	return SAMPLE_MADE;
}

static double seconds(uint64_t us)
{
	return (double)us / (double)USEC_PER_SEC;
}

static enum outcome get_histogram(const struct metrics_report *report,
				  const struct entry *entry, size_t index,
				  struct sample *sample)
{
	const struct histogram *histogram =
		(const void *)((const char *)report + entry->offset);

	if (index > HISTOGRAM_LIMITS + 2)
		return SAMPLE_END;
	sample->count = histogram_upto(
		histogram, index < HISTOGRAM_LIMITS ? index : HISTOGRAM_LIMITS);
	if (index <= HISTOGRAM_LIMITS) {
		sample->suffix = "_bucket";
		sample->values[0] = sample->text;
		(void)snprintf(sample->text, sizeof(sample->text), "%g",
			       index < HISTOGRAM_LIMITS
				       ? seconds(histogram_limits_us[index])
				       : 0.0); /* fits */
		if (index == HISTOGRAM_LIMITS)
			sample->values[0] = "+Inf";
	} else if (index == HISTOGRAM_LIMITS + 1) {
		sample->suffix = "_sum";
		sample->real = true;
		sample->number = seconds(histogram->sum_us);
	} else {
		sample->suffix = "_count";
	}
	return SAMPLE_MADE;
}

static enum outcome get_consumers(const struct metrics_report *report,
				  const struct entry *entry, size_t index,
				  struct sample *sample)
{
	(void)entry;
	if (index >= report->n_consumers)
		return SAMPLE_END;
	sample->values[0] = report->consumers[index].name;
	sample->count = report->consumers[index].connected;
	return SAMPLE_MADE;
}

static const struct metrics_process *
process_at(const struct metrics_report *report, size_t index,
	   struct sample *sample)
{
	const struct metrics_process *process = &report->processes[index];

	sample->values[0] = process->program;
	return process->program ? process : NULL;
}

static enum outcome get_process(const struct metrics_report *report,
				const struct entry *entry, size_t index,
				struct sample *sample)
{
	const struct metrics_process *process;

	if (index >= METRICS_PROCESSES)
		return SAMPLE_END;
	process = process_at(report, index, sample);
	sample->count = process ? member(process, entry->offset) : 0;
	return sample->count ? SAMPLE_MADE : SAMPLE_NONE;
}

static enum outcome get_process_seconds(const struct metrics_report *report,
					const struct entry *entry, size_t index,
					struct sample *sample)
{
	const struct metrics_process *process;

	if (index >= METRICS_PROCESSES)
		return SAMPLE_END;
	process = process_at(report, index, sample);
	if (!process)
		return SAMPLE_NONE;
	sample->real = true;
	sample->number = *(const double *)(const void *)((const char *)process +
							 entry->offset);
	return SAMPLE_MADE;
}

#define COUNTER(name, help)           \
	{                             \
		name, "counter", help \
	}
#define GAUGE(name, help)           \
	{                           \
		name, "gauge", help \
	}
#define HISTOGRAM(name, help)           \
	{                               \
		name, "histogram", help \
	}
#define IN_REPORT(name) offsetof(struct metrics_report, name)
#define IN_COUNTS(name) offsetof(struct berth_counts, name)
#define IN_BACKEND(name) offsetof(struct metrics_backend, name)
#define IN_PROCESS(name) offsetof(struct metrics_process, name)

static const struct choice namespaces[] = {
	{ "named", IN_REPORT(named) },
	{ "pending", IN_REPORT(pending) },
	{ "unreadable", IN_REPORT(unreadable) },
	{ "lingering", IN_REPORT(lingering) },
	{ NULL, 0 },
};
static const struct choice lingering[] = {
	{ "berth", IN_REPORT(lingering_berth) },
	{ "others", IN_REPORT(lingering_others) },
	{ NULL, 0 },
};
static const struct choice containers[] = {
	{ "file", IN_REPORT(containers_files) },
	{ "hook", IN_REPORT(containers_registered[REGISTRATION_HOOK]) },
	{ "runtime", IN_REPORT(containers_registered[REGISTRATION_RUNTIME]) },
	{ "descriptor",
	  IN_REPORT(containers_registered[REGISTRATION_DESCRIPTOR]) },
	{ "registered", IN_REPORT(containers_registered[REGISTRATION_OTHER]) },
	{ NULL, 0 },
};
static const struct choice overflows[] = {
	{ "inotify", IN_REPORT(names_overflows) },
	{ "netlink", IN_REPORT(netlink_overflows) },
	{ NULL, 0 },
};
static const struct choice resyncs[] = {
	{ "netlink", IN_REPORT(resyncs) },
	{ NULL, 0 },
};

static const struct entry entries[] = {
	{ GAUGE("berth_build_info", "The version of berthd, and the kernel's."),
	  { "version", "kernel" },
	  get_build,
	  0,
	  NULL },
	{ GAUGE("berth_namespaces",
		"Network namespaces with a name, names that lead to none yet, "
		"or that cannot be opened, and namespaces without a name that "
		"are not freed."),
	  { "state" },
	  get_choices,
	  0,
	  namespaces },
	{ GAUGE("berth_namespaces_lingering",
		"Namespaces without a name that are not freed, by who keeps "
		"them."),
	  { "holder" },
	  get_choices,
	  0,
	  lingering },
	{ GAUGE("berth_containers",
		"Containers, by where berthd was told of them."),
	  { "source" },
	  get_choices,
	  0,
	  containers },
	{ GAUGE("berth_listeners", "Listeners by their state."),
	  { "state" },
	  get_listeners,
	  0,
	  NULL },
	{ GAUGE("berth_listeners_waiting",
		"Listeners that cannot be opened now, by reason."),
	  { "reason" },
	  get_waiting,
	  0,
	  NULL },
	{ GAUGE("berth_listeners_unreachable",
		"Listeners that no client can reach, or for which nobody "
		"answers, by reason."),
	  { "reason" },
	  get_unreachable,
	  0,
	  NULL },
	{ GAUGE("berth_connections",
		"Connections, associations and UDP sessions that are open."),
	  { NULL },
	  get_count,
	  IN_COUNTS(active),
	  NULL },
	{ COUNTER("berth_connections_total",
		  "Connections, associations and UDP sessions that were "
		  "accepted."),
	  { NULL },
	  get_count,
	  IN_COUNTS(accepted),
	  NULL },
	{ COUNTER("berth_connections_ended_total",
		  "Connections, associations and UDP sessions that ended, by "
		  "the reason."),
	  { "reason" },
	  get_ended,
	  IN_COUNTS(ended),
	  NULL },
	{ COUNTER("berth_received_bytes_total", "Bytes from clients."),
	  { NULL },
	  get_count,
	  IN_COUNTS(bytes_in),
	  NULL },
	{ COUNTER("berth_sent_bytes_total", "Bytes to clients."),
	  { NULL },
	  get_count,
	  IN_COUNTS(bytes_out),
	  NULL },
	{ COUNTER("berth_messages_total",
		  "Datagrams and SCTP messages, from and to clients."),
	  { "direction" },
	  get_messages,
	  0,
	  NULL },
	{ COUNTER("berth_messages_dropped_total",
		  "Datagrams and SCTP messages that could not be passed on, by "
		  "the reason."),
	  { "reason" },
	  get_dropped,
	  IN_COUNTS(dropped_by),
	  NULL },
	{ COUNTER("berth_looped_total",
		  "Connections and datagrams that came from the relay itself "
		  "and were cut."),
	  { NULL },
	  get_count,
	  IN_COUNTS(looped),
	  NULL },
	{ COUNTER("berth_limited_total",
		  "Clients refused, ended, or left to wait, by the limit."),
	  { "limit" },
	  get_limited,
	  IN_COUNTS(limited_by),
	  NULL },
	{ COUNTER("berth_not_admitted_total",
		  "Connections, associations and datagrams of clients that the "
		  "rule does not serve."),
	  { NULL },
	  get_count,
	  IN_COUNTS(not_admitted),
	  NULL },
	{ COUNTER("berth_backend_failures_total",
		  "Failures of backends, by error."),
	  { "error" },
	  get_failures,
	  0,
	  NULL },
	{ GAUGE("berth_backend_up",
		"1: the backend of a rule works; 0: it failed last, or its "
		"check failed too often."),
	  { "rule", "protocol", "backend", "backend_namespace" },
	  get_backends,
	  IN_BACKEND(up),
	  NULL },
	{ GAUGE("berth_backend_connections",
		"Connections, associations and UDP sessions that have the "
		"backend of a rule, or are being connected to it."),
	  { "rule", "protocol", "backend", "backend_namespace" },
	  get_backends,
	  IN_BACKEND(connections),
	  NULL },
	{ HISTOGRAM("berth_open_seconds",
		    "From what made a listener wanted, or possible, to its "
		    "listening."),
	  { "le" },
	  get_histogram,
	  IN_REPORT(open),
	  NULL },
	{ HISTOGRAM("berth_freed_seconds",
		    "From the end of a namespace's last name to its being "
		    "freed by the kernel."),
	  { "le" },
	  get_histogram,
	  IN_REPORT(freed),
	  NULL },
	{ COUNTER("berth_event_overflows_total",
		  "How often the kernel lost events for want of room."),
	  { "source" },
	  get_choices,
	  0,
	  overflows },
	{ COUNTER("berth_resyncs_total",
		  "How often all was read again after lost events."),
	  { "source" },
	  get_choices,
	  0,
	  resyncs },
	{ GAUGE("berth_rules_last_reload_successful",
		"1: the rule files that are there have no problem; else 0."),
	  { NULL },
	  get_one,
	  IN_REPORT(rules_successful),
	  NULL },
	{ GAUGE("berth_rules_last_reload_success_timestamp_seconds",
		"When the rules were last read without a problem."),
	  { NULL },
	  get_one,
	  IN_REPORT(rules_time),
	  NULL },
	{ GAUGE("berth_consumers_connected",
		"1: the program that gets the listeners is connected; else "
		"0."),
	  { "consumer" },
	  get_consumers,
	  0,
	  NULL },
	{ COUNTER("berth_relay_restarts_total",
		  "How often this berthd started berth-relay after the first "
		  "time."),
	  { NULL },
	  get_one,
	  IN_REPORT(relay_restarts),
	  NULL },
	{ COUNTER("process_cpu_seconds_total",
		  "Processor time, of the user and the system."),
	  { "program" },
	  get_process_seconds,
	  IN_PROCESS(cpu_seconds),
	  NULL },
	{ GAUGE("process_resident_memory_bytes", "Memory that is resident."),
	  { "program" },
	  get_process,
	  IN_PROCESS(resident_bytes),
	  NULL },
	{ GAUGE("process_virtual_memory_bytes", "Memory that is mapped."),
	  { "program" },
	  get_process,
	  IN_PROCESS(virtual_bytes),
	  NULL },
	{ GAUGE("process_open_fds", "Descriptors that are open."),
	  { "program" },
	  get_process,
	  IN_PROCESS(open_fds),
	  NULL },
	{ GAUGE("process_max_fds", "Descriptors that may be open."),
	  { "program" },
	  get_process,
	  IN_PROCESS(max_fds),
	  NULL },
	{ GAUGE("process_start_time_seconds", "When the process was started."),
	  { "program" },
	  get_process_seconds,
	  IN_PROCESS(start_seconds),
	  NULL },
};

const struct metrics_family *metrics_family(size_t index)
{
	return index < ARRAY_SIZE(entries) ? &entries[index].family : NULL;
}

static void put_group(json_t **fields, const struct metrics_group *group)
{
	if (group->netns)
		json_put(fields, "namespace", json_string(group->netns));
	json_put(fields, "rule", json_text(group->rule));
	json_put(fields, "protocol", json_string(group->protocol));
	if (group->listener)
		json_put(fields, "listener", json_string(group->listener));
}

/* Return: 1 or -ENOMEM. */
static int series_of(const struct entry *entry, const struct sample *sample,
		     struct metrics_series *series)
{
	json_t *fields = json_object();

	if (sample->group)
		put_group(&fields, sample->group);
	for (size_t i = 0; i < LABELS_MAX; i++) {
		if (sample->values[i])
			json_put(&fields, entry->labels[i],
				 json_text(sample->values[i]));
	}
	*series = (struct metrics_series){
		.family = &entry->family,
		.suffix = sample->suffix,
		.value = sample->real ? json_real(sample->number)
				      : json_count(sample->count),
		.fields = fields,
	};
	if (series->value && fields) {
		if (json_object_size(fields) == 0) {
			json_decref(fields);
			series->fields = NULL;
		}
		return 1;
	}
	json_decref(series->value);
	json_decref(fields);
	return -ENOMEM;
}

int metrics_next(const struct metrics_report *report,
		 struct metrics_cursor *cursor,
		 struct metrics_series *ret_series)
{
	while (cursor->family < ARRAY_SIZE(entries)) {
		const struct entry *entry = &entries[cursor->family];
		struct sample sample = { .suffix = "" };

		switch (entry->get(report, entry, cursor->index++, &sample)) {
		case SAMPLE_MADE:
			return series_of(entry, &sample, ret_series);
		case SAMPLE_NONE:
			break;
		case SAMPLE_END:
			cursor->family++;
			cursor->index = 0;
			break;
		}
	}
	return 0;
}
