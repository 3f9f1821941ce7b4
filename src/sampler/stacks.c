/* cprof_stacks_tally() runs within a tick: no allocation, no lock. */
#include "sampler/stacks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"

#define TABLE_SIZE (2 * CPROF_MAX_STACKS) /* at most half full */

struct stack {
	uint64_t hash;
	const struct cprof_frame *frame;
	int nr;
};

struct cprof_stacks {
	struct cprof_arena arena; /* all that follows, and the frames */
	struct stack *stack;
	uint32_t stack_nr;
	uint32_t *by_hash; /* TABLE_SIZE, stack + 1 */
	struct cprof_tally *tally;
	uint32_t tally_nr;
	uint32_t *by_owner; /* TABLE_SIZE, tally + 1 */
};

/* Stack 0 and tally 0: what there was no room for. */
static void add_dropped(struct cprof_stacks *s)
{
	struct cprof_frame *f = cprof_arena_take(&s->arena, sizeof(*f));

	*f = (struct cprof_frame){ CPROF_CODE_DROPPED, -1 };
	s->stack[s->stack_nr++] = (struct stack){ .frame = f, .nr = 1 };
	s->tally[s->tally_nr++] =
		(struct cprof_tally){ .thread = CPROF_NO_THREAD };
}

int cprof_stacks_create(struct cprof_stacks **ret, struct cprof_error *err)
{
	struct cprof_stacks *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	r = cprof_arena_init(&s->arena, CPROF_STACK_ARENA_BYTES, err);
	if (r < 0) {
		free(s);
		return r;
	}
	/* The arena is larger than these by far: see limits.h. */
	s->stack = cprof_arena_take(
		&s->arena, CPROF_MAX_STACKS * sizeof(*s->stack));
	s->tally = cprof_arena_take(
		&s->arena, CPROF_MAX_STACKS * sizeof(*s->tally));
	s->by_hash =
		cprof_arena_take(&s->arena, TABLE_SIZE * sizeof(*s->by_hash));
	s->by_owner =
		cprof_arena_take(&s->arena, TABLE_SIZE * sizeof(*s->by_owner));
	add_dropped(s);
	*ret = s;
	return 0;
}

void cprof_stacks_destroy(struct cprof_stacks *s)
{
	if (!s)
		return;
	cprof_arena_finish(&s->arena);
	free(s);
}

static uint64_t hash_stack(const struct cprof_stack *stack)
{
	uint64_t h = (uint64_t)stack->nr;

	for (int i = 0; i < stack->nr; i++)
		h = cprof_hash_mix(h, (uint64_t)stack->frame[i].code << 32 |
					      (uint32_t)stack->frame[i].instr);
	return h;
}

/* The number of this stack; 0 when there is no room for it. */
static uint32_t intern(struct cprof_stacks *s, const struct cprof_stack *stack)
{
	uint64_t hash = hash_stack(stack);
	size_t len = (size_t)stack->nr * sizeof(stack->frame[0]);
	uint32_t slot = (uint32_t)(hash % TABLE_SIZE);
	struct cprof_frame *frame;

	for (; s->by_hash[slot]; slot = (slot + 1) % TABLE_SIZE) {
		struct stack *k = &s->stack[s->by_hash[slot] - 1];

		if (k->hash == hash && k->nr == stack->nr &&
			!memcmp(k->frame, stack->frame, len))
			return s->by_hash[slot] - 1;
	}
	if (s->stack_nr == CPROF_MAX_STACKS)
		return 0;
	frame = cprof_arena_take(&s->arena, len);
	if (!frame)
		return 0;
	memcpy(frame, stack->frame, len);
	s->stack[s->stack_nr] = (struct stack){ hash, frame, stack->nr };
	s->by_hash[slot] = ++s->stack_nr;
	return s->stack_nr - 1;
}

struct cprof_tally *cprof_stacks_tally(struct cprof_stacks *s, uint32_t thread,
	const struct cprof_stack *stack)
{
	uint32_t number = intern(s, stack);
	uint64_t hash = cprof_hash_mix(thread, number);
	uint32_t slot = (uint32_t)(hash % TABLE_SIZE);
	struct cprof_tally *t;

	if (!number)
		return &s->tally[0];
	for (; s->by_owner[slot]; slot = (slot + 1) % TABLE_SIZE) {
		t = &s->tally[s->by_owner[slot] - 1];
		if (t->thread == thread && t->stack == number)
			return t;
	}
	if (s->tally_nr == CPROF_MAX_STACKS)
		return &s->tally[0];
	t = &s->tally[s->tally_nr++];
	*t = (struct cprof_tally){ .thread = thread, .stack = number };
	s->by_owner[slot] = s->tally_nr;
	return t;
}

uint32_t cprof_stacks_tally_nr(const struct cprof_stacks *s)
{
	return s->tally_nr;
}

struct cprof_tally *cprof_stacks_tally_at(struct cprof_stacks *s, uint32_t i)
{
	return &s->tally[i];
}

const struct cprof_frame *cprof_stacks_frames(
	const struct cprof_stacks *s, uint32_t stack, int *ret_nr)
{
	*ret_nr = s->stack[stack].nr;
	return s->stack[stack].frame;
}
