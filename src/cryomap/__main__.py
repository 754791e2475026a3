"""`python -m cryomap`."""

import os
import signal
import sys


def _stop_at_once(*_: object) -> None:
    # Nothing is open yet, and libraries that are being imported can't take an exception.
    os.write(2, b"stopped; nothing was written\n")
    os._exit(130)


def _open_streams() -> None:
    """Give streams that the caller closed somewhere to go: a file opened next would be taken for one of them."""
    while (handle := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(handle)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _stop_at_once)
    _open_streams()
    from .cli.streams import require_surroundings
    from .errors import InputError

    try:
        require_surroundings()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    from .cli.main import main

    sys.exit(main())
