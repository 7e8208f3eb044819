// SPDX-License-Identifier: Apache-2.0
/* model.c - what `berthctl top` shows: samples, and the rates between two
 *
 * Theory of operation: only listeners are counted by berthd. Their rates are
 * reckoned first, each from its own line in the sample before; namespaces,
 * containers and the total are sums of these. So a listener that goes never
 * makes a sum's rate negative.
 */
#include "ctl/top/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define ROWS_MIN 64
#define CHUNK_BYTES 65536

/** struct chunk - memory for texts; a text lies in one */
struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	char text[];
};

struct rows {
	struct top_row *list;
	size_t n;
	size_t capacity;
};

/**
 * struct top_sample - see the file's head
 * @seconds:	since the one before; 0: there is none
 */
struct top_sample {
	uint64_t now_us;
	double seconds;
	struct chunk *chunks;
	struct rows rows[TOP_VIEWS];
	struct top_row total;
};

struct top_sample *top_sample_new(uint64_t now_us)
{
	struct top_sample *sample = calloc(1, sizeof(*sample));

	if (sample)
		sample->now_us = now_us;
	return sample;
}

struct top_sample *top_sample_free(struct top_sample *sample)
{
	struct chunk *chunk;

	if (!sample)
		return NULL;
	while ((chunk = sample->chunks)) {
		sample->chunks = chunk->next;
		free(chunk);
	}
	for (size_t i = 0; i < TOP_VIEWS; i++)
		free(sample->rows[i].list);
	free(sample);
	return NULL;
}

static struct chunk *chunk_for(struct top_sample *sample, size_t len)
{
	struct chunk *chunk = sample->chunks;
	size_t size = len > CHUNK_BYTES ? len : CHUNK_BYTES;

	if (chunk && chunk->size - chunk->used >= len)
		return chunk;
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	*chunk = (struct chunk){ .next = sample->chunks, .size = size };
	sample->chunks = chunk;
	return chunk;
}

/* Makes *@text a copy that lies in the sample. Return: 0 or -ENOMEM. */
static int keep_text(struct top_sample *sample, const char **text)
{
	size_t len = *text ? strlen(*text) + 1 : 0;
	struct chunk *chunk;

	if (len <= 1) {
		*text = "";
		return 0;
	}
	chunk = chunk_for(sample, len);
	if (!chunk)
		return -ENOMEM;
	*text = memcpy(chunk->text + chunk->used, *text, len);
	chunk->used += len;
	return 0;
}

