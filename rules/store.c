// SPDX-License-Identifier: Apache-2.0
/* store.c - the ruleset in force, kept up to date with its directories
 *
 * Theory of operation: an event is a hint that something changed, the listing
 * is the truth. Every event sets a short timer, except those of a file that is
 * being written. When the timer fires, all directories are listed, all files
 * are read (unchanged text is not parsed again), and a ruleset is composed of
 * the good versions.
 *
 *   event -> SETTLE_US, but at most SETTLE_MAX_US after the first -> refresh
 *
 * A file that is being written (common/writers.h) is not read.
 *
 * A refresh that fails for a passing cause (descriptors, memory, I/O) is tried
 * again after RETRY_US; until then everything stays as it was.
 *
 * dirwatch.c tells of mounts over directories. A mount over a single file, or
 * its end, is no event of a directory: so when mounts change, the store looks
 * whether each path still leads to the same file on the same mount, ten times
 * a second at most.
 *
 * A file that is not named like a rule file matters only if it may be a link
 * or a directory through which rule files are reached: its events count when
 * it is created, renamed or removed. ConfigMap volumes swap such a link,
 * "..data".
 */
#include <assert.h>
#include <string.h>

#include "common/dirwatch.h"
#include "common/mounts.h"
#include "common/util.h"
#include "common/writers.h"
#include "rules/load.h"
#include "rules/parse.h"
#include "rules/rule_versions.h"

#define SETTLE_US (15 * USEC_PER_MSEC)
#define SETTLE_MAX_US (100 * USEC_PER_MSEC)
#define RETRY_US USEC_PER_SEC
#define MOUNTS_PAUSE_US (100 * USEC_PER_MSEC) /* between looks at the files */

/**
 * struct rule_store - see the theory above
 * @n_dirs:	as many as @dirwatch has
 * @dir_problems: directories that cannot be listed, and files in them that
 *		may be meant as rule files and are not read
 * @settle_by_us: while events are pending: when to refresh at the latest
 * @settle:	the timer of pending events
 * @late:	the timer of writers' deadlines and of retries
 * @mounts_timer: looks at the files when mounts changed less than
 *		MOUNTS_PAUSE_US after the last look
 * @mounts_next_us: the earliest time of the next look
 */
struct rule_store {
	struct loop *loop;
	struct dirwatch *dirwatch;
	size_t n_dirs;
	struct rule_store_ops ops;
	void *user_data;
	struct ruleset *ruleset;
	struct rule_versions versions;
	struct rules_errors dir_problems;
	struct writers writers;
	uint64_t settle_by_us;
	struct loop_timer *settle;
	struct loop_timer *late;
	struct mounts_listener *mounts;
	struct loop_timer *mounts_timer;
	uint64_t mounts_next_us;
};

/* Notes that a file is being written. Return: false when there is no room: the
 * file is then read as it is. */
static bool writer_note(struct rule_store *store, size_t dir, const char *name)
{
	uint64_t now_us = loop_now_us(store->loop);

	if (!writers_note(&store->writers, dir, name, now_us))
		return false;
	loop_timer_set_earlier(store->late, now_us + WRITERS_PATIENCE_US);
	return true;
}

static void schedule(struct rule_store *store)
{
	uint64_t now = loop_now_us(store->loop), at = now + SETTLE_US;

	if (!loop_timer_is_set(store->settle))
		store->settle_by_us = now + SETTLE_MAX_US;
	loop_timer_set(store->settle,
		       at < store->settle_by_us ? at : store->settle_by_us);
}

static bool may_have_writer(struct rule_store *store, size_t dir,
			    const char *name)
{
	_cleanup_free_ char *path =
		path_join(dirwatch_path(store->dirwatch, dir), name);

	return path && writers_may_have(path);
}

static void dirwatch_event_handler(enum dirwatch_event event, size_t index,
				   const char *name, void *user_data)
{
	struct rule_store *store = user_data;
	bool rule_file = name && rule_file_name_ok(name);

	switch (event) {
	case DIRWATCH_SCAN:
	case DIRWATCH_GONE:
		break;
	case DIRWATCH_CREATED:
		if (rule_file && may_have_writer(store, index, name) &&
		    writer_note(store, index, name))
			return;
		break;
	case DIRWATCH_MODIFIED:
		if (!rule_file || writer_note(store, index, name))
			return;
		break;
	case DIRWATCH_WRITTEN:
		if (!rule_file)
			return;
		writers_forget(&store->writers, index, name);
		break;
	case DIRWATCH_MOVED_IN:
	case DIRWATCH_REMOVED:
		writers_forget(&store->writers, index, name);
		break;
	}
	schedule(store);
}

/* Keeps the known files of a directory that cannot be listed now. */
static int keep_known(const struct rule_store *store,
		      struct rule_sources *sources, size_t dir)
{
	const char *dir_path = dirwatch_path(store->dirwatch, dir);
	int r = 0;

