// SPDX-License-Identifier: Apache-2.0
/* container.c - what berthd was told of one container, as plain data */
#include "common/container.h"

#include <string.h>

#include "common/util.h"

static int label_compare(const void *a, const void *b)
{
	const struct container_label *x = a, *y = b;

	return strcmp(x->key, y->key);
}

void container_labels_sort(struct container_label *labels, size_t n)
{
	if (n > 1)
		qsort(labels, n, sizeof(*labels), label_compare);
}

size_t container_bytes(const struct container *container)
{
	const char *const texts[] = { container->name, container->pod_namespace,
				      container->id, container->runtime,
				      container->source };
	size_t bytes = sizeof(*container) +
		       container->n_labels * sizeof(*container->labels);

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		bytes += strlen(texts[i]) + 1;
	for (size_t i = 0; i < container->n_labels; i++)
		bytes += strlen(container->labels[i].key) +
			 strlen(container->labels[i].value) + 2;
	return bytes;
}

/* Copies @text to *@place, and moves *@place behind the copy. */
static const char *put_text(char **place, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = memcpy(*place, text, size);

	*place += size;
	return copy;
}

/* The struct comes first in the memory, its labels follow, then the texts. */
struct container *container_copy(const struct container *container)
{
	struct container *copy = malloc(container_bytes(container));
	struct container_label *labels;
	char *texts;

	if (!copy)
		return NULL;
	labels = (struct container_label *)(void *)(copy + 1);
	texts = (char *)(labels + container->n_labels);
	*copy = (struct container){
		.name = put_text(&texts, container->name),
		.pod_namespace = put_text(&texts, container->pod_namespace),
		.id = put_text(&texts, container->id),
		.runtime = put_text(&texts, container->runtime),
		.source = put_text(&texts, container->source),
		.pid = container->pid,
		.uid = container->uid,
		.since_us = container->since_us,
		.labels = labels,
		.n_labels = container->n_labels,
	};
	for (size_t i = 0; i < container->n_labels; i++) {
		labels[i].key = put_text(&texts, container->labels[i].key);
		labels[i].value = put_text(&texts, container->labels[i].value);
	}
	return copy;
}

static int labels_compare(const struct container *a, const struct container *b)
{
	int r;

	for (size_t i = 0; i < a->n_labels && i < b->n_labels; i++) {
		r = strcmp(a->labels[i].key, b->labels[i].key);
		if (r == 0)
			r = strcmp(a->labels[i].value, b->labels[i].value);
		if (r != 0)
			return r;
	}
	return (a->n_labels > b->n_labels) - (a->n_labels < b->n_labels);
}

int container_compare_names(const struct container *a,
			    const struct container *b)
{
	int r = strcmp(a->name, b->name);

	if (r == 0)
		r = strcmp(a->pod_namespace, b->pod_namespace);
	return r ? r : strcmp(a->id, b->id);
}

int container_compare(const struct container *a, const struct container *b)
{
	const char *const pairs[][2] = {
		{ a->name, b->name },
		{ a->pod_namespace, b->pod_namespace },
		{ a->id, b->id },
		{ a->runtime, b->runtime },
		{ a->source, b->source },
	};

	/* Of many containers those beyond a limit are left out: they must not
	 * be root's because a user told of others. */
	if ((a->uid == 0) != (b->uid == 0))
		return a->uid == 0 ? -1 : 1;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		int r = strcmp(pairs[i][0], pairs[i][1]);

		if (r != 0)
			return r;
	}
	if (a->uid != b->uid)
		return a->uid < b->uid ? -1 : 1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return labels_compare(a, b);
}

/* As strcmp(3). Each rule asks each container: most keys differ in the first
 * byte already. */
static int key_compare(const char *a, const char *b)
{
	int r = (unsigned char)*a - (unsigned char)*b;

	return r ? r : strcmp(a, b);
}

const char *container_label(const struct container *container, const char *key)
{
	size_t low = 0, high = container->n_labels;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct container_label *label =
			&container->labels[middle];
		int r = key_compare(key, label->key);

		if (r == 0)
			return label->value;
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
