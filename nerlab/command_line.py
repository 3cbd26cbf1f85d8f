"""The frame around the three scripts: every error a user can cause is one line."""

import os
import sys
from collections.abc import Callable


def command(main: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")
        main()

    return run
