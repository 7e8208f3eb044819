// SPDX-License-Identifier: Apache-2.0
/* shares.c - how much users other than root may have registered */
#include "watcher/shares.h"

#include <assert.h>
#include <stdlib.h>

/* Without memory for its table, uthash leaves an element out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/util.h"

static const char reason_user[] =
	"you have registered the most containers that one user may";
static const char reason_user_bytes[] =
	"your registrations have the most labels and names that those of one "
	"user may";
static const char reason_users[] =
	"users have registered the most containers that all of them may";

/** struct share - what a user has */
struct share {
	uid_t uid;
	size_t n;
	size_t bytes;
	UT_hash_handle hh;
};

/** struct shares - see shares.h; @n, @bytes: of all users */
struct shares {
	struct share *by_uid;
	size_t n;
	size_t bytes;
};

struct shares *shares_new(void)
{
	return calloc(1, sizeof(struct shares));
}

static void share_free(struct shares *shares, struct share *share)
{
	HASH_DEL(shares->by_uid, share);
	free(share);
}

struct shares *shares_free(struct shares *shares)
{
	struct share *share, *next;

	if (!shares)
		return NULL;
	HASH_ITER (hh, shares->by_uid, share, next)
		share_free(shares, share);
	free(shares);
	return NULL;
}

static struct share *share_find(const struct shares *shares, uid_t uid)
{
	struct share *share;

	HASH_FIND(hh, shares->by_uid, &uid, sizeof(uid), share);
	return share;
}

const char *shares_refusal(const struct shares *shares, uid_t uid, size_t bytes,
			   size_t before)
{
	const struct share *share = share_find(shares, uid);
	size_t one = before ? 1 : 0;

	if (uid == 0)
		return NULL;
	if (share && share->n - one >= SHARES_PER_USER_MAX)
		return reason_user;
	if ((share ? share->bytes : 0) - before + bytes >
	    SHARES_BYTES_PER_USER_MAX)
		return reason_user_bytes;
	if (shares->n - one >= SHARES_USERS_MAX ||
	    shares->bytes - before + bytes > SHARES_BYTES_USERS_MAX)
		return reason_users;
	return NULL;
}

static struct share *share_new(struct shares *shares, uid_t uid)
{
	struct share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	share->uid = uid;
	HASH_ADD(hh, shares->by_uid, uid, sizeof(share->uid), share);
	if (share->hh.tbl)
		return share;
	free(share);
	return NULL;
}

int shares_take(struct shares *shares, uid_t uid, size_t bytes)
{
	struct share *share;

	if (uid == 0)
		return 0;
	share = share_find(shares, uid);
	if (!share)
		share = share_new(shares, uid);
	if (!share)
		return -ENOMEM;
	share->n++;
	share->bytes += bytes;
	shares->n++;
	shares->bytes += bytes;
	return 0;
}

void shares_give(struct shares *shares, uid_t uid, size_t bytes)
{
	struct share *share = share_find(shares, uid);

	if (uid == 0)
		return;
	assert(share && share->n > 0 && share->bytes >= bytes);
	share->bytes -= bytes;
	shares->n--;
	shares->bytes -= bytes;
	if (--share->n == 0)
		share_free(shares, share);
}
