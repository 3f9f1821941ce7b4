#ifndef CPROF_PROFILE_UNPACK_H
#define CPROF_PROFILE_UNPACK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/*
 * Unpacking bytes from outside. A few bytes can ask for many: an empty message
 * in a list takes two on the wire and a hundred in memory, and a field that
 * comes again and again is merged again and again. Everything unpacked
 * therefore comes out of one arena, which ends that: nothing is given back
 * before the arena is, so memory and time are both bounded by its size.
 *
 * Unpack a message of the kind `d` into `arena`, where it lives on. `ret` is
 * the address of a pointer to the C struct of that kind. CPROF_ETOOBIG when the
 * arena is too small, CPROF_EFORMAT for other bytes.
 */
int cprof_unpack(const ProtobufCMessageDescriptor *d, const uint8_t *data,
	size_t len, struct cprof_arena *arena, void *ret,
	struct cprof_error *err);

#endif
