# The system build of _transport.so: the distribution's gRPC core. Its archives,
# where they exist and are position-independent, keep core, OpenSSL and c-ares
# private to this one file; abseil and the C++ runtime are shared with the
# process. Without them everything is shared.
pkg_get_variable(grpc_libdir grpc libdir)
include(CheckSymbolExists)

set(archives)
set(openssl)
cprof_archives(archives grpc_ssl_credentials_create
    grpc upb address_sorting gpr)
if(archives)
    cprof_archives(archives ares_library_init cares)
    cprof_archives(openssl OPENSSL_init_ssl ssl crypto)
endif()

add_library(_transport MODULE
    src/transport/address.c
    src/transport/args.c
    src/transport/bearer.c
    src/transport/channel.c
    src/transport/core.c
    src/transport/credentials.c
    src/transport/message.c
    src/transport/server.c
    src/transport/session.c
    src/transport/table.c)
set_target_properties(_transport PROPERTIES PREFIX "" LINKER_LANGUAGE CXX
    LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/transport/exports.map)
target_include_directories(_transport PRIVATE src)
cprof_warnings(_transport)
# What an archive has defined is not looked for in the shared library after it.
target_link_libraries(_transport PRIVATE cprof_base ${archives} ${openssl}
    PkgConfig::GRPC)
target_link_options(_transport PRIVATE
    LINKER:--as-needed
    LINKER:--version-script,${CMAKE_CURRENT_SOURCE_DIR}/src/transport/exports.map
    LINKER:-z,nodelete)
if(archives)
    target_sources(_transport PRIVATE
        src/transport/names.c
        src/transport/random.c)
    target_link_options(_transport PRIVATE
        LINKER:--wrap=pthread_setname_np
        LINKER:--wrap=rand LINKER:--wrap=srand)
endif()
if(openssl)
    target_compile_definitions(_transport PRIVATE CPROF_OPENSSL_IS_PRIVATE)
endif()

set(CMAKE_REQUIRED_LIBRARIES PkgConfig::GRPC)
check_symbol_exists(gpr_set_log_function grpc/support/log.h CPROF_CORE_OWN_LOG)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT CPROF_CORE_OWN_LOG)
    target_sources(_transport PRIVATE src/transport/silence.cc)
    target_compile_definitions(_transport PRIVATE CPROF_CORE_LOGS_BY_ABSEIL)
endif()

list(TRANSFORM archives REPLACE ".*/lib(.*)[.]a" "\\1" OUTPUT_VARIABLE static)
list(TRANSFORM openssl REPLACE ".*/lib(.*)[.]a" "\\1" OUTPUT_VARIABLE private)
list(JOIN static " " static)
list(JOIN private " " private)
message(STATUS "Transport: gRPC core ${GRPC_VERSION}, "
    "from archives: ${static} ${private}")
