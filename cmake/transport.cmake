# Where _transport.so comes from, which holds gRPC core: built here over the
# distribution's core, or with all of it inside by scripts/build-transport, or given.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
set(CPROF_BUNDLED_TRANSPORT "" CACHE STRING
    "A _transport.so to install, or ON to build one with everything inside; when \
empty, that is done where pkg-config finds no gRPC core")
if(NOT CPROF_BUNDLED_TRANSPORT)
    pkg_check_modules(GRPC IMPORTED_TARGET grpc>=29)
endif()
if(GRPC_FOUND AND NOT CPROF_BUNDLED_TRANSPORT)
    include(cmake/transport-of-system.cmake)
    install(TARGETS _transport LIBRARY DESTINATION googlecloudprofiler)
else()
    include(cmake/transport-of-bundle.cmake)
    install(FILES $<TARGET_FILE:_transport> DESTINATION googlecloudprofiler)
endif()
