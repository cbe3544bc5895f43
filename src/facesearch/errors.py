"""Everything that can go wrong, as one tree: the message a person reads and the exit code.

A message is one line: what is wrong, with the path, then what to do next.
"""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_FACE = 3
EXIT_DIFFERENT = 4
EXIT_INTERRUPTED = 130


class FacesearchError(Exception):
    """Root of all errors that facesearch raises on purpose; ``str(error)`` is for people."""

    exit_code = EXIT_FAILED


class UsageError(FacesearchError):
    """The command or call asks for something that cannot be meant."""

    exit_code = EXIT_USAGE


class PhotoError(FacesearchError):
    """A photo could not be read. ``reason`` is one of ``records.REASONS``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["PhotoError"], tuple[str, str]]:
        return type(self), (self.reason, str(self))


class NoFaceError(FacesearchError):
    """No face was found where one is needed."""

    exit_code = EXIT_NO_FACE


class StoreError(FacesearchError):
    """The store is missing, broken, foreign, too new, or cannot be written."""


class StoreMissingError(StoreError):
    """There is no store at the path."""


class StoreLockedError(StoreError):
    """The store is encrypted, and its passphrase is missing or wrong."""


class StoreTooNewError(StoreError):
    """The store was made by a newer version, whose format this one does not know."""


class StoreBusyError(StoreError):
    """Another process holds the store for writing."""


class RecipeMismatchError(FacesearchError):
    """What is asked for and what the store holds were made in different ways."""


class WeightsError(FacesearchError):
    """Model weights are missing, damaged, or cannot be downloaded."""


class DatasetError(FacesearchError):
    """A data set's folder or file is missing or is not laid out as it should be."""


class DeviceError(FacesearchError):
    """The device that was asked for is not there."""


class ModelError(FacesearchError):
    """A network failed; reported as itself, never as a photo without faces."""


class ClusterError(FacesearchError):
    """A cluster cannot be reached, lacks what the work needs, or could not go on with it."""


class InterruptedRunError(FacesearchError):
    """The run was stopped by the user; what was committed is kept."""

    exit_code = EXIT_INTERRUPTED
