/* SPDX-License-Identifier: Apache-2.0 */
/* berthd.h - the daemon: its layers put together */
#ifndef DAEMON_BERTHD_H
#define DAEMON_BERTHD_H

struct berthd;
struct config_store;

/**
 * berthd_new() - opens everything, in the order in which it depends
 * @config:	was loaded; outlives the berthd, which loads it again
 *
 * Logs what is wrong.
 * Return: 0 or -errno.
 */
int berthd_new(struct config_store *config, struct berthd **ret_berthd);

/**
 * berthd_run() - serves until SIGTERM, which leaves berth-relay and other
 * consumers to the next berthd, or SIGINT, which ends what they serve, too
 * Return: 0 or -errno.
 */
int berthd_run(struct berthd *berthd);

/** berthd_free() - closes everything; a berth-relay goes on if berthd has run.
 * NULL is fine. */
struct berthd *berthd_free(struct berthd *berthd);

#endif
