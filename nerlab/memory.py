"""Work that may not fit into memory."""

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

# What allocators and libraries say where torch has no exception of its own for it.
_SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "could not create a primitive",  # oneDNN, which has no better word for it
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)


def if_it_fits(work: Callable[[], Result]) -> Result | None:
    """What ``work`` returns, or None if memory did not suffice for it.

    What it held is free again when this returns, so that less can be tried.
    """
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Only here is the traceback gone, and with it the tensors that its frames held.
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice, on the host or on a GPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
