// SPDX-License-Identifier: Apache-2.0
/* containers_dir.c - the files that tell of containers
 *
 * Theory of operation: there may be a file for each of ten thousand containers,
 * so an event of one file reads that file only. A file is *due* when an event
 * says that it is another one, and its writer has closed it; due files are read
 * in slices. A listing of the directory, at the start and after lost events,
 * makes all files due. An event of another name may be of a link or a directory
 * that links lead through, as "..data" of a ConfigMap volume: it makes the
 * files due that are links.
 *
 * The watcher is told what a file says, with the path of the file as the
 * source. A file with a problem leaves in force what it said before. A file
 * that is gone says nothing any more.
 */
#include "daemon/containers_dir.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "common/dirwatch.h"
#include "common/log.h"
#include "common/log_teller.h"
#include "common/util.h"
#include "common/writers.h"
#include "daemon/containers_parse.h"
#include "rules/load.h"
#include "rules/parse.h"
#include "watcher/watcher.h"

#define SUFFIX ".json"
#define DIR_MODE 0755
#define SUFFIX_LEN (sizeof(SUFFIX) - 1)
#define SLICE_US (2 * USEC_PER_MSEC)
#define RETRY_US USEC_PER_SEC

#define ALL_PERMISSIONS 07777
#define OWNER_PROBLEM_MAX 128

/* As many as there may be namespaces in one directory. */
#define FILES_MAX 65536u

/* Lines about one file. */
#define LOG_INTERVAL_US (60 * USEC_PER_SEC)
#define LOG_BURST 5

/**
 * struct file - a file in the directory
 * @due:	it is in the list of files to be read
 * @link:	it is a symbolic link
 * @again:	it could not be read for a passing cause: it is read later
 * @n_told:	how many containers it has in force
 * @errors:	problems of the file as it was last read
 */
struct file {
	bool due;
	bool link;
	bool again;
	size_t n_told;
	struct rules_errors errors;
	struct file *prev, *next;
	UT_hash_handle hh;
	char name[];
};

/**
 * struct containers_dir - see the theory above
 * @n_links:	how many of @files are symbolic links
 * @late:	the timer of writers that take too long, and of retries
 * @retry:	the directory could not be listed, or a file not be noted, for a
 *		passing cause
 * @started:	what was there when berthd started was read
 */
struct containers_dir {
	char *path;
	struct loop *loop;
	struct watcher *watcher;
	struct dirwatch *dirwatch;
	struct file *files;
	struct file *due;
	size_t n_links;
	struct writers writers;
	struct loop_timer *late;
	struct log_teller *teller;
	bool retry;
	bool started;
};

static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > SUFFIX_LEN &&
	       strcmp(name + len - SUFFIX_LEN, SUFFIX) == 0;
}

static void set_due(struct containers_dir *dir, struct file *file, bool due)
{
	if (file->due == due)
		return;
	file->due = due;
	if (due)
		DL_APPEND(dir->due, file);
	else
		DL_DELETE(dir->due, file);
}

static void set_link(struct containers_dir *dir, struct file *file, bool link)
{
	if (file->link && !link)
		dir->n_links--;
	else if (!file->link && link)
		dir->n_links++;
	file->link = link;
}

static void retry_later(struct containers_dir *dir)
{
	dir->retry = true;
	loop_timer_set_earlier(dir->late, loop_now_us(dir->loop) + RETRY_US);
}

static void read_later(struct containers_dir *dir, struct file *file)
{
	file->again = true;
	loop_timer_set_earlier(dir->late, loop_now_us(dir->loop) + RETRY_US);
}

static struct file *file_get(struct containers_dir *dir, const char *name)
{
	size_t len = strlen(name);
	struct file *file;

	HASH_FIND(hh, dir->files, name, len, file);
	if (file)
		return file;
	if (HASH_COUNT(dir->files) >= FILES_MAX) {
		if (log_teller_ok(dir->teller, "many"))
			log_warning("'%s' has more than %u files; ignoring "
				    "'%s'",
				    dir->path, FILES_MAX, name);
		return NULL;
	}
	file = calloc(1, sizeof(*file) + len + 1);
	if (file) {
		memcpy(file->name, name, len + 1);
		HASH_ADD_KEYPTR(hh, dir->files, file->name, len, file);
		if (file->hh.tbl)
			return file;
		free(file);
	}
	retry_later(dir);
	return NULL;
}

