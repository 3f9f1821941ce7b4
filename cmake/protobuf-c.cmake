# C from protos/, made at build time by protoc-c, as a library of its own: the
# generated code is not ours to warn about.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4.1)
find_program(PROTOC_C protoc-c REQUIRED)

set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${generated})
add_library(cprof_protos STATIC)
foreach(proto cloudprofiler pprof status)
    add_custom_command(
        OUTPUT ${generated}/${proto}.pb-c.c ${generated}/${proto}.pb-c.h
        COMMAND ${PROTOC_C} --c_out=${generated}
                -I${CMAKE_CURRENT_SOURCE_DIR}/protos ${proto}.proto
        DEPENDS protos/${proto}.proto
        VERBATIM)
    target_sources(cprof_protos PRIVATE ${generated}/${proto}.pb-c.c)
endforeach()
target_include_directories(cprof_protos SYSTEM PUBLIC ${generated})
target_link_libraries(cprof_protos PUBLIC PkgConfig::PROTOBUF_C)
