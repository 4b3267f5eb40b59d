"""The boundary of taking bundles in: whatever foreign files make the code here raise is a refusal in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from imaging.errors import RadgateError
from monai_bundles.errors import UnreadableBundle

__all__ = ["refusing"]


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what is raised meanwhile into an error of bundles.

    Raises
    ------
    RadgateError
        As it was raised.
    UnreadableBundle
        Anything else was.
    """
    try:
        yield
    except RadgateError:
        raise
    except OSError as error:
        raise UnreadableBundle(
            f"The bundle's files cannot be read or copied ({error.strerror or type(error).__name__}); correct that and "
            "try again.",
            kind=type(error).__name__,
            errno=error.errno,
        ) from error
    except Exception as error:
        # A bundle is foreign data of any shape; one that no rule foresaw is refused like the others.
        raise UnreadableBundle(
            f"The bundle's files cannot be understood ({type(error).__name__}); restore them from their source, and "
            "report it if they are as they came.",
            kind=type(error).__name__,
        ) from error
