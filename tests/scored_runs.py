"""Folders of runs that were scored, written without training anything."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from nerlab.evaluation.files import write_report
from nerlab.evaluation.report import Report
from nerlab.tags import Span, tags_of

LABELS = ("PER", "LOC")


def sentences(number: int, seed: int = 0) -> list[tuple[list[str], list[Span]]]:
    """Sentences of five to twelve words with up to three entities each."""
    draw = random.Random(seed)
    found = []
    for index in range(number):
        tokens = [f"w{index}.{i}" for i in range(draw.randint(5, 12))]
        starts = sorted(draw.sample(range(0, len(tokens) - 1, 2), draw.randint(0, 2)))
        found.append(
            (tokens, [Span(s, s + draw.randint(1, 2), draw.choice(LABELS)) for s in starts])
        )
    return found


def write_run(
    folder: Path,
    data: Sequence[tuple[Sequence[str], Sequence[Span]]],
    seed: int = 1,
    skill: float = 0.8,
    settings: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    split: str = "dev",
    sha256: str = "0" * 64,
) -> Path:
    """A run that finds each entity with probability ``skill``, else gives it the other label."""
    draw = random.Random(f"{seed} {skill}")
    gold, predicted, scores = [], [], []
    for tokens, spans in data:
        right = [draw.random() < skill for _ in spans]
        other = [s._replace(label=LABELS[s.label == LABELS[0]]) for s in spans]
        found = [a if ok else b for a, b, ok in zip(spans, other, right, strict=True)]
        gold.append(tags_of(spans, len(tokens)))
        predicted.append(tags_of(found, len(tokens)))
        scores.append([0.5] * len(found))
    words = [tokens for tokens, _ in data]
    documents = [None] * len(words)
    report = Report(split, words, gold, predicted, LABELS, scores, documents, sha256)
    (folder / "evaluation" / split).mkdir(parents=True, exist_ok=True)
    write_report(report, folder / "evaluation" / split)
    config = OmegaConf.create(
        {"model": {"encoder": {"dim": 1}}, "data": {"dir": "d"}, "trainer": {"decode_tokens": 10}}
    )
    for key, value in {"seed": seed, "run.root": str(folder), **(settings or {})}.items():
        OmegaConf.update(config, key, value, force_add=True)
    OmegaConf.save(config, folder / "config.yaml")
    splits = {name: {"sha256": name} for name in ("train", "dev")}
    facts = {"command": ["python", "train.py", *command], "splits": splits}
    (folder / "run.json").write_text(json.dumps(facts))
    return folder
