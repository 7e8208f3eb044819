/* SPDX-License-Identifier: Apache-2.0 */
/* containers_dir.h - the files that tell of containers */
#ifndef DAEMON_CONTAINERS_DIR_H
#define DAEMON_CONTAINERS_DIR_H

#include <stdbool.h>
#include <stddef.h>

struct containers_dir;
struct loop;
struct mounts;
struct rules_errors;
struct watcher;

/**
 * containers_dir_new() - reads all files, and watches them from now on
 * @loop, @mounts, @watcher: outlive the containers_dir; the watcher is told
 * @runtime_dir: absolute; the files are in its directory "containers.d", which
 *		is made if it is missing
 *
 * Problems in files are logged; see also containers_dir_next_problems().
 * Return: 0; -ENOMEM; -errno of dirwatch_new() and dirwatch_add().
 */
int containers_dir_new(struct loop *loop, const char *runtime_dir,
		       struct mounts *mounts, struct watcher *watcher,
		       struct containers_dir **ret_dir);

/** containers_dir_free() - what was told stays with the watcher. NULL is fine.
 * Return: NULL. */
struct containers_dir *containers_dir_free(struct containers_dir *dir);

/** containers_dir_step() - reads files that changed, a slice. Return: are there
 * more? */
bool containers_dir_step(struct containers_dir *dir);

/** containers_dir_reload() - reads all files again, in the next steps */
void containers_dir_reload(struct containers_dir *dir);

/** containers_dir_path() - Return: of the directory, borrowed. */
const char *containers_dir_path(const struct containers_dir *dir);

/** struct containers_file - what a file with problems has in force */
struct containers_file {
	const char *path;
	size_t n_containers;
	const struct rules_errors *errors;
};

/**
 * containers_dir_next_problems() - iterates over the files with problems
 * @state:	NULL to begin with
 * @ret_file:	borrowed until the next event
 *
 * Return: is there another one?
 */
bool containers_dir_next_problems(const struct containers_dir *dir,
				  const void **state,
				  struct containers_file *ret_file);

#endif
