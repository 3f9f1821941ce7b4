from fixtures import key_file, launch, service

__all__ = ["key_file", "launch", "service"]
