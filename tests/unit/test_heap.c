// SPDX-License-Identifier: Apache-2.0
/* test_heap.c - the heap against a plain search, and without memory */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/heap.h"
#include "common/util.h"

#define NODES 200
#define ROUNDS 20000

static bool no_memory;

void *reallocarray(void *list, size_t n, size_t size)
{
	return no_memory ? NULL : realloc(list, n * size);
}

static const struct heap_node *smallest(const struct heap_node *nodes)
{
	const struct heap_node *first = NULL;

	for (size_t i = 0; i < NODES; i++) {
		if (heap_has(&nodes[i]) &&
		    (!first || nodes[i].key < first->key))
			first = &nodes[i];
	}
	return first;
}

static void check(const struct heap *heap, const struct heap_node *nodes)
{
	const struct heap_node *first = smallest(nodes);

	if (!first) {
		assert_null(heap_first(heap));
		return;
	}
	assert_non_null(heap_first(heap));
	assert_true(heap_first(heap)->key == first->key);
}

static void test_random_operations(void **state)
{
	struct heap_node nodes[NODES] = { 0 };
	struct heap heap = { 0 };
	unsigned int seed = 1;

	(void)state;
	for (size_t i = 0; i < NODES; i++)
		assert_int_equal(heap_reserve(&heap), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct heap_node *node =
			&nodes[(unsigned int)rand_r(&seed) % NODES];

		if (rand_r(&seed) % 3 == 0)
			heap_remove(&heap, node);
		else
			heap_set(&heap, node, (uint64_t)rand_r(&seed) % 500);
		check(&heap, nodes);
	}
	for (size_t i = 0; i < NODES; i++) {
		heap_unreserve(&heap, &nodes[i]);
		assert_false(heap_has(&nodes[i]));
		check(&heap, nodes);
	}
	heap_done(&heap);
}

static void test_in_order(void **state)
{
	struct heap_node nodes[NODES] = { 0 };
	struct heap heap = { 0 };
	uint64_t last = 0;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < NODES; i++) {
		assert_int_equal(heap_reserve(&heap), 0);
		heap_set(&heap, &nodes[i], (i * 7919) % 50);
	}
	for (struct heap_node *node; (node = heap_first(&heap)); n++) {
		assert_true(node->key >= last);
		last = node->key;
		heap_unreserve(&heap, node);
	}
	assert_int_equal(n, NODES);
	heap_done(&heap);
}

/* Each node that room was reserved for can be set. */
static void test_no_memory(void **state)
{
	struct heap_node nodes[NODES] = { 0 };
	struct heap heap = { 0 };
	size_t n = 0;

	(void)state;
	no_memory = true;
	assert_int_equal(heap_reserve(&heap), -ENOMEM);
	assert_null(heap_first(&heap));
	no_memory = false;
	assert_int_equal(heap_reserve(&heap), 0);
	no_memory = true;
	for (n = 1; n < NODES && heap_reserve(&heap) == 0; n++)
		;
	no_memory = false;
	assert_true(n < NODES);
	for (size_t i = 0; i < n; i++)
		heap_set(&heap, &nodes[i], i);
	heap_set(&heap, &nodes[0], n);
	assert_ptr_equal(heap_first(&heap), &nodes[1]);
	heap_done(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
