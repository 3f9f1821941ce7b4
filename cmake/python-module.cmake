# The Python module: by the limited API one file for every Python from 3.6 on;
# for free-threaded Pythons, which have no such thing, a file of their own. The
# interpreter itself is asked, since CMake's answers differ when it compiles for
# another machine, as it does for wheels.
find_package(Python 3.6 REQUIRED COMPONENTS Interpreter)

function(cprof_python_config name words)
    execute_process(
        COMMAND ${Python_EXECUTABLE} -c "import sysconfig; print(sysconfig.${words})"
        OUTPUT_VARIABLE value
        OUTPUT_STRIP_TRAILING_WHITESPACE
        COMMAND_ERROR_IS_FATAL ANY)
    set(${name} "${value}" PARENT_SCOPE)
endfunction()

cprof_python_config(CPROF_FREE_THREADED "get_config_var('Py_GIL_DISABLED') or 0")
cprof_python_config(CPROF_PYTHON_HEADERS "get_path('include')")
if(NOT EXISTS "${CPROF_PYTHON_HEADERS}/Python.h")
    message(FATAL_ERROR "There are no headers of ${Python_EXECUTABLE} in "
        "${CPROF_PYTHON_HEADERS}: distributions have them in python3-dev")
endif()

function(cprof_python_module name)
    add_library(${name} MODULE ${ARGN})
    target_include_directories(${name} SYSTEM PRIVATE ${CPROF_PYTHON_HEADERS})
    if(CPROF_FREE_THREADED)
        cprof_python_config(suffix "get_config_var('EXT_SUFFIX')")
    else()
        # Some Pythons would put a platform into the name, which others do not
        # find.
        set(suffix .abi3.so)
        target_compile_definitions(${name} PRIVATE Py_LIMITED_API=0x03060000)
    endif()
    set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX "${suffix}")
endfunction()
