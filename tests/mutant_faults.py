"""The faults of :mod:`mutants`: each is one line that a plausible slip would make."""

from typing import NamedTuple


class Fault(NamedTuple):
    """What ``old``, which stands once in ``file``, becomes, and which tests should notice."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


CHAIN = ("tests/modules/test_linear_chain.py", "tests/modules/test_linear_chain_exactness.py")

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
    Fault(
        "the likelihood of a path counts emissions beyond its end",
        "nerlab/modules/linear_chain/chain.py",
        "torch.where(self.mask, unary.double(), 0.0).sum(-1)",
        "unary.double().sum(-1)",
        CHAIN,
    ),
    Fault(
        "a path is scored with the transitions transposed",
        "nerlab/modules/linear_chain/chain.py",
        "taken = tags[..., :-1] * K + tags[..., 1:]",
        "taken = tags[..., 1:] * K + tags[..., :-1]",
        CHAIN,
    ),
    Fault(
        "start and end are swapped in the score of a path",
        "nerlab/modules/linear_chain/chain.py",
        "return self.start.double()[tags[..., 0]] + unary + pairs + self.end.double()[last]",
        "return self.end.double()[tags[..., 0]] + unary + pairs + self.start.double()[last]",
        CHAIN,
    ),
    Fault(
        "the gradient of the end is that of the last token of the batch",
        "nerlab/modules/linear_chain/chain.py",
        "device=unary.device), chain.lengths - 1]",
        "device=unary.device), -1]",
        CHAIN,
    ),
    Fault(
        "marginals go on beyond the end of a sentence",
        "nerlab/modules/linear_chain/distribution.py",
        "return probabilities.masked_fill(~self.mask[..., None], 0.0)",
        "return probabilities",
        CHAIN,
    ),
    Fault(
        "what begins a span is not given what stands before it",
        "nerlab/inference/predictor.py",
        "marginal[span.start] + conditional[span.start + 1 : span.end].sum()",
        "marginal[span.start : span.end].sum()",
        ("tests/inference/test_predictor.py",),
    ),
    Fault(
        "an entity ends where its last token begins",
        "nerlab/inference/predictor.py",
        "tokens[span.start].start, tokens[span.end - 1].end",
        "tokens[span.start].start, tokens[span.end - 1].start",
        ("tests/inference/test_predictor.py",),
    ),
    Fault(
        "sentences come back in the order of their lengths",
        "nerlab/inference/predictor.py",
        "results[index] = TaggedSentence(",
        "results[row] = TaggedSentence(",
        ("tests/inference/test_predictor.py",),
    ),
    Fault(
        "all texts are one document",
        "nerlab/inference/predictor.py",
        '{"line": index, "file": 0, "none": None}',
        '{"line": 0, "file": 0, "none": None}',
        ("tests/inference/test_predictor.py",),
    ),
    Fault(
        "a file without a newline at its end loses its last sentence",
        "nerlab/data/readers/conll.py",
        "    if tokens:\n        yield Sentence(tokens, tags, document, start)\n    elif",
        "    if tokens and not found:\n        yield Sentence(tokens, tags, document, start)\n"
        "    elif",
        ("tests/data/test_conll_reader.py",),
    ),
    Fault(
        "spans that touch count as overlapping",
        "nerlab/data/readers/alignment.py",
        "spans[index - 1].end <= span.start)",
        "spans[index - 1].end < span.start)",
        ("tests/data/test_alignment.py",),
    ),
    Fault(
        "illegal tags pass unless they are to be repaired",
        "nerlab/data/build.py",
        "if len(illegal) and not repair:",
        "if len(illegal) and repair:",
        ("tests/data/test_build.py",),
    ),
    Fault(
        "the rest of the last chunk of sentences is lost",
        "nerlab/data/build.py",
        "    if chunk:\n        yield chunk\n",
        "    if tokens >= _CHUNK_TOKENS:\n        yield chunk\n",
        ("tests/data/test_build.py",),
    ),
    Fault(
        "a file that marks no documents is one document",
        "nerlab/data/build.py",
        "[-1 if s.document is None else s.document for s in chunk]",
        "[s.document or 0 for s in chunk]",
        ("tests/data/test_build.py", "tests/data/test_corpus.py"),
    ),
    Fault(
        "equal sentences fall into different splits",
        "nerlab/data/splits.py",
        "[str(seed), *chain",
        "[str(seed), str(document[0].line), *chain",
        ("tests/data/test_splits.py",),
    ),
    Fault(
        "sentences of the test split are read in training",
        "nerlab/data/splits.py",
        'owner == "test" and not with_test else',
        'owner == "test" else',
        ("tests/data/test_splits.py",),
    ),
    Fault(
        "the file of train is read for every split",
        "nerlab/data/load.py",
        "return file_source(data, _path(data, split), trusted)",
        'return file_source(data, _path(data, "train"), trusted)',
        ("tests/data/test_corpus.py",),
    ),
    Fault(
        "a file that changes while it is read is kept in the cache",
        "nerlab/data/load.py",
        "if _states(files) != before:",
        "if _states(files) is before:",
        ("tests/data/test_cache.py",),
    ),
    Fault(
        "an entry of the cache is opened without its checksums",
        "nerlab/data/cache.py",
        'if any(sha256_of(entry / name) != meta["sha256"][name] for name in ARRAYS):',
        'if any(name not in meta["sha256"] for name in ARRAYS):',
        ("tests/data/test_cache.py",),
    ),
    Fault(
        "a source file that has changed is found under its old key",
        "nerlab/data/cache.py",
        "state.update(sha256_of(path).encode())",
        "state.update(str(path).encode())",
        ("tests/data/test_cache.py",),
    ),
    Fault(
        "a download is not held against its checksum",
        "nerlab/data/download.py",
        "{name: sha256}",
        "{name: None}",
        ("tests/data/test_download.py",),
    ),
    Fault(
        "a configuration may name all that a trusted package has imported",
        "nerlab/trust.py",
        "if not f\"{getattr(found, '__module__', '')}.\".startswith(inside):",
        "if not hasattr(found, '__module__'):",
        ("tests/faults/test_untrusted_checkpoint.py", "tests/faults/test_targets.py"),
    ),
    Fault(
        "a configuration may name anything in nerlab",
        "nerlab/trust.py",
        "if target in admitted:",
        "if target in admitted or target.startswith(_NERLAB):",
        ("tests/faults/test_targets.py", "tests/faults/test_untrusted_checkpoint.py"),
    ),
    Fault(
        "half a surrogate pair cannot be written",
        "nerlab/files.py",
        'part.write_text(text, "utf-8", "surrogatepass", "\\n")',
        'part.write_text(text, "utf-8", "strict", "\\n")',
        ("tests/test_files.py", "tests/faults/test_controls.py"),
    ),
)
