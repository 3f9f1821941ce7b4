# The bundled build of _transport.so: a file that is there already, or that
# scripts/build-transport makes, which takes minutes when its cache has nothing.
if(CPROF_BUNDLED_TRANSPORT AND EXISTS "${CPROF_BUNDLED_TRANSPORT}")
    file(REAL_PATH "${CPROF_BUNDLED_TRANSPORT}" file)
elseif(CPROF_BUNDLED_TRANSPORT AND NOT CPROF_BUNDLED_TRANSPORT STREQUAL "ON")
    message(FATAL_ERROR "no transport at '${CPROF_BUNDLED_TRANSPORT}'")
else()
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    execute_process(
        COMMAND ${CMAKE_COMMAND} -E env CMAKE=${CMAKE_COMMAND}
            ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/build-transport
        OUTPUT_VARIABLE file
        OUTPUT_STRIP_TRAILING_WHITESPACE
        COMMAND_ERROR_IS_FATAL ANY)
endif()
add_library(_transport MODULE IMPORTED)
set_target_properties(_transport PROPERTIES IMPORTED_LOCATION ${file})
message(STATUS "Transport: ${file}")
