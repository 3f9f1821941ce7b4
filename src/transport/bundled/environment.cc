#include "src/core/util/env.h"

/*
 * Core asks here for the environment, and finds none: GRPC_* is meant for the
 * program's own gRPC, and proxy, certificates and credentials are decided
 * elsewhere. And what is there is the program's: nothing in core has a reason
 * to change it.
 */
namespace grpc_core
{

std::optional<std::string> GetEnv(const char *)
{
	return std::nullopt;
}

void SetEnv(const char *, const char *)
{
}

void UnsetEnv(const char *)
{
}

} /* namespace grpc_core */