	for (size_t i = 0; i < store->versions.n && r == 0; i++) {
		const struct rule_version *version = store->versions.list[i];
		_cleanup_free_ char *path = path_join(dir_path, version->name);

		if (!path)
			return -ENOMEM;
		if (strcmp(version->path, path) == 0)
			r = rule_sources_add(sources, dir_path, version->name,
					     dir);
	}
	return r;
}

/* Can another try succeed although nothing changes in the file? */
static bool is_passing(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -EIO ||
	       error == -EAGAIN || error == -EINTR;
}

static void retry_if_passing(struct rule_store *store, int error)
{
	if (is_passing(error))
		loop_timer_set_earlier(store->late,
				       loop_now_us(store->loop) + RETRY_US);
}

/* Lists all directories; a missing one is empty. */
static int scan_dirs(struct rule_store *store, struct rule_sources *sources,
		     struct rules_errors *problems)
{
	int r = 0;

	for (size_t i = 0; i < store->n_dirs && r == 0; i++) {
		const char *path = dirwatch_path(store->dirwatch, i);
		int error = rule_sources_scan(sources, path, i);

		if (error == -ENOMEM)
			return error;
		if (error == 0 || error == -ENOENT)
			continue;
		r = rules_errors_add(problems, path, 0, 0,
				     rule_read_problem(error));
		if (r == 0 && error != -ENOTDIR)
			r = keep_known(store, sources, i);
		retry_if_passing(store, error);
	}
	rule_sources_sort(sources);
	return r < 0 ? r : rule_sources_problems(sources, problems);
}

/* Moves on to the first version not before @name; both lists are sorted. */
static size_t version_advance(const struct rule_versions *versions, size_t i,
			      const char *name)
{
	while (i < versions->n && strcmp(versions->list[i]->name, name) < 0)
		i++;
	return i;
}

static bool version_is(const struct rule_versions *versions, size_t i,
		       const char *name)
{
	return i < versions->n && strcmp(versions->list[i]->name, name) == 0;
}

/* Makes the list of versions follow the list of files: a new file gets an
 * empty version, and the version of a file that is gone is freed. */
static int follow_sources(struct rule_versions *versions,
			  const struct rule_sources *sources)
{
	struct rule_versions next = { 0 };
	size_t k = 0;

	next.list = calloc(sources->n ? sources->n : 1, sizeof(*next.list));
	if (!next.list)
		return -ENOMEM;
	next.n = sources->n;
	/* New versions are made first, because that can fail; moving the
	 * others cannot. */
	for (size_t i = 0; i < sources->n; i++) {
		const char *name = sources->list[i].name;

		k = version_advance(versions, k, name);
		if (version_is(versions, k, name))
			continue;
		next.list[i] = rule_version_new(name, sources->list[i].path);
		if (!next.list[i]) {
			rule_versions_done(&next);
			return -ENOMEM;
		}
	}
	k = 0;
	for (size_t i = 0; i < sources->n; i++) {
		if (next.list[i])
			continue;
		k = version_advance(versions, k, sources->list[i].name);
		next.list[i] = TAKE_PTR(versions->list[k]);
		k++;
	}
	rule_versions_done(versions);
	*versions = next;
	return 0;
}

static int read_sources(struct rule_store *store,
			const struct rule_sources *sources)
{
	int r;

	for (size_t i = 0; i < sources->n; i++) {
		const struct rule_source *source = &sources->list[i];

		if (writers_has(&store->writers, source->dir, source->name))
			continue;
		r = rule_version_read(store->versions.list[i], source->path);
		if (r == -ENOMEM)
			return r;
		retry_if_passing(store, r);
	}
	return 0;
}

/* Reads everything and puts the outcome in force. */
static int refresh_from(struct rule_store *store, struct rule_sources *sources,
			struct rules_errors *problems, bool *ret_changed)
{
	struct ruleset *ruleset;
	bool changed;
	size_t n_before = store->versions.n;
	int r;

	r = scan_dirs(store, sources, problems);
	if (r < 0)
		return r;
	r = follow_sources(&store->versions, sources);
	if (r < 0)
		return r;
	r = read_sources(store, sources);
	if (r < 0)
		return r;
	r = rule_versions_compose(&store->versions, &ruleset, &changed);
	if (r < 0)
		return r;
	changed |= n_before != store->versions.n ||
		   !ruleset_same_files(store->ruleset, ruleset) ||
		   !rules_errors_equal(&store->dir_problems, problems);
	ruleset_unref(store->ruleset);
	store->ruleset = ruleset;
	rules_errors_done(&store->dir_problems);
	store->dir_problems = *problems;
	*problems = (struct rules_errors){ 0 };
	*ret_changed = changed;
	return 0;
}

static int refresh(struct rule_store *store, bool *ret_changed)
{
	struct rule_sources sources = { 0 };
	struct rules_errors problems = { 0 };
	int r;

	loop_timer_unset(store->settle);
	r = refresh_from(store, &sources, &problems, ret_changed);
	rule_sources_done(&sources);
	rules_errors_done(&problems);
	if (r < 0)
		loop_timer_set_earlier(store->late,
				       loop_now_us(store->loop) + RETRY_US);
	return r;
}

