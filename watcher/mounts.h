/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.h - tells that something was mounted or unmounted, not what */
#ifndef WATCHER_MOUNTS_H
#define WATCHER_MOUNTS_H

#include "common/loop.h"

struct mounts;

/** mounts_open() - watched from now on. Return: 0; -ENOMEM; -errno of open(2).
 */
int mounts_open(struct loop *loop, void (*changed)(void *user_data),
		void *user_data, struct mounts **ret_mounts);
struct mounts *mounts_close(struct mounts *mounts);

/** mounts_pause() - what happens meanwhile is told as one after the resume */
void mounts_pause(struct mounts *mounts);
void mounts_resume(struct mounts *mounts);

#endif
