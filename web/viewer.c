// SPDX-License-Identifier: Apache-2.0
/* viewer.c - connections of viewers, and how long they may take
 *
 * A connection is cut by shutdown(2): libmicrohttpd, which owns it, sees its
 * end and closes it. Its own time limit is for silence only, so that a viewer
 * who sends or reads a byte now and then would stay for ever.
 */
#include "web/viewer.h"

#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"
#include "web/document.h"

struct viewer *viewer_new(struct viewer_list *list,
			  struct MHD_Connection *connection, int fd)
{
	struct viewer *viewer = calloc(1, sizeof(*viewer));

	if (!viewer)
		return NULL;
	viewer->connection = connection;
	viewer->fd = fd;
	viewer->deadline_us = UINT64_MAX;
	LIST_INSERT_HEAD(list, viewer, link);
	return viewer;
}

struct viewer *viewer_free(struct viewer *viewer)
{
	if (!viewer)
		return NULL;
	LIST_REMOVE(viewer, link);
	document_unref(viewer->document);
	free(viewer);
	return NULL;
}

void viewer_take(struct viewer *viewer, struct document *document)
{
	document_unref(viewer->document);
	viewer->document = document;
}

static void viewer_cut(struct viewer *viewer, const char *reason)
{
	log_debug("cutting a viewer's connection: %s", reason);
	viewer->deadline_us = UINT64_MAX;
	(void)shutdown(viewer->fd, SHUT_RDWR); /* maybe it ends just now */
}

uint64_t viewers_expire(struct viewer_list *list, uint64_t now_us)
{
	uint64_t next_us = UINT64_MAX;
	struct viewer *viewer;

	LIST_FOREACH(viewer, list, link)
	{
		if (viewer->deadline_us <= now_us)
			viewer_cut(viewer, "its time is over");
		if (viewer->deadline_us < next_us)
			next_us = viewer->deadline_us;
	}
	return next_us;
}

/* The one that reads longest, or NULL: nobody reads. */
static struct viewer *slowest(const struct viewer_list *list)
{
	struct viewer *viewer, *found = NULL;

	LIST_FOREACH(viewer, list, link)
	{
		if (!viewer->document || viewer->deadline_us == UINT64_MAX)
			continue;
		if (!found || viewer->deadline_us < found->deadline_us)
			found = viewer;
	}
	return found;
}

void viewers_shed(struct viewer_list *list, size_t bytes)
{
	struct viewer *viewer;

	while (bytes > 0 && (viewer = slowest(list))) {
		const struct document *document = viewer->document;

		bytes -= document->len < bytes ? document->len : bytes;
		/* The document goes when nobody reads it. */
		LIST_FOREACH(viewer, list, link)
		{
			if (viewer->document == document)
				viewer_cut(viewer, "it reads too slowly");
		}
	}
}
