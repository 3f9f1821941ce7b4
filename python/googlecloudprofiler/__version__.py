"""The version of the package, as the original agent keeps it: in a module."""

__version__ = "5.0.0"
