/* SPDX-License-Identifier: Apache-2.0 */
/* facts.h - what a runtime says of a container, in berthd's words */
#ifndef HOOK_FACTS_H
#define HOOK_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* People who have no name for a container call it by this much of its id. */
#define FACTS_SHORT_ID 12

/** struct prefixes - annotations that begin so become labels */
struct prefixes {
	const char **list;
	size_t n;
};

/**
 * struct facts - one container
 * @id, @pod_namespace, @runtime: "" if they are not known
 * @name:	in @short_name, or borrowed as the others are; "": there is none
 * @labels:	an object of strings, owned
 * @bytes:	what the labels take of CONTAINER_BYTES_MAX
 * @dropped:	is there a label that exceeds the limits? It is not in @labels
 */
struct facts {
	const char *id;
	const char *name;
	const char *pod_namespace;
	const char *runtime;
	char short_name[FACTS_SHORT_ID + 1];
	json_t *labels;
	size_t bytes;
	bool dropped;
};

/**
 * facts_init() - a container of which only the id is known
 * @id:		UTF-8; borrowed, as all texts that are given later
 * Return: 0; -ENOMEM.
 */
int facts_init(struct facts *facts, const char *id, const char *runtime);

/**
 * facts_add_annotations() - names and labels that stand in annotations
 * @annotations: an object; NULL or anything else is none
 *
 * Later ones win: CRI-O's labels, annotations with one of @prefixes, which keep
 * their whole key, io.berth.labels.KEY.
 */
void facts_add_annotations(struct facts *facts, const json_t *annotations,
			   const struct prefixes *prefixes);

/** facts_add_label() - one label; what exceeds the limits is dropped, and so is
 * what is no text */
void facts_add_label(struct facts *facts, const char *key, const json_t *value);

/** facts_set_name() - the name, unless @text is NULL, empty, too long, or not
 * UTF-8 */
void facts_set_name(struct facts *facts, const char *text);

/** facts_set_pod_namespace() - as facts_set_name() */
void facts_set_pod_namespace(struct facts *facts, const char *text);

/** facts_done() - frees what the facts have */
void facts_done(struct facts *facts);

#endif
