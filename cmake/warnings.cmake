# How our own sources are compiled: warnings, sanitizers, hardening. Generated
# and foreign code does not go through here.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)

if(CPROF_SANITIZE)
    add_compile_options(-fsanitize=${CPROF_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${CPROF_SANITIZE})
else()
    add_compile_options(-ffunction-sections -fdata-sections)
    add_link_options(LINKER:--gc-sections LINKER:-z,relro LINKER:-z,now)
endif()

function(cprof_warnings target)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wundef -Wconversion
        $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
        $<$<CONFIG:Release>:-fstack-protector-strong>
        $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>
        $<$<BOOL:${CPROF_WERROR}>:-Werror>)
endfunction()
