/* SPDX-License-Identifier: Apache-2.0 */
/* viewer.h - connections of viewers, and how long they may take */
#ifndef WEB_VIEWER_H
#define WEB_VIEWER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct cache_entry;
struct document;
struct MHD_Connection;

/**
 * struct viewer - one connection
 * @fd:		of its socket, which libmicrohttpd owns
 * @deadline_us: when the connection is cut; UINT64_MAX: the viewer waits for
 *		us
 * @entry:	what it waits for, or NULL; the connection is suspended then
 * @document:	what it gets, or NULL
 */
struct viewer {
	LIST_ENTRY(viewer) link;
	struct MHD_Connection *connection;
	int fd;
	uint64_t deadline_us;
	struct cache_entry *entry;
	struct document *document;
};

LIST_HEAD(viewer_list, viewer);

/** viewer_new() - NULL: out of memory */
struct viewer *viewer_new(struct viewer_list *list,
			  struct MHD_Connection *connection, int fd);

/** viewer_free() - forgets it. NULL is fine. Returns NULL. */
struct viewer *viewer_free(struct viewer *viewer);

/** viewer_take() - gives it one reference of a document to read, or NULL */
void viewer_take(struct viewer *viewer, struct document *document);

/**
 * viewers_expire() - cuts the connections whose time is over
 * Return: when to call it again; UINT64_MAX: there is nothing to wait for.
 */
uint64_t viewers_expire(struct viewer_list *list, uint64_t now_us);

/**
 * viewers_shed() - cuts those that are slowest to read, so that old documents
 * go
 * @bytes:	how much is to go
 */
void viewers_shed(struct viewer_list *list, size_t bytes);

#endif
