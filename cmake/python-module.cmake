# The Python module: by the limited API one file for every Python from 3.6 on;
# for free-threaded Pythons, which have no such thing, a file of their own.
find_package(Python 3.6 REQUIRED COMPONENTS Interpreter)
execute_process(
    COMMAND ${Python_EXECUTABLE} -c
        "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
    OUTPUT_VARIABLE CPROF_FREE_THREADED
    OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)

function(cprof_python_module name)
    if(CPROF_FREE_THREADED)
        find_package(Python 3.13 REQUIRED
            COMPONENTS Interpreter Development.Module)
        python_add_library(${name} MODULE WITH_SOABI ${ARGN})
        return()
    endif()
    find_package(Python 3.6 REQUIRED
        COMPONENTS Interpreter Development.SABIModule)
    python_add_library(${name} MODULE USE_SABI 3.6 ${ARGN})
    # Some Pythons would put a platform into the name, which others do not find.
    set_target_properties(${name} PROPERTIES SUFFIX .abi3.so)
endfunction()
