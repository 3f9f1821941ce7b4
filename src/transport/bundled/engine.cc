#include "src/core/lib/event_engine/default_event_engine_factory.h"
#include "src/core/lib/event_engine/posix_engine/posix_engine.h"

namespace grpc_event_engine::experimental
{

/*
 * Core would take a thread for each CPU, up to 16. To connect takes three at
 * once; with fewer it waits a second for each that is missing.
 */
static const int threads = 4;

std::shared_ptr<EventEngine> DefaultEventEngineFactory()
{
	PosixEventEngine::Options options;

	options.reserve_threads = threads;
	options.connection_shards = 1;
	return PosixEventEngine::MakePosixEventEngine(options);
}

} /* namespace grpc_event_engine::experimental */
