from stand_in import native

__all__ = ["native"]
