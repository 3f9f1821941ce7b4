#include "src/core/config/core_configuration.h"

/*
 * What core registers by name when it starts and we have no use for: balancing
 * by grpclb, resolving for tests, and what comes with xDS.
 */
namespace grpc_core
{

void RegisterExtraFilters(CoreConfiguration::Builder *);
void RegisterFakeResolver(CoreConfiguration::Builder *);
void RegisterGrpcLbPolicy(CoreConfiguration::Builder *);

void RegisterExtraFilters(CoreConfiguration::Builder *)
{
}

void RegisterFakeResolver(CoreConfiguration::Builder *)
{
}

void RegisterGrpcLbPolicy(CoreConfiguration::Builder *)
{
}

} /* namespace grpc_core */
