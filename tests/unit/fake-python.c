#include "fake-python.h"

#include "check.h"
#include "cpython/sites.h"

#define FRAME_BYTES 112 /* with two locals and two values */

struct block {
	struct block *next;
	uint64_t data[];
};

void *fake_alloc(struct fake_python *py, size_t len)
{
	struct block *b = calloc(1, sizeof(*b) + len);

	CHECK(b);
	b->next = py->blocks;
	py->blocks = b;
	return b->data;
}

void fake_store(void *base, size_t offset, uint64_t value)
{
	uint64_t *at = (void *)((char *)base + offset);

	CHECK_EQ((uintptr_t)at % 8, 0);
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

uint64_t fake_load(const void *base, size_t offset)
{
	return __atomic_load_n(
		(const uint64_t *)(const void *)((const char *)base + offset),
		__ATOMIC_ACQUIRE);
}

static void store_u32(void *base, size_t offset, uint32_t value)
{
	memcpy((char *)base + offset, &value, sizeof(value));
}

struct fake_python *fake_python_create(void)
{
	return fake_python_create_as(0x030b07f0);
}

struct fake_python *fake_python_create_as(uint32_t hexversion)
{
	const struct cprof_python is = { .hexversion = hexversion,
		.implementation = "cpython" };
	struct fake_python *py = calloc(1, sizeof(*py));

	CHECK(py);
	CHECK_EQ(cprof_layout_find(&is, &py->lay, NULL), 0);
	py->runtime = fake_alloc(py, 1024);
	py->code_type = fake_alloc(py, 512);
	py->type_type = fake_type(py, "type", 0);
	fake_store(py->type_type, py->lay->code.ob_type,
		fake_address(py->type_type));
	py->function_type = fake_type(py, "builtin_function_or_method", 0);
	py->method_type = fake_type(py, "method_descriptor", 0);
	return py;
}

void fake_python_destroy(struct fake_python *py)
{
	struct block *b = py->blocks;

	while (b) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
	free(py);
}

struct cprof_roots fake_roots(const struct fake_python *py)
{
	const struct cprof_layout *lay = py->lay;
	uintptr_t runtime = fake_address(py->runtime);

	return (struct cprof_roots){
		.interpreters = runtime + lay->runtime.interpreters_head,
		.current = lay->runtime.tstate_current
				   ? runtime + lay->runtime.tstate_current
				   : 0,
		.code_type = fake_address(py->code_type),
		.function_type = fake_address(py->function_type),
		.method_type = fake_address(py->method_type),
		.type_type = fake_address(py->type_type),
	};
}

char *fake_interp(struct fake_python *py)
{
	char *interp = fake_alloc(py, py->lay->interp.threads_head + 8U);
	size_t head = py->lay->runtime.interpreters_head;

	fake_store(interp, py->lay->interp.next, fake_load(py->runtime, head));
	fake_store(py->runtime, head, fake_address(interp));
	return interp;
}

static char *new_chunk(struct fake_thread *t)
{
	const struct cprof_layout *lay = t->py->lay;
	char *chunk = fake_alloc(t->py, t->chunk_bytes);

	fake_store(chunk, lay->chunk.previous, fake_address(t->chunk));
	fake_store(chunk, lay->chunk.size, t->chunk_bytes);
	return chunk;
}

struct fake_thread *fake_thread(
	struct fake_python *py, char *interp, uint64_t id, int32_t tid)
{
	const struct cprof_layout *lay = py->lay;
	struct fake_thread *t = fake_alloc(py, sizeof(*t));
	uint64_t next = fake_load(interp, lay->interp.threads_head);

	t->py = py;
	t->chunk_bytes = 16 << 10;
	t->state = fake_alloc(py, lay->thread.size + 64U);
	t->cframe = fake_alloc(py, lay->cframe.size + 16U);
	fake_store(t->state, lay->thread.id, id);
	fake_store(t->state, lay->thread.interp, fake_address(interp));
	if (lay->thread.native_thread_id)
		fake_store(
			t->state, lay->thread.native_thread_id, (uint64_t)tid);
	if (lay->cframe.size)
		fake_store(
			t->state, lay->thread.cframe, fake_address(t->cframe));
	if (lay->chunk.data) {
		t->chunk = new_chunk(t);
		fake_store(t->state, lay->thread.datastack_chunk,
			fake_address(t->chunk));
		fake_store(t->state, lay->thread.datastack_top,
			fake_address(t->chunk) + lay->chunk.data);
	}
	fake_store(t->state, lay->thread.next, next);
	if (next)
		fake_store((void *)(uintptr_t)next, lay->thread.prev,
			fake_address(t->state));
	fake_store(interp, lay->interp.threads_head, fake_address(t->state));
	return t;
}

void fake_thread_unlink(struct fake_thread *t)
{
	const struct cprof_layout *lay = t->py->lay;
	uint64_t next = fake_load(t->state, lay->thread.next);
	uint64_t prev = fake_load(t->state, lay->thread.prev);
	uint64_t interp = fake_load(t->state, lay->thread.interp);

	if (prev)
		fake_store((void *)(uintptr_t)prev, lay->thread.next, next);
	else
		fake_store((void *)(uintptr_t)interp, lay->interp.threads_head,
			next);
	if (next)
		fake_store((void *)(uintptr_t)next, lay->thread.prev, prev);
}

struct cprof_thread_ref fake_ref(const struct fake_thread *t)
{
	const struct cprof_layout *lay = t->py->lay;
	uint64_t interp = fake_load(t->state, lay->thread.interp);

	return (struct cprof_thread_ref){ .state = fake_address(t->state),
		.interp = interp,
		.link = interp + lay->interp.threads_head,
		.id = fake_load(t->state, lay->thread.id) };
}

char *fake_str_of(struct fake_python *py, unsigned int kind, unsigned int flags,
	const void *data, size_t length)
{
	const struct cprof_layout *lay = py->lay;
	size_t offset = flags & FAKE_ASCII ? lay->str.ascii_data
					   : lay->str.compact_data;
	char *str = fake_alloc(py, offset + (length + 1) * kind);

	fake_store(str, lay->str.length, length);
	/* The upper bits are whatever was there before. */
	store_u32(str, lay->str.state,
		0xabcdef00u | (kind | flags) << lay->str.kind_shift);
	memcpy(str + offset, data, length * kind);
	return str;
}

char *fake_str(struct fake_python *py, const char *ascii)
{
	return fake_str_of(
		py, 1, FAKE_COMPACT | FAKE_ASCII, ascii, strlen(ascii));
}

char *fake_bytes(struct fake_python *py, const void *data, size_t len)
{
	char *bytes = fake_alloc(py, py->lay->bytes.data + len + 1);

	fake_store(bytes, py->lay->bytes.ob_size, len);
	memcpy(bytes + py->lay->bytes.data, data, len);
	return bytes;
}

size_t fake_code_bytes(const struct fake_python *py)
{
	return py->lay->code.size + 256U;
}

void fake_code_renumber(struct fake_python *py, void *at)
{
	if (py->lay->code.version)
		store_u32(at, py->lay->code.version, ++py->code_version);
}

void fake_code_at(struct fake_python *py, void *at, struct fake_code_is is)
{
	/* Sixteen units, all on the first line. */
	static const uint8_t lines[] = { 0x80 | 13 << 3 | 7, 0,
		0x80 | 13 << 3 | 7, 0 };
	const struct cprof_layout *lay = py->lay;

	if (!is.name_str)
		is.name_str = fake_str(py, is.name ? is.name : "f");
	if (!is.file_str)
		is.file_str = fake_str(py, is.file ? is.file : "file.py");
	if (!is.lines)
		is.lines = fake_bytes(py, lines, sizeof(lines));
	if (!is.size)
		is.size = 16;
	fake_store(at, lay->code.ob_type, fake_address(py->code_type));
	fake_store(at, lay->code.filename, fake_address(is.file_str));
	fake_store(at, lay->code.name, fake_address(is.name_str));
	fake_store(at, lay->code.linetable, fake_address(is.lines));
	store_u32(at, lay->code.firstlineno, (uint32_t)is.first_line);
	if (!lay->code.ob_size)
		return;
	fake_store(at, lay->code.ob_size, is.size);
	store_u32(at, lay->code.firsttraceable, is.first_traceable);
	fake_code_renumber(py, at);
}

char *fake_code(struct fake_python *py, struct fake_code_is is)
{
	char *code = fake_alloc(py, fake_code_bytes(py));

	fake_code_at(py, code, is);
	return code;
}

char *fake_function(struct fake_python *py, const char *name)
{
	return fake_code(
		py, (struct fake_code_is){ .name = name, .first_line = 7 });
}

static char *fake_c_string(struct fake_python *py, const char *text)
{
	char *at = fake_alloc(py, strlen(text) + 1);

	memcpy(at, text, strlen(text) + 1);
	return at;
}

/* A PyMethodDef begins with the name. */
static uint64_t fake_def(struct fake_python *py, const char *name)
{
	char *def = fake_alloc(py, 32);

	fake_store(def, 0, fake_address(fake_c_string(py, name)));
	return fake_address(def);
}

char *fake_object(struct fake_python *py, const char *type)
{
	char *object = fake_alloc(py, 256);

	fake_store(object, py->lay->code.ob_type, fake_address(type));
	return object;
}

char *fake_c_function(struct fake_python *py, const char *name,
	const char *module, const char *self)
{
	char *f = fake_object(py, py->function_type);

	fake_store(f, py->lay->function.m_ml, fake_def(py, name));
	fake_store(f, py->lay->function.m_self, fake_address(self));
	fake_store(f, py->lay->function.m_module, fake_address(module));
	return f;
}

char *fake_c_method(struct fake_python *py, const char *name, const char *type)
{
	char *m = fake_object(py, py->method_type);

	fake_store(m, py->lay->method.d_type, fake_address(type));
	fake_store(m, py->lay->method.d_method, fake_def(py, name));
	return m;
}

char *fake_type(struct fake_python *py, const char *name, uint64_t flags)
{
	char *type = fake_object(py, py->type_type);

	fake_store(type, py->lay->type.tp_name,
		fake_address(fake_c_string(py, name)));
	fake_store(type, py->lay->type.tp_flags, flags);
	return type;
}

/* An instruction with this effect and these flags (cpython/sites.c). */
static uint8_t fake_opcode(
	const struct fake_python *py, int8_t effect, uint8_t flags)
{
	const struct cprof_opcode *op = cprof_opcodes(py->lay->version);
	unsigned int i = 1;

	CHECK(op);
	while (i < 256 && (op[i].effect != effect || op[i].flags != flags))
		i++;
	CHECK(i < 256);
	return (uint8_t)i;
}

char *fake_calling(struct fake_python *py, const char *name)
{
	char *code = fake_function(py, name);
	uint8_t *at = (uint8_t *)code + py->lay->code.code_adaptive;
	uint8_t push = fake_opcode(py, 1, 1), call = fake_opcode(py, -1, 1 | 2);

	store_u32(code, py->lay->code.nlocalsplus, 2);
	store_u32(code, py->lay->code.stacksize, 2);
	at[0] = push;
	at[2] = push;
	at[2 * FAKE_CALL] = call;
	at += 2 *
	      (FAKE_CALL + 1 + cprof_opcodes(py->lay->version)[call].caches);
	at[0] = fake_opcode(py, -1, 1 | 16);
	return code;
}

void fake_call(struct fake_python *py, char *frame, const char *callee)
{
	size_t at = py->lay->frame.size + 2 * sizeof(uint64_t);

	fake_instr(py, frame,
		(char *)(uintptr_t)fake_load(frame, py->lay->frame.code),
		FAKE_CALL);
	fake_store(frame, at, 0);
	fake_store(frame, at + 8, fake_address(callee));
	if (py->lay->frame.stackpointer)
		fake_store(frame, py->lay->frame.stackpointer,
			fake_address(frame) + at + 16);
}

void fake_instr(
	struct fake_python *py, char *frame, const char *code, int index)
{
	const struct cprof_layout *lay = py->lay;

	if (lay->position == CPROF_POSITION_POINTER)
		fake_store(frame, lay->frame.instr,
			fake_address(code) + lay->code.code_adaptive +
				(uint64_t)(int64_t)(2 * index));
	else
		store_u32(frame, lay->frame.instr,
			(uint32_t)(lay->position == CPROF_POSITION_BYTES
					   ? 2 * index
					   : index));
}

void fake_frame_at(struct fake_python *py, char *frame, const char *code,
	int index, const char *previous, uint8_t owner)
{
	const struct cprof_layout *lay = py->lay;

	fake_store(frame, lay->frame.code, fake_address(code));
	fake_store(frame, lay->frame.previous, fake_address(previous));
	fake_instr(py, frame, code, index);
	if (lay->frame.owner)
		__atomic_store_n((uint8_t *)frame + lay->frame.owner, owner,
			__ATOMIC_RELEASE);
	else
		fake_store(frame, lay->frame.f_gen, owner ? 4096 : 0);
	if (lay->frame.state)
		frame[lay->frame.state] = (char)lay->frame.executing;
}

char *fake_leaf(const struct fake_thread *t)
{
	const struct cprof_layout *lay = t->py->lay;

	return (char *)(uintptr_t)(lay->cframe.size
					   ? fake_load(t->cframe,
						     lay->cframe.current_frame)
					   : fake_load(t->state,
						     lay->thread
							     .current_frame));
}

void fake_set_leaf(struct fake_thread *t, const char *frame)
{
	const struct cprof_layout *lay = t->py->lay;

	if (lay->cframe.size)
		fake_store(t->cframe, lay->cframe.current_frame,
			fake_address(frame));
	else
		fake_store(t->state, lay->thread.current_frame,
			fake_address(frame));
}

char *fake_push(struct fake_thread *t, const char *code, int index)
{
	const struct cprof_layout *lay = t->py->lay;
	char *top, *chunk;

	if (!lay->chunk.data) {
		top = fake_alloc(t->py, FRAME_BYTES + 64);
		fake_frame_at(t->py, top, code, index, fake_leaf(t), 0);
		fake_set_leaf(t, top);
		return top;
	}
	top = (char *)(uintptr_t)fake_load(t->state, lay->thread.datastack_top);
	if (top + FRAME_BYTES >
		t->chunk + fake_load(t->chunk, lay->chunk.size)) {
		fake_store(t->chunk, lay->chunk.top,
			(uint64_t)(top - t->chunk - lay->chunk.data) / 8);
		chunk = new_chunk(t);
		t->chunk = chunk;
		fake_store(t->state, lay->thread.datastack_chunk,
			fake_address(chunk));
		top = chunk + lay->chunk.data;
	}
	fake_store(t->state, lay->thread.datastack_top,
		fake_address(top + FRAME_BYTES));
	fake_frame_at(t->py, top, code, index, fake_leaf(t), 0);
	fake_set_leaf(t, top);
	return top;
}

void fake_pop(struct fake_thread *t)
{
	const struct cprof_layout *lay = t->py->lay;
	char *frame = fake_leaf(t);

	fake_set_leaf(
		t, (char *)(uintptr_t)fake_load(frame, lay->frame.previous));
	if (!lay->chunk.data)
		return;
	fake_store(t->state, lay->thread.datastack_top, fake_address(frame));
	if (frame == t->chunk + lay->chunk.data &&
		fake_load(t->chunk, lay->chunk.previous)) {
		t->chunk = (char *)(uintptr_t)fake_load(
			t->chunk, lay->chunk.previous);
		fake_store(t->state, lay->thread.datastack_chunk,
			fake_address(t->chunk));
		fake_store(t->state, lay->thread.datastack_top,
			fake_address(t->chunk) + lay->chunk.data +
				8 * fake_load(t->chunk, lay->chunk.top));
	}
}
