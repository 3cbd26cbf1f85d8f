"""The same bits each time on a GPU too, where that is asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic_algorithms() -> Iterator[None]:
    """Within the block equal input gives equal bits on a GPU too.

    cuBLAS reads its setting when it is first used, so this has to come before anything is computed
    on the GPU.

    Raises:
        ValueError: an operation within the block has no such algorithm.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # those of cuDNN too
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"trainer.deterministic=true: not possible here: {reason}") from error
    finally:
        torch.use_deterministic_algorithms(before)
