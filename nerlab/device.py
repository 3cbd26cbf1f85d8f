"""Where tensors are computed, and whether always to the same bits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nerlab.config import Precision


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; else any name that torch knows, ``cuda:1`` say.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(name))
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={name}: not to be had here ({reason}); set device=auto") from None
    return device


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The arithmetic of emissions; auto is bf16 on a GPU that has it and fp32 elsewhere.

    It is that of training, of scoring and of prediction alike. What was trained in fp16, which
    GPUs alone have, is computed in fp32 elsewhere.
    """
    on_gpu = device.type == "cuda"
    if precision is Precision.auto:
        return torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float32
    if precision is Precision.bf16:
        return torch.bfloat16
    return torch.float16 if precision is Precision.fp16 and on_gpu else torch.float32


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Within the block, if that is wanted, equal input gives equal bits on a GPU too.

    cuBLAS reads its setting when it is first used, so this has to come before anything is computed
    on the GPU.

    Raises:
        ValueError: an operation within the block has no such algorithm.
    """
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn
    cudnn_before = (cudnn.deterministic, cudnn.benchmark)
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"trainer.deterministic=true: not possible here: {reason}") from error
    finally:
        torch.use_deterministic_algorithms(before)
        cudnn.deterministic, cudnn.benchmark = cudnn_before
