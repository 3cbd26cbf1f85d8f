"""The faults of :mod:`mutants`: each is one line that a plausible slip would make."""

from typing import NamedTuple


class Fault(NamedTuple):
    """What ``old``, which stands once in ``file``, becomes, and which tests should notice."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


FAULTS = (
    Fault(
        "the last token of a span is left out",
        "nerlab/tags.py",
        "spans.append(Span(start, position, previous[1]))",
        "spans.append(Span(start, position - 1, previous[1]))",
        ("tests/test_tags.py",),
    ),
    Fault(
        "a span goes on though its label changes",
        "nerlab/tags.py",
        'current[0] in ("I", "E") and current[1] == previous[1]',
        'current[0] in ("I", "E")',
        ("tests/test_tags.py",),
    ),
    Fault(
        "IOB1 is taken for IOB2",
        "nerlab/tags.py",
        '"iob1": "IIII",',
        '"iob1": "BIIB",',
        ("tests/test_tags.py",),
    ),
    Fault(
        "the constraints of IOBES are transposed",
        "nerlab/tags.py",
        "inside = opens[:, None] & (labels[:, None] == labels)",
        "inside = opens & (labels[:, None] == labels)",
        ("tests/test_tags.py",),
    ),
    Fault(
        "a clitic begins one character late",
        "nerlab/text.py",
        "            start = clitic.start()\n",
        "            start = clitic.start() + 1\n",
        ("tests/test_text.py",),
    ),
    Fault(
        "the character CNN takes the maximum over padding too",
        "nerlab/modules/character_cnn.py",
        "[left, 0] = -torch.inf",
        "[left, 0] = 0.0",
        ("tests/modules/test_character_cnn.py",),
    ),
    Fault(
        "the backward LSTM reads from the end of the batch, not of the sentence",
        "nerlab/modules/lstm.py",
        "lengths[:, None] - 1 - steps",
        "T - 1 - steps",
        ("tests/modules/test_encoders.py",),
    ),
    Fault(
        "dropout is active in evaluation",
        "nerlab/modules/dropout.py",
        "if not self.training or self.p == 0.0:",
        "if self.p == 0.0:",
        ("tests/modules/test_dropout.py",),
    ),
    Fault(
        "dropout does not scale what it keeps",
        "nerlab/modules/dropout.py",
        "keep / (1.0 - self.p)",
        "keep",
        ("tests/modules/test_dropout.py",),
    ),
    Fault(
        "F1 is the Jaccard index",
        "nerlab/evaluation/spans.py",
        "2 * correct / (gold + predicted) if",
        "correct / (gold + predicted - correct) if",
        ("tests/evaluation/test_spans.py",),
    ),
    Fault(
        "labels are ignored when spans are compared",
        "nerlab/evaluation/spans.py",
        "span.label for span in gold & predicted)",
        "p.label for p in predicted if any(p[:2] == g[:2] for g in gold))",
        ("tests/evaluation/test_spans.py",),
    ),
    Fault(
        "a file takes its place before it is on the disk",
        "nerlab/files.py",
        "            yield part\n            sync(part)\n",
        "            yield part\n",
        ("tests/test_files.py",),
    ),
    Fault(
        "a lock that another process holds is passed over",
        "nerlab/files.py",
        "if not lock_descriptor(descriptor, blocking=False):",
        "if lock_descriptor(descriptor, blocking=False) is None:",
        ("tests/test_files.py",),
    ),
)
