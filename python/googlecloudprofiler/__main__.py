"""python -m googlecloudprofiler"""

import sys

from googlecloudprofiler._cli import main

sys.exit(main(sys.argv[1:]))
