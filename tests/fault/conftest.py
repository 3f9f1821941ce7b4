import os
import sys

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e")
)

from fixtures import key_file, launch, service

__all__ = ["key_file", "launch", "service"]
