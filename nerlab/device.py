"""Where tensors are computed."""

import torch


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; else any name that torch knows, ``cuda:1`` say.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={name}: not to be had here ({reason}); set device=auto") from None
    return device