static int keep_texts(struct top_sample *sample, struct top_row *row)
{
	const char **texts[] = { &row->name, &row->place, &row->container,
				 &row->rule, &row->state, &row->detail };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (keep_text(sample, texts[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

int top_sample_add(struct top_sample *sample, enum top_view view,
		   const struct top_row *row)
{
	struct rows *rows = &sample->rows[view];
	struct top_row copy = *row, *list;
	size_t capacity = rows->capacity ? rows->capacity * 2 : ROWS_MIN;

	if (keep_texts(sample, &copy) < 0)
		return -ENOMEM;
	if (rows->n == rows->capacity) {
		list = reallocarray(rows->list, capacity, sizeof(*list));
		if (!list)
			return -ENOMEM;
		rows->list = list;
		rows->capacity = capacity;
	}
	rows->list[rows->n++] = copy;
	return 0;
}

int top_state_rank(const char *state)
{
	/* The later, the worse. */
	static const char *const states[] = {
		"",	    "up",      "listening",   "unknown",
		"draining", "limited", "waiting",     "backend-down",
		"down",	    "refused", "unreachable",
	};
	const int other = 3; /* as "unknown" */

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (strcmp(states[i], state) == 0)
			return (int)i;
	}
	return other;
}

/* Rates */

/* After a takeover there are two lines of one listener: the old process's
 * drains. */
static int compare_keys(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (int)x->draining - (int)y->draining;
}

/* Return: the line in @previous; NULL: there is none. */
static const struct top_row *find_before(const struct top_sample *previous,
					 const struct top_row *row)
{
	const struct rows *rows = &previous->rows[TOP_LISTENERS];
	struct top_row key = { .id = row->id, .draining = row->draining };
	const struct top_row *found = rows->n ? bsearch(&key, rows->list,
							rows->n, sizeof(key),
							compare_keys)
					      : NULL;

	if (found || !row->draining || !rows->n)
		return found;
	key.draining = false; /* it drains only since then */
	return bsearch(&key, rows->list, rows->n, sizeof(key), compare_keys);
}

static double rate(int64_t now, int64_t before, double seconds)
{
	return (double)(now >= before ? now - before : now) / seconds;
}

static void reckon_rates(struct top_row *row, const struct top_sample *previous,
			 double seconds)
{
	static const struct top_counts nothing;
	const struct top_row *before = find_before(previous, row);
	const struct top_counts *counts = before ? &before->counts : &nothing;

	/* What is older than the sample before was only not counted there. */
	if (!row->counted || (before && !before->counted) ||
	    (!before && (double)row->age_us > seconds * (double)USEC_PER_SEC))
		return;
	row->rated = true;
	row->rates.accepted =
		rate(row->counts.accepted, counts->accepted, seconds);
	row->rates.bytes_in =
		rate(row->counts.bytes_in, counts->bytes_in, seconds);
	row->rates.bytes_out =
		rate(row->counts.bytes_out, counts->bytes_out, seconds);
}

/* Sums */

static void sum_add(struct top_row *sum, const struct top_row *listener)
{
	if (top_state_rank(listener->state) > top_state_rank(sum->state))
		sum->state = listener->state;
	sum->listening += listener->listening;
	if (listener->counted) {
		sum->counted = true;
		sum->counts.active += listener->counts.active;
		sum->counts.accepted += listener->counts.accepted;
		sum->counts.bytes_in += listener->counts.bytes_in;
		sum->counts.bytes_out += listener->counts.bytes_out;
	}
	if (listener->rated) {
		sum->rated = true;
		sum->rates.accepted += listener->rates.accepted;
		sum->rates.bytes_in += listener->rates.bytes_in;
		sum->rates.bytes_out += listener->rates.bytes_out;
	}
}

static int compare_places(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	return x->netns_id < y->netns_id ? -1 : x->netns_id > y->netns_id;
}

/* Return: the first line in this namespace of lines in order; NULL: none. */
static struct top_row *first_in(struct rows *rows, uint64_t netns_id)
{
	const struct top_row key = { .netns_id = netns_id };
	struct top_row *row = rows->n ? bsearch(&key, rows->list, rows->n,
						sizeof(key), compare_places)
				      : NULL;

	while (row && row > rows->list && row[-1].netns_id == netns_id)
		row--;
	return row;
}

static void add_to_containers(struct rows *rows, const struct top_row *listener)
{
	struct top_row *row = first_in(rows, listener->netns_id);
	const struct top_row *end = rows->list + rows->n;
	bool alone = row &&
		     (row + 1 == end || row[1].netns_id != listener->netns_id);

	for (; row && row < end && row->netns_id == listener->netns_id; row++) {
		if (*listener->container
			    ? strcmp(row->name, listener->container) == 0
			    : alone)
			sum_add(row, listener);
	}
}

static void sort_places(struct rows *rows)
{
	if (rows->n)
		qsort(rows->list, rows->n, sizeof(rows->list[0]),
		      compare_places);
}

void top_sample_finish(struct top_sample *sample,
		       const struct top_sample *previous)
{
	struct rows *listeners = &sample->rows[TOP_LISTENERS];
	struct top_row *namespace;

	if (previous && sample->now_us > previous->now_us)
		sample->seconds = (double)(sample->now_us - previous->now_us) /
				  (double)USEC_PER_SEC;
	if (listeners->n)
		qsort(listeners->list, listeners->n, sizeof(struct top_row),
		      compare_keys);
	sort_places(&sample->rows[TOP_NAMESPACES]);
	sort_places(&sample->rows[TOP_CONTAINERS]);
	sample->total = (struct top_row){ .name = "" };
	(void)keep_texts(sample, &sample->total); /* empty: needs no memory */
	for (size_t i = 0; i < listeners->n; i++) {
		struct top_row *listener = &listeners->list[i];

		if (previous && sample->seconds > 0)
			reckon_rates(listener, previous, sample->seconds);
		sum_add(&sample->total, listener);
		namespace = first_in(&sample->rows[TOP_NAMESPACES],
				     listener->netns_id);
		if (namespace)
			sum_add(namespace, listener);
		add_to_containers(&sample->rows[TOP_CONTAINERS], listener);
	}
}

const struct top_row *top_sample_rows(const struct top_sample *sample,
				      enum top_view view, size_t *ret_n)
{
	*ret_n = sample->rows[view].n;
	return sample->rows[view].list;
}

const struct top_row *top_sample_total(const struct top_sample *sample)
{
	return &sample->total;
}

double top_sample_seconds(const struct top_sample *sample)
{
	return sample->seconds;
}
