# json-c, from the distribution's archive where there is one that a shared object
# can be made of: then nothing more is needed at run time.
pkg_check_modules(JSON_C REQUIRED IMPORTED_TARGET json-c>=0.15)
set(json_c)
cprof_archives(json_c json_tokener_new_ex json-c)

add_library(cprof_json INTERFACE)
if(json_c)
    # The pkg-config file names the folder json-c itself; ours is above it.
    target_include_directories(cprof_json SYSTEM INTERFACE
        ${JSON_C_INCLUDEDIR})
    target_link_libraries(cprof_json INTERFACE ${json_c})
else()
    target_link_libraries(cprof_json INTERFACE PkgConfig::JSON_C)
endif()
