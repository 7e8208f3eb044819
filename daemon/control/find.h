/* SPDX-License-Identifier: Apache-2.0 */
/* find.h - namespaces by what people call them
 *
 * A text means "host"; a name; a directory, a slash and a name. When nothing
 * has that name, it means an id; then a container, by its name, its pod
 * namespace, a slash and its name, or its id; then any path that leads to a
 * namespace.
 */
#ifndef DAEMON_CONTROL_FIND_H
#define DAEMON_CONTROL_FIND_H

#include <stdbool.h>
#include <stddef.h>

struct caller;
struct netns;
struct varlink_call;
struct watcher;
struct watcher_lingering;
struct watcher_pending;

/* One name can stand for that many namespaces: once in each directory. */
#define FIND_MAX 16

/**
 * find_netns() - looks a namespace up, of those that exist for the caller
 *
 * What others than root call so is found only if nothing of root's is.
 * @ret_netns:	the first FIND_MAX that match, borrowed
 * @ret_n:	how many there are
 * Return: 0 or -ENOMEM.
 */
int find_netns(struct watcher *watcher, const struct caller *caller,
	       const char *text, struct netns *ret_netns[FIND_MAX],
	       size_t *ret_n);

/**
 * find_pending() - looks for a name that leads to no namespace, for root
 * @ret_pending: borrowed until the next event
 * Return: 1; 0: there is none; -ENOMEM.
 */
int find_pending(const struct watcher *watcher, const char *text,
		 struct watcher_pending *ret_pending);

/**
 * find_lingering() - looks for a namespace without a name, by its last one, for
 * root
 * @ret_lingering: borrowed until the next event
 * Return: 1; 0: there is none; -ENOMEM.
 */
int find_lingering(const struct watcher *watcher, const char *text,
		   struct watcher_lingering *ret_lingering);

/** find_is() - Return: is this namespace, or one of its containers, called
 * @text, or is that its id? Not by a path but that of a name. True also without
 * memory. */
bool find_is(const struct netns *netns, const char *text);

/** find_may_be() - Return: might find_netns() mean this namespace by @text?
 * True also of a path, and without memory. */
bool find_may_be(const struct netns *netns, const char *text);

/** find_error() - fails @call: there is no such namespace, or none that exists
 * for the caller */
void find_error(struct varlink_call *call, struct watcher *watcher,
		const struct caller *caller, const char *text);

/** find_ambiguous() - fails @call: @text means each of the @n that were found
 */
void find_ambiguous(struct varlink_call *call, struct netns *const netns[],
		    size_t n, const char *text);

#endif