static void refresh_and_tell(struct rule_store *store)
{
	bool changed;

	/* Without memory the ruleset in force stays, and refresh() tries
	 * again. */
	if (refresh(store, &changed) == 0 && changed)
		store->ops.changed(store->user_data);
}

static void settle_timer_handler(void *user_data)
{
	refresh_and_tell(user_data);
}

/* Reads the files whose writers took too long, and sets the timer for the next
 * deadline. */
static void late_timer_handler(void *user_data)
{
	struct rule_store *store = user_data;
	uint64_t next_us = writers_expire(&store->writers,
					  loop_now_us(store->loop), NULL, NULL);

	if (next_us)
		loop_timer_set_earlier(store->late, next_us);
	refresh_and_tell(store);
}

static void check_files(struct rule_store *store)
{
	store->mounts_next_us = loop_now_us(store->loop) + MOUNTS_PAUSE_US;
	for (size_t i = 0; i < store->versions.n; i++) {
		const struct rule_version *version = store->versions.list[i];
		struct file_id file = file_id_get(version->path);

		if (!file_id_equal(&file, &version->file)) {
			schedule(store);
			return;
		}
	}
}

static void mounts_told(const struct mounts_change *change, void *user_data)
{
	struct rule_store *store = user_data;

	if (change->event != MOUNTS_CHANGED)
		return;
	if (loop_now_us(store->loop) >= store->mounts_next_us)
		check_files(store);
	else
		loop_timer_set_earlier(store->mounts_timer,
				       store->mounts_next_us);
}

static void mounts_timer_handler(void *user_data)
{
	check_files(user_data);
}

int rule_store_follow_mounts(struct rule_store *store, struct mounts *mounts)
{
	int r = loop_timer_new(store->loop, mounts_timer_handler, store,
			       &store->mounts_timer);

	if (r < 0)
		return r;
	r = mounts_listen(mounts, mounts_told, store, &store->mounts);
	if (r < 0)
		return r;
	return dirwatch_follow_mounts(store->dirwatch, mounts);
}

static int store_start(struct rule_store *store, const char *const *dirs,
		       size_t n)
{
	bool changed;
	int r;

	r = loop_timer_new(store->loop, settle_timer_handler, store,
			   &store->settle);
	if (r < 0)
		return r;
	r = loop_timer_new(store->loop, late_timer_handler, store,
			   &store->late);
	if (r < 0)
		return r;
	r = dirwatch_new(store->loop, DIRWATCH_WRITES, dirwatch_event_handler,
			 store, &store->dirwatch);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		r = dirwatch_add(store->dirwatch, dirs[i]);
		if (r < 0)
			return r;
		store->n_dirs++;
	}
	return refresh(store, &changed);
}

int rule_store_new(struct loop *loop, const char *const *dirs, size_t n,
		   const struct rule_store_ops *ops, void *user_data,
		   struct rule_store **ret_store)
{
	struct rule_store *store = malloc(sizeof(*store));
	int r;

	if (!store)
		return -ENOMEM;
	*store = (struct rule_store){
		.loop = loop,
		.ops = *ops,
		.user_data = user_data,
	};
	r = store_start(store, dirs, n);
	if (r < 0) {
		rule_store_free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

struct rule_store *rule_store_free(struct rule_store *store)
{
	if (!store)
		return NULL;
	mounts_listener_free(store->mounts);
	loop_timer_free(store->mounts_timer);
	dirwatch_free(store->dirwatch);
	loop_timer_free(store->settle);
	loop_timer_free(store->late);
	ruleset_unref(store->ruleset);
	rule_versions_done(&store->versions);
	rules_errors_done(&store->dir_problems);
	writers_done(&store->writers);
	free(store);
	return NULL;
}

int rule_store_reload(struct rule_store *store)
{
	bool changed;
	int r = refresh(store, &changed);

	if (r == 0 && changed)
		store->ops.changed(store->user_data);
	return r;
}

struct ruleset *rule_store_ruleset(const struct rule_store *store)
{
	return store->ruleset;
}

/* The problems of all directories are shown as those of one more file. */
size_t rule_store_files(const struct rule_store *store)
{
	return store->versions.n + (store->dir_problems.n ? 1 : 0);
}

void rule_store_file_info(const struct rule_store *store, size_t index,
			  struct rule_file_info *ret_info)
{
	const struct rule_version *version;

	assert(index < rule_store_files(store));
	if (index == store->versions.n) {
		*ret_info = (struct rule_file_info){
			.path = store->dir_problems.list[0].file,
			.errors = &store->dir_problems,
		};
		return;
	}
	version = store->versions.list[index];
	*ret_info = (struct rule_file_info){
		.path = version->path,
		.n_rules = version->good ? version->good->n_rules : 0,
		.last_good = version->last_good,
		.changed = version->changed,
		.errors = &version->errors,
	};
}
