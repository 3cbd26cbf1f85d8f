"""A model that looks at documents: a context of a package of one's own, from training to text."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from conftest import SMALL_MODEL, run_script
from hypothesis import given, settings
from hypothesis import strategies as st

import nerlab
from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.inference.predictor import Predictor, Wanted
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.text import sentences

CONTEXT = """
    import torch
    from torch import Tensor, nn


    class DocumentMean(nn.Module):
        takes_batch = True

        def __init__(self, input_dim: int) -> None:
            super().__init__()
            self.output_dim = 2 * input_dim

        def forward(self, x: Tensor, batch) -> Tensor:
            steps = torch.arange(x.shape[1], device=x.device)
            mask = (steps < batch.lengths[:, None]).to(x.dtype)[..., None]
            sums, counts = (x * mask).sum(dim=1), mask.sum(dim=1)
            if batch.document_ids is not None:
                same = (batch.document_ids[:, None] == batch.document_ids).to(x.dtype)
                sums, counts = same @ sums, same @ counts
            return torch.cat([x, (sums / counts)[:, None].expand_as(x)], dim=2)
"""
NODE = {"_target_": "mylab_documents.context.DocumentMean", "_partial_": True}
LSTM = {
    "_target_": "nerlab.modules.lstm.LSTM",
    "_partial_": True,
    "hidden_dim": 16,
    "layers": 1,
    "dropout": 0.0,
    "bidirectional": True,
}
PARTS = [{"embedder": "words_characters"}, {"decoder": "crf"}, "_self_"]
BEFORE_THE_ENCODER = {"context": NODE, "encoder": LSTM}
BETWEEN_TWO = {"encoder": {"first": LSTM, "mean": NODE, "second": LSTM}}
TOPICS = {"Sports": "ORG", "Travel": "LOC"}
CITIES = ("Rome", "Oslo", "Lima", "Riga")
TEXTS = [f"{topic}.\n{city} was great." for topic in TOPICS for city in CITIES]


def write_corpus(folder: Path) -> None:
    """What a city is stands in another sentence of its document."""
    rng = np.random.default_rng(0)
    for split, number in (("train", 60), ("dev", 20)):
        lines = []
        for _ in range(number):
            topic = str(rng.choice(list(TOPICS)))
            lines.append(f"-DOCSTART- O\n\n{topic} O\n. O\n")
            for city in rng.choice(CITIES, 2):
                lines.append(f"{city} B-{TOPICS[topic]}\nwas O\ngreat O\n. O\n")
        (folder / f"{split}.conll").write_text("\n".join(lines))


def train(folder: Path, model: Mapping[str, object], *keys: str) -> Path:
    small = [
        k
        for k in SMALL_MODEL
        if "encoder" not in k and "test" not in k and "model.dropout" not in k
    ]
    (folder / "conf" / "model").mkdir(parents=True, exist_ok=True)
    node = {"defaults": PARTS, "context": None, "dropout": 0.1, **model}
    (folder / "conf" / "model" / "mine.yaml").write_text(json.dumps(node))
    run = folder / "run"
    arguments = [f"--config-dir={folder / 'conf'}", *small, "model=mine", f"run.dir={run}"]
    result = run_script("train", *arguments, f"data.dir={folder}", "trust=mylab_documents", *keys)
    assert result.status == 0, result.err
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A corpus, and beside it a package with a context; it is found in this process."""
    folder = tmp_path_factory.mktemp("documents")
    write_corpus(folder)
    package = folder / "mylab_documents"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "context.py").write_text(dedent(CONTEXT))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for name in [name for name in sys.modules if name.startswith("mylab_documents")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def document_run(folder: Path) -> Path:
    """A run with the context before the encoder; do not write into it."""
    return train(folder, BEFORE_THE_ENCODER, "trainer.batch_by=document", "trainer.epochs=8")


@pytest.fixture(scope="module")
def checkpoint(document_run: Path) -> Checkpoint:
    return load_checkpoint(document_run, torch.device("cpu"), ("mylab_documents",))


@pytest.fixture(scope="module")
def tagger(document_run: Path) -> Predictor:
    return nerlab.load(document_run, trust="mylab_documents")


def labels(tagger: Predictor, texts: list[str], document: str = "line") -> list[list[str]]:
    return [[entity.label for entity in found] for found in tagger.predict(texts, document)]


def f1(folder: Path) -> float:
    return float(json.loads((folder / "evaluation/dev/metrics.json").read_text())["f1"])


def test_what_stands_in_another_sentence_is_learned_scored_and_predicted(
    document_run: Path, tagger: Predictor, tmp_path: Path
) -> None:
    arguments = [f"checkpoint={document_run}", f"output={tmp_path}", "trust=mylab_documents"]
    result = run_script("evaluate", *arguments)
    assert result.status == 0, result.err
    assert f1(tmp_path) == f1(document_run) == 1
    expected = [[label] for label in TOPICS.values() for _ in CITIES]
    assert labels(tagger, TEXTS) == expected


def test_nothing_leaks_from_one_text_into_another(checkpoint: Checkpoint) -> None:
    """Predictions of a text are the same alone and among others, whatever fits into a batch."""

    @settings(max_examples=20)
    @given(
        texts=st.lists(
            st.sampled_from([*TEXTS, "", "Rome was great.", "Sports. " * 9]), max_size=8
        ),
        chunk=st.integers(1, 40),
        batch_tokens=st.sampled_from([1, 8, 20, 4000]),
    )
    def hold(texts: list[str], chunk: int, batch_tokens: int) -> None:
        tagger = Predictor([checkpoint], chunk, batch_tokens)
        for text, entities in zip(texts, tagger.predict(texts), strict=True):
            (alone,) = tagger.predict([text])
            assert [entity[:4] for entity in entities] == [entity[:4] for entity in alone]
            scores = [[entity.score for entity in of] for of in (entities, alone)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-5)

    hold()


def test_nothing_leaks_from_one_request_into_another(checkpoint: Checkpoint) -> None:
    """Requests that are tagged together have the answers that each has by itself."""

    @settings(max_examples=20)
    @given(
        requests=st.lists(
            st.tuples(
                st.lists(st.sampled_from([*TEXTS, "", "Rome.", "Sports. " * 9]), max_size=4),
                st.sampled_from(["line", "file", "none"]),
            ),
            max_size=4,
        ),
        chunk=st.integers(1, 40),
        batch_tokens=st.sampled_from([1, 8, 20, 4000]),
    )
    def hold(requests: list[tuple[list[str], str]], chunk: int, batch_tokens: int) -> None:
        tagger = Predictor([checkpoint], chunk, batch_tokens)
        pieces, expected = [], []
        for texts, document in requests:
            words = [[[t.text for t in s] for s in sentences(text)] for text in texts]
            pieces += tagger.pieces(words, document)
            expected += [s for _, tagged in tagger.stream(texts, document) for s in tagged]
        found = [s for piece in tagger.tag_pieces(pieces, Wanted()) for s in piece]
        assert [s.tags for s in found] == [s.tags for s in expected]
        scores = [span.score for s in found for span in s.spans]
        alone = [entity.score for s in expected for entity in s.entities]
        assert scores == pytest.approx(alone, abs=1e-5)

    hold()


def test_the_prediction_depends_on_the_other_sentences_of_the_document(tagger: Predictor) -> None:
    texts = ["Rome was great.", "Sports.", "Sports."]
    scores = {}
    for document in ("line", "file", "none"):
        found = tagger.predict(texts, document)
        scores[document] = [(e.label, round(e.score, 4)) for entities in found for e in entities]
    assert scores["line"] == scores["none"] != scores["file"]
    together = tagger.predict(["\n".join(texts)])[0]
    assert [(e.label, round(e.score, 4)) for e in together] == scores["file"]
    apart = tagger.predict(["\n".join(texts)], "none")[0]
    assert [(e.label, round(e.score, 4)) for e in apart] == scores["none"]


def test_predict_py_takes_all_lines_of_a_file_for_one_document(
    document_run: Path, tagger: Predictor, tmp_path: Path
) -> None:
    texts = ["Sports .", "Rome was great .", "Oslo was great ."]
    (tmp_path / "texts").write_text("\n".join(texts))
    arguments = [f"checkpoint={document_run}", f"input={tmp_path / 'texts'}"]
    for document in ("line", "file", "none"):
        keys = [*arguments, f"document={document}", "trust=mylab_documents"]
        result = run_script("predict", *keys)
        assert result.status == 0, result.err
        records = [json.loads(line) for line in result.out.splitlines()]
        found = [[entity["label"] for entity in record["entities"]] for record in records]
        assert found == labels(tagger, texts, document)
    result = run_script("predict", *arguments, "document=page", "trust=mylab_documents")
    assert (result.status, result.out) == (1, "")
    assert result.err == "error: document=page: expected one of line, file, none\n"


def test_all_texts_of_a_file_are_one_document_however_slowly_they_come(tagger: Predictor) -> None:
    texts = ["Sports .", "Rome was great .", "Oslo was great ."]
    slow = tagger.stream(iter(texts), "file", is_ready=lambda: False)
    found = [[e.label for s in tagged for e in s.entities] for _, tagged in slow]
    assert found == labels(tagger, texts, "file") == [[], ["ORG"], ["ORG"]]


def test_a_context_stands_between_two_encoders_and_a_run_with_it_goes_on(folder: Path) -> None:
    other = folder / "between"
    other.mkdir()
    write_corpus(other)
    run = train(other, BETWEEN_TWO, "trainer.batch_by=document", "trainer.epochs=2")
    result = run_script("train", f"resume={run}", "trust=mylab_documents")
    assert result.status == 0, result.err
    assert "the run is finished" in (run / "train.log").read_text()
    checkpoint = load_checkpoint(run, torch.device("cpu"), ("mylab_documents",))
    assert list(checkpoint.tagger.stages) == ["first", "mean", "second"]

    def emissions(*documents: int | None) -> torch.Tensor:
        """Those of the first of two sentences of these documents."""
        pairs = zip(["Rome", "Sports"], documents, strict=True)
        sentences = [Sentence([token], ["O"], document) for token, document in pairs]
        corpus = build_corpus(sentences, "iob2", False, "test")
        batch = Batcher(corpus, checkpoint.vocabulary, False).collate(np.arange(2))
        with torch.inference_mode():
            return checkpoint.tagger.emissions(batch)[0]

    torch.testing.assert_close(emissions(0, 1), emissions(None, None))
    assert not torch.allclose(emissions(0, 0), emissions(0, 1), atol=1e-3)


def test_batches_by_document_need_a_corpus_that_marks_them(folder: Path, tmp_path: Path) -> None:
    for split in ("train", "dev"):
        text = (folder / f"{split}.conll").read_text().replace("-DOCSTART- O\n", "")
        (tmp_path / f"{split}.conll").write_text(text)
    small = [key for key in SMALL_MODEL if "test" not in key]
    arguments = [*small, f"data.dir={tmp_path}", f"run.dir={tmp_path / 'run'}"]
    result = run_script("train", *arguments, "trainer.batch_by=document")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("error: trainer.batch_by=document: the corpus marks no documents;")
    assert not (tmp_path / "run").exists()
