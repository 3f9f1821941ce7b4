#include "agent/cores.h"

#include "base/limits.h"
#include "check.h"

static void fill(const char *path)
{
	cprof_cores_map(path);
	cprof_cores_refill(cprof_cores_copy());
}

static bool take(void)
{
	const struct cprof_transport *core = NULL;
	struct cprof_error err;
	bool taken = !cprof_cores_take(&core, &err);

	if (taken)
		CHECK(core);
	else
		CHECK_EQ(err.code, CPROF_EUNSUPPORTED);
	return taken;
}

static bool is_alone(void)
{
	const struct cprof_transport *core = NULL;

	CHECK_EQ(cprof_transport_load(TRANSPORT_PATH, &core, NULL), 0);
	return core->alone;
}

void test_cores__a_process_has_one_for_good(void)
{
	const struct cprof_transport *first = NULL, *again = NULL;

	fill(TRANSPORT_PATH);
	CHECK_EQ(cprof_cores_take(&first, NULL), 0);
	fill(TRANSPORT_PATH);
	CHECK_EQ(cprof_cores_take(&again, NULL), 0);
	CHECK(first == again);
}

void test_cores__what_is_not_there_is_told_and_tried_again(void)
{
	const struct cprof_transport *core = NULL;
	struct cprof_error err;

	fill("/nowhere/_transport.so");
	CHECK_EQ(cprof_cores_take(&core, &err), CPROF_EIO);
	CHECK(strstr(err.message, "/nowhere/_transport.so"));
	fill(TRANSPORT_PATH);
	CHECK_EQ(cprof_cores_take(&core, NULL), 0);
}

/* Each call of abandon stands for a fork, seen from the child. */
void test_cores__a_child_never_gets_its_parents(void)
{
	const struct cprof_transport *parents = NULL, *childs = NULL;

	fill(TRANSPORT_PATH);
	CHECK_EQ(cprof_cores_take(&parents, NULL), 0);
	cprof_cores_abandon();
	if (!is_alone()) {
		CHECK(!take());
		return;
	}
	CHECK_EQ(cprof_cores_take(&childs, NULL), 0);
	CHECK(childs != parents);
}

void test_cores__a_spare_is_good_until_it_is_taken(void)
{
	fill(TRANSPORT_PATH);
	CHECK(take());
	cprof_cores_abandon();
	cprof_cores_abandon();
	CHECK_EQ(take(), is_alone());
	/* Nobody mapped another one meanwhile. */
	cprof_cores_abandon();
	CHECK(!take());
}

void test_cores__a_child_maps_none_by_its_path(void)
{
	fill(TRANSPORT_PATH);
	CHECK(take());
	cprof_cores_abandon();
	take();
	cprof_cores_abandon();
	fill(TRANSPORT_PATH);
	CHECK(!take());
}

void test_cores__without_a_copy_it_is_told_that_there_was_no_room(void)
{
	const struct cprof_transport *core = NULL;
	struct cprof_error err;

	cprof_cores_map(TRANSPORT_PATH);
	cprof_cores_refill((struct cprof_copy){ .fd = -1 });
	cprof_cores_abandon();
	CHECK_EQ(cprof_cores_take(&core, &err), CPROF_EUNSUPPORTED);
	CHECK(strstr(err.message, is_alone() ? "no room" : "shares libraries"));
}

/* On musl core would abort for want of pthread keys some generations later. */
void test_cores__generations_are_bounded(void)
{
	int nr = 0;

	fill(TRANSPORT_PATH);
	CHECK(take());
	for (cprof_cores_abandon(); take(); cprof_cores_abandon()) {
		cprof_cores_refill(cprof_cores_copy());
		nr++;
	}
	CHECK_EQ(nr, is_alone() ? CPROF_MAX_GENERATIONS : 0);
}
