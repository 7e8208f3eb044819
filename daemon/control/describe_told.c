// SPDX-License-Identifier: Apache-2.0
/* describe_told.c - containers without a namespace, and files with problems, as
 * JSON
 */
#include "daemon/control/describe_told.h"

#include "common/util.h"
#include "daemon/containers_dir.h"
#include "daemon/control/describe.h"
#include "daemon/control/describe_containers.h"
#include "daemon/control/describe_rules.h"
#include "daemon/json_build.h"
#include "watcher/watcher.h"

/* Nobody reads more of them in passing; each may take 64 KiB. */
#define PENDING_MAX 1000
#define FILES_SHOWN_MAX 1000

static json_t *
describe_pending_container(const struct watcher_pending_container *pending)
{
	json_t *object = describe_container(pending->container);

	json_put(&object, "path", json_text(pending->path));
	json_put(&object, "reason",
		 json_text(pending->reason ? pending->reason : ""));
	json_put(&object, "error", describe_errno(pending->error));
	return object;
}

json_t *describe_pending_containers(const struct watcher *watcher)
{
	_cleanup_free_ struct watcher_pending_container *list =
		calloc(PENDING_MAX, sizeof(*list));
	json_t *array = list ? json_array() : NULL;
	size_t n = list ? watcher_pending_containers(watcher, list, PENDING_MAX)
			: 0;

	for (size_t i = 0; i < n && i < PENDING_MAX; i++)
		json_add(&array, describe_pending_container(&list[i]));
	return array;
}

json_t *describe_container_files(const struct containers_dir *dir)
{
	json_t *array = json_array();
	struct containers_file file;
	const void *state = NULL;

	for (size_t i = 0; i < FILES_SHOWN_MAX &&
			   containers_dir_next_problems(dir, &state, &file);
	     i++)
		json_add(&array,
			 json_pack("{s:o, s:o, s:o}", "path",
				   json_text(file.path), "containers",
				   json_count(file.n_containers), "problems",
				   describe_problems(file.errors)));
	return array;
}
