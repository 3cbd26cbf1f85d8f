"""Words of messages."""


def counted(number: int, noun: str) -> str:
    """A number with its noun, whose plural ends in s.

    >>> counted(1, "epoch"), counted(1200, "epoch")
    ('1 epoch', '1,200 epochs')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"
