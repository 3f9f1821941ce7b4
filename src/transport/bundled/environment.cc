#include "src/core/util/env.h"

#include <cstdlib>
#include <cstring>

/*
 * Core asks here for the environment. GRPC_* is meant for the program's own
 * gRPC, and the proxy is decided elsewhere. What is left is what requests for
 * tokens have no other way to: AWS's names, where external accounts find what
 * they exchange, and the CA certificates. And what is there is the program's:
 * nothing in core has a reason to change it.
 */
namespace grpc_core
{

static bool is_for_tokens(const char *name)
{
	return !std::strncmp(name, "AWS_", 4) ||
	       !std::strcmp(name, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH");
}

std::optional<std::string> GetEnv(const char *name)
{
	const char *value = is_for_tokens(name) ? secure_getenv(name) : nullptr;

	if (!value)
		return std::nullopt;
	return value;
}

void SetEnv(const char *, const char *)
{
}

void UnsetEnv(const char *)
{
}

} /* namespace grpc_core */
