/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - finds namespaces by what people call them, and tells why they
 * have the listeners they have
 */
#ifndef DAEMON_CONTROL_EXPLAIN_H
#define DAEMON_CONTROL_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control_view;
struct netns;
struct watcher;

/* One name can stand for that many namespaces: once in each directory. */
#define FIND_MAX 16

/**
 * find_netns() - looks a namespace up
 * @text:	"host"; a name; directory/name; or, when nothing has that name,
 *		an id
 * @ret_netns:	the first FIND_MAX that match
 * @ret_n:	how many there are
 * Return: 0 or -ENOMEM.
 */
int find_netns(struct watcher *watcher, const char *text,
	       struct netns *ret_netns[FIND_MAX], size_t *ret_n);

/** find_candidates() - "directory/name" of each of the @n found with @text
 * Return: an array, or NULL: no memory. */
json_t *find_candidates(struct netns *const netns[], size_t n,
			const char *text);

/** find_absence() - where @text was looked for, in a sentence
 * Return: an allocated text, or NULL. */
char *find_absence(const struct watcher *watcher, const char *text);

/** explain_present() - the reply of Explain; may have addresses observed
 * Return: NULL when memory is short. */
json_t *explain_present(const struct control_view *view, struct netns *netns,
			uint64_t now_us);

/**
 * explain_absent() - the reply of Explain for a name that is pending or a
 * namespace that lingers
 * Return: 1; 0: it is neither; -ENOMEM.
 */
int explain_absent(const struct control_view *view, const char *text,
		   uint64_t now_us, json_t **ret_reply);

#endif
