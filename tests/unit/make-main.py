"""Write the main() of a unit test: the tests of one u-*.c file, by name.

Usage: make-main.py u-module.c > main.c
The program made runs the test that its argument names, or all.
"""

import re
import sys


def tests_in(path):
    """Names of the test functions defined in the C file `path`, in order."""
    with open(path, encoding="utf-8") as f:
        return re.findall(r"^void (test_\w+)\(void\)", f.read(), re.MULTILINE)


if __name__ == "__main__":
    names = tests_in(sys.argv[1])
    print("#include <stdio.h>\n#include <string.h>\n")
    for name in names:
        print("void %s(void);" % name)
    print("\nint main(int argc, char **argv)\n{\n\tint ran = 0;\n")
    for name in names:
        print('\tif (argc < 2 || !strcmp(argv[1], "%s")) {' % name)
        print("\t\t%s();\n\t\tran++;\n\t}" % name)
    print('\tif (!ran)\n\t\tfprintf(stderr, "no such test\\n");')
    print("\treturn ran ? 0 : 2;\n}")
