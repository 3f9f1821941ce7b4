# Static archives in the place of shared libraries.
include(CheckCSourceCompiles)

# Append to the list <out> the archives of <name>..., if a shared object can be
# made of what <symbol> needs from them.
function(cprof_archives out symbol)
    set(found)
    foreach(name ${ARGN})
        find_file(CPROF_ARCHIVE_${name} lib${name}.a
            HINTS ${grpc_libdir}
            PATHS ${CMAKE_C_IMPLICIT_LINK_DIRECTORIES} NO_CMAKE_PATH)
        mark_as_advanced(CPROF_ARCHIVE_${name})
        if(NOT CPROF_ARCHIVE_${name})
            return()
        endif()
        list(APPEND found ${CPROF_ARCHIVE_${name}})
    endforeach()
    set(CMAKE_REQUIRED_FLAGS -fPIC)
    set(CMAKE_REQUIRED_LINK_OPTIONS -shared)
    set(CMAKE_REQUIRED_LIBRARIES ${found})
    set(CMAKE_REQUIRED_QUIET ON)
    check_c_source_compiles(
        "void ${symbol}(void); void f(void); void f(void) { ${symbol}(); }"
        CPROF_PIC_${symbol})
    if(CPROF_PIC_${symbol})
        set(${out} ${${out}} ${found} PARENT_SCOPE)
    endif()
endfunction()
