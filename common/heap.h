/* SPDX-License-Identifier: Apache-2.0 */
/* heap.h - the smallest of many keys, O(log n) for each change
 *
 * An element is a struct heap_node inside the object that it is for.
 */
#ifndef COMMON_HEAP_H
#define COMMON_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct heap_node - zero-initialize
 * @key:	of the last heap_set()
 * @slot:	its place in the heap, counted from 1; 0: it is in none
 */
struct heap_node {
	uint64_t key;
	uint32_t slot;
};

/**
 * struct heap - zero-initialize
 * @nodes:	nodes[0] is unused
 * @n:		nodes that are set
 * @size:	room in @nodes
 * @reserved:	nodes that may be set at the same time
 */
struct heap {
	struct heap_node **nodes;
	size_t n;
	size_t size;
	size_t reserved;
};

/** heap_done() - frees what @heap has, not the nodes */
void heap_done(struct heap *heap);

/**
 * heap_reserve() - makes room for one more node
 *
 * To be called when the object is made, so that setting its node cannot fail
 * later.
 * Return: 0 or -ENOMEM.
 */
int heap_reserve(struct heap *heap);

/** heap_unreserve() - removes @node and gives its room back */
void heap_unreserve(struct heap *heap, struct heap_node *node);

/** heap_set() - puts @node in with @key, or moves it when it is in already */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t key);

/** heap_remove() - takes @node out; no-op when it is not in */
void heap_remove(struct heap *heap, struct heap_node *node);

/** heap_has() - is @node in a heap? */
static inline bool heap_has(const struct heap_node *node)
{
	return node->slot != 0;
}

/** heap_first() - a node with the smallest key; NULL: there is none */
static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->n > 0 ? heap->nodes[1] : NULL;
}

#endif
