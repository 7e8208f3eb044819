/* SPDX-License-Identifier: Apache-2.0 */
/* told.h - how somebody tells the watcher of containers */
#ifndef WATCHER_TOLD_H
#define WATCHER_TOLD_H

#include <stdint.h>

#include "common/container.h"

/* A large host has some thousand containers, with some hundred bytes each. What
 * is told beyond is refused. */
#define CONTAINERS_MAX 100000u
#define CONTAINERS_BYTES_MAX (256u * 1024 * 1024)

/* A pod has some containers; those beyond, in their order, are left out. */
#define CONTAINERS_PER_NETNS_MAX 64u

/**
 * struct container_told - one container, and which namespace it is in
 * @netns_id:	that of the namespace; 0: the path, or the process, says which
 * @netns_path:	an absolute path that leads to the namespace; NULL: it is that
 *		of the process @container.pid
 * @container:	its source is not looked at; its @since_us may be 0: it is told
 *of now for the first time
 */
struct container_told {
	uint64_t netns_id;
	const char *netns_path;
	struct container container;
};

#endif