static void file_free(struct containers_dir *dir, struct file *file)
{
	set_link(dir, file, false);
	set_due(dir, file, false);
	HASH_DEL(dir->files, file);
	rules_errors_done(&file->errors);
	free(file);
}

static bool is_link(const struct containers_dir *dir, const char *name)
{
	_cleanup_free_ char *path = path_join(dir->path, name);
	struct stat st;

	return path && lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* The file @name is another one than before, or gone. */
static void changed(struct containers_dir *dir, const char *name)
{
	struct file *file = file_get(dir, name);

	if (!file)
		return;
	set_link(dir, file, is_link(dir, name));
	set_due(dir, file, true);
}

/* The listing has the file. Its type saves a look at each of thousands. */
static void listed(struct containers_dir *dir, const struct dirent *entry)
{
	struct file *file = file_get(dir, entry->d_name);

	if (!file)
		return;
	set_link(dir, file,
		 entry->d_type == DT_UNKNOWN ? is_link(dir, entry->d_name)
					     : entry->d_type == DT_LNK);
	set_due(dir, file, true);
}

/* Makes all files due, those that are not there any more as well. */
static void list_all(struct containers_dir *dir)
{
	DIR *stream = opendir(dir->path);
	const struct dirent *entry;
	struct file *file;

	for (file = dir->files; file; file = file->hh.next) {
		set_link(dir, file, false); /* unless the listing has it */
		set_due(dir, file, true);
	}
	if (!stream) {
		if (errno != ENOENT)
			retry_later(dir);
		return;
	}
	while ((entry = readdir(stream))) {
		if (name_ok(entry->d_name) &&
		    !writers_has(&dir->writers, 0, entry->d_name))
			listed(dir, entry);
	}
	(void)closedir(stream); /* only read from */
}

/* Something changed that links may lead through. */
static void links_changed(struct containers_dir *dir)
{
	struct file *file = dir->n_links ? dir->files : NULL;

	for (; file; file = file->hh.next) {
		if (file->link)
			set_due(dir, file, true);
	}
}

/* The file is being written. Return: false when it is to be read as it is. */
static bool wait_for_writer(struct containers_dir *dir, const char *name)
{
	uint64_t now_us = loop_now_us(dir->loop);

	if (!writers_note(&dir->writers, 0, name, now_us))
		return false;
	loop_timer_set_earlier(dir->late, now_us + WRITERS_PATIENCE_US);
	return true;
}

static bool created_by_writer(struct containers_dir *dir, const char *name)
{
	_cleanup_free_ char *path = path_join(dir->path, name);

	return path && writers_may_have(path) && wait_for_writer(dir, name);
}

static void dirwatch_told(enum dirwatch_event event, size_t index,
			  const char *name, void *user_data)
{
	struct containers_dir *dir = user_data;
	bool ours = name && name_ok(name);

	(void)index; /* there is one directory */
	switch (event) {
	case DIRWATCH_SCAN:
	case DIRWATCH_GONE:
		list_all(dir);
		return;
	case DIRWATCH_CREATED:
		if (ours && created_by_writer(dir, name))
			return;
		break;
	case DIRWATCH_MODIFIED:
		if (!ours || wait_for_writer(dir, name))
			return;
		break;
	case DIRWATCH_WRITTEN:
		if (!ours)
			return;
		writers_forget(&dir->writers, 0, name);
		break;
	case DIRWATCH_MOVED_IN:
	case DIRWATCH_REMOVED:
		writers_forget(&dir->writers, 0, name);
		break;
	}
	if (ours)
		changed(dir, name);
	else
		links_changed(dir);
}

static void set_errors(struct containers_dir *dir, struct file *file,
		       const char *path, struct rules_errors *errors)
{
	bool same = rules_errors_equal(&file->errors, errors);

	rules_errors_done(&file->errors);
	file->errors = *errors;
	*errors = (struct rules_errors){ 0 };
	for (size_t i = 0; i < file->errors.n && !same; i++) {
		_cleanup_free_ char *text =
			rules_error_fmt(&file->errors.list[i]);

		if (log_teller_ok(dir->teller, "%s", file->name))
			log_error("%s; %s", text ? text : path,
				  file->n_told ? "what the file said before "
						 "stays in force"
					       : "the file is ignored");
	}
}

/* berthd was told of these containers before it started, as long ago as the
 * file is old, at least. */
static void set_ages(const char *path, struct told_list *told)
{
	struct stat st;

	for (size_t i = 0; i < told->n && (i > 0 || stat(path, &st) == 0); i++)
		told->list[i].container.since_us = monotonic_of_us(
			st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec);
}

static int tell(struct containers_dir *dir, struct file *file, const char *path,
		const struct told_list *told, struct rules_errors *errors)
{
	int r = watcher_tell_containers(dir->watcher, path, told->list,
					told->n);

	if (r == 0)
		file->n_told = told->n;
	if (r != -ENOSPC)
		return r;
	return rules_errors_add(errors, path, 0, 0,
				"is not in force: berthd was told of too many "
				"containers");
}

/* What a file says counts as root's word, so nobody else may write it. Return:
 * 1; 0, with a problem in @errors; -ENOMEM. */
static int check_owner(const struct stat *st, const char *path,
		       struct rules_errors *errors)
{
	char problem[OWNER_PROBLEM_MAX];

	if (st->st_uid != 0 && st->st_uid != geteuid())
		(void)snprintf(problem, sizeof(problem),
			       "belongs to uid %u, expected root: what a file "
			       "here says counts as root's word",
			       (unsigned int)st->st_uid);
	else if (S_ISREG(st->st_mode) && (st->st_mode & S_IWOTH))
		(void)snprintf(problem, sizeof(problem),
			       "has mode %04o, with which everybody may write "
			       "it: what a file here says counts as root's "
			       "word",
			       st->st_mode & ALL_PERMISSIONS);
	else
		return 1;
	return rules_errors_add(errors, path, 0, 0, problem);
}

/* Reads and tells. Return: 0, with @errors or without; -ENOENT; another error
 * when nothing can be said of the file now. */
static int load(struct containers_dir *dir, struct file *file, const char *path,
		struct rules_errors *errors)
{
	_cleanup_free_ char *text = NULL;
	struct told_list told = { 0 };
	struct stat st;
	size_t len;
	int r = rule_text_read(path, &st, &text, &len);

	if (r == -ENOENT || r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r < 0)
		return rules_errors_add(errors, path, 0, 0,
					rule_read_problem(r));
	r = check_owner(&st, path, errors);
	if (r <= 0)
		return r;
	r = containers_parse(path, text, len, errors, &told);
	if (r == -EINVAL)
		return 0;
	if (r == 0) {
		if (!dir->started)
			set_ages(path, &told);
		r = tell(dir, file, path, &told, errors);
	}
	told_list_done(&told);
	return r;
}

/* The file is not there, or leads nowhere: it tells nothing any more. */
static int untell(struct containers_dir *dir, struct file *file,
		  const char *path, struct rules_errors *errors)
{
	int r = watcher_tell_containers(dir->watcher, path, NULL, 0);

	if (r < 0)
		return r;
	file->n_told = 0;
	if (!file->link)
		return -ENOENT;
	return rules_errors_add(errors, path, 0, 0, rule_read_problem(-ENOENT));
}

static void file_read(struct containers_dir *dir, struct file *file)
{
	_cleanup_free_ char *path = path_join(dir->path, file->name);
	struct rules_errors errors = { 0 };
	int r = path ? load(dir, file, path, &errors) : -ENOMEM;

	if (r == -ENOENT)
		r = untell(dir, file, path, &errors);
	if (r == -ENOENT)
		file_free(dir, file);
	else if (r < 0)
		read_later(dir, file);
	else
		set_errors(dir, file, path, &errors);
	rules_errors_done(&errors);
}

/* Reads due files until @deadline_us; monotonic. */
static bool read_due(struct containers_dir *dir, uint64_t deadline_us)
{
	while (dir->due) {
		struct file *file = dir->due;

		set_due(dir, file, false);
		file_read(dir, file);
		if (monotonic_us() >= deadline_us)
			break;
	}
	return dir->due != NULL;
}

bool containers_dir_step(struct containers_dir *dir)
{
	return dir->due && read_due(dir, monotonic_us() + SLICE_US);
}

static void took_too_long(const char *name, void *user_data)
{
	changed(user_data, name);
}

/* Others than these may be thousands, and are as they were. */
static void read_again(struct containers_dir *dir)
{
	struct file *file;

	for (file = dir->files; file; file = file->hh.next) {
		if (file->again)
			set_due(dir, file, true);
		file->again = false;
	}
}

static void late_handler(void *user_data)
{
	struct containers_dir *dir = user_data;
	uint64_t next_us = writers_expire(&dir->writers, loop_now_us(dir->loop),
					  took_too_long, dir);

	if (next_us)
		loop_timer_set_earlier(dir->late, next_us);
	read_again(dir);
	if (!dir->retry)
		return;
	dir->retry = false;
	list_all(dir);
}

static int start(struct containers_dir *dir, struct mounts *mounts)
{
	int r = loop_timer_new(dir->loop, late_handler, dir, &dir->late);

	if (mkdir(dir->path, DIR_MODE) < 0 && errno != EEXIST)
		log_warning_errno(errno, "cannot make '%s'; it is awaited",
				  dir->path);
	if (r == 0)
		r = log_teller_new(dir->loop, LOG_INTERVAL_US, LOG_BURST,
				   &dir->teller);
	if (r == 0)
		r = dirwatch_new(dir->loop, DIRWATCH_WRITES, dirwatch_told, dir,
				 &dir->dirwatch);
	if (r == 0)
		r = dirwatch_follow_mounts(dir->dirwatch, mounts);
	if (r == 0)
		r = dirwatch_add(dir->dirwatch, dir->path);
	if (r < 0)
		return r;
	(void)read_due(dir, UINT64_MAX); /* leaves none */
	dir->started = true;
	return 0;
}

int containers_dir_new(struct loop *loop, const char *runtime_dir,
		       struct mounts *mounts, struct watcher *watcher,
		       struct containers_dir **ret_dir)
{
	struct containers_dir *dir = calloc(1, sizeof(*dir));
	int r;

	if (!dir)
		return -ENOMEM;
	dir->loop = loop;
	dir->watcher = watcher;
	dir->path = path_join(runtime_dir, "containers.d");
	r = dir->path ? start(dir, mounts) : -ENOMEM;
	if (r < 0) {
		containers_dir_free(dir);
		return r;
	}
	*ret_dir = dir;
	return 0;
}

struct containers_dir *containers_dir_free(struct containers_dir *dir)
{
	struct file *file, *next;

	if (!dir)
		return NULL;
	dirwatch_free(dir->dirwatch);
	loop_timer_free(dir->late);
	HASH_ITER (hh, dir->files, file, next)
		file_free(dir, file);
	writers_done(&dir->writers);
	(void)log_teller_free(dir->teller); /* is always NULL */
	free(dir->path);
	free(dir);
	return NULL;
}

void containers_dir_reload(struct containers_dir *dir)
{
	list_all(dir);
}

const char *containers_dir_path(const struct containers_dir *dir)
{
	return dir->path;
}

bool containers_dir_next_problems(const struct containers_dir *dir,
				  const void **state,
				  struct containers_file *ret_file)
{
	const struct file *file = *state;

	file = file ? file->hh.next : dir->files;
	while (file && file->errors.n == 0)
		file = file->hh.next;
	if (!file)
		return false;
	*state = file;
	*ret_file = (struct containers_file){
		.path = file->errors.list[0].file,
		.n_containers = file->n_told,
		.errors = &file->errors,
	};
	return true;
}
