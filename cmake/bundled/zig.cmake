# A toolchain: zig for CPROF_TARGET, a triple of zig's own.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CPROF_ZIG CPROF_TARGET)
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "${CPROF_TARGET}")
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${CPROF_ZIG} cc -target ${CPROF_TARGET})
set(CMAKE_CXX_COMPILER ${CPROF_ZIG} c++ -target ${CPROF_TARGET})
# One program is all of them: ar is its second word, which CMAKE_AR cannot say.
set(CMAKE_AR ${CPROF_ZIG})
foreach(language C CXX)
    set(CMAKE_${language}_ARCHIVE_CREATE
        "<CMAKE_AR> ar qcs <TARGET> <LINK_FLAGS> <OBJECTS>")
    set(CMAKE_${language}_ARCHIVE_APPEND
        "<CMAKE_AR> ar qs <TARGET> <LINK_FLAGS> <OBJECTS>")
    set(CMAKE_${language}_ARCHIVE_FINISH "")
endforeach()
# Of the machine that builds, nothing is wanted.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
