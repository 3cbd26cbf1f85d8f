"""Pieces of tokens, held against those that transformers and sentencepiece make of them."""

import json
import re
import sys
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from published_tokenizers import (
    HARD_STRINGS,
    write_byte_level,
    write_sentencepiece,
    write_wordpiece,
)
from sentencepiece import SentencePieceProcessor

from nerlab.data.vocabulary import Ragged
from nerlab.models.pieces import Tokenizer, index_pieces, load_tokenizer, read_tokenizer

KINDS = ("bert_cased", "bert_uncased", "distilbert", "electra", "roberta", "xlmr")
CLASSES = ("Bert", "Bert", "DistilBert", "Electra", "Roberta", "XLMRoberta")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each family as it was published first, and as transformers saves it today."""
    import transformers

    base = tmp_path_factory.mktemp("tokenizers")
    write_wordpiece(base / "bert_cased", do_lower_case=False, strip_accents=None)
    write_wordpiece(base / "bert_uncased")
    write_wordpiece(base / "distilbert", do_lower_case=False, tokenize_chinese_chars=False)
    write_wordpiece(base / "electra", do_lower_case=True, strip_accents=False)
    write_byte_level(base / "roberta")
    write_sentencepiece(base / "xlmr")
    for kind, name in zip(KINDS, CLASSES, strict=True):
        options = {"add_prefix_space": True} if kind == "roberta" else {}
        theirs = getattr(transformers, f"{name}Tokenizer").from_pretrained(base / kind, **options)
        theirs.save_pretrained(base / f"{kind}_saved")
    return base


@pytest.fixture(scope="module")
def tokenizers(folders: Path) -> dict[str, Tokenizer]:
    return {folder.name: read_tokenizer(folder) for folder in folders.iterdir()}


def theirs(folder: Path, name: str) -> Any:
    """The tokenizer of a folder as transformers reads it."""
    import transformers

    options = {"add_prefix_space": True} if name == "Roberta" else {}
    return getattr(transformers, f"{name}Tokenizer").from_pretrained(folder, **options)


def ids_of(tokenizer: Any, tokens: list[str]) -> list[list[int]]:
    """What a tokenizer of transformers makes of each token of a sentence."""
    encoding = tokenizer(tokens, is_split_into_words=True)
    ids: list[list[int]] = [[] for _ in tokens]
    for piece, token in zip(encoding["input_ids"], encoding.word_ids(), strict=True):
        if token is not None:
            ids[token].append(piece)
    return ids


def rows_of(ragged: object) -> list[list[int]]:
    assert isinstance(ragged, Ragged)
    values, offsets = ragged.values.tolist(), ragged.offsets.tolist()
    return [values[first:last] for first, last in zip(offsets, offsets[1:], strict=False)]


@pytest.mark.parametrize("form", ["", "_saved"])
@pytest.mark.parametrize(("kind", "name"), list(zip(KINDS, CLASSES, strict=True)))
def test_ids_are_those_of_transformers(
    folders: Path, tokenizers: dict[str, Tokenizer], kind: str, name: str, form: str
) -> None:
    expected, tokenizer = theirs(folders / (kind + form), name), tokenizers[kind + form]
    special = (expected.unk_token_id, expected.cls_token_id, expected.sep_token_id)
    assert (tokenizer.unknown, tokenizer.start, tokenizer.end) == special
    assert tokenizer.num_pieces == len(expected)
    found = rows_of(tokenizer.cut(HARD_STRINGS))
    differing = [
        (token, ours, other)
        for token, ours, other in zip(
            HARD_STRINGS, found, ids_of(expected, HARD_STRINGS), strict=True
        )
        if ours != other
    ]
    if kind + form == "xlmr":
        assert {why_other(folders / kind, expected, *each) for each in differing} == {
            *("special", "normal form", "tie")
        }
    else:
        assert differing == []


def why_other(folder: Path, other: Any, token: str, ours: list[int], theirs: list[int]) -> str:
    """Why transformers cuts a token in another way than the sentencepiece that it copies: it takes
    spelt special pieces for such; it normalises grapheme by grapheme, which loses marks, and it
    splits at U+0085; it breaks a tie of scores in another way."""
    if any(piece in token for piece in ("<s>", "</s>", "<pad>", "<unk>", "<mask>")):
        return "special"
    processor = SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    form = " ".join(other.backend_tokenizer.normalizer.normalize_str(token).split())
    if processor.normalize(token).replace("▁", " ").strip(" ") != form:
        return "normal form"
    scores = [sum(processor.get_score(i - 1) for i in ids) for ids in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6), (token, ours, theirs)
    return "tie"


def test_ids_of_xlmr_are_those_of_sentencepiece_plus_one(
    folders: Path, tokenizers: dict[str, Tokenizer]
) -> None:
    path = folders / "xlmr" / "sentencepiece.bpe.model"
    processor = SentencePieceProcessor(model_file=str(path))
    expected = [[i + 1 if i else 3 for i in processor.encode(token)] for token in HARD_STRINGS]
    assert rows_of(tokenizers["xlmr"].cut(HARD_STRINGS)) == expected
    assert tokenizers["xlmr"].num_pieces == processor.get_piece_size() + 2


ODD = st.text(max_size=8) | st.sampled_from(HARD_STRINGS) | st.just("\ud800") | st.just("a\udfffb")


@settings(max_examples=30)
@example(tokens=["", "a", "\u200b", "", "é"])
@given(tokens=st.lists(ODD, max_size=12))
def test_a_list_is_cut_as_its_tokens_are_one_by_one_also_after_loading(
    tokenizers: dict[str, Tokenizer], tokens: list[str]
) -> None:
    for tokenizer in tokenizers.values():
        rows = rows_of(tokenizer.cut(tokens))
        assert rows == [rows_of(tokenizer.cut([token]))[0] for token in tokens]
        assert all(0 <= i < tokenizer.num_pieces for row in rows for i in row)
        assert rows_of(load_tokenizer(tokenizer.files()).cut(tokens)) == rows
        indexed = index_pieces(tokenizer, tokens)
        expected = [[i + 1 for i in row] or [tokenizer.unknown + 1] for row in rows]
        assert rows_of(indexed.arrays["pieces"]) == expected
        assert indexed.costs is not None
        assert indexed.costs.tolist() == [len(row) for row in expected]


@pytest.mark.parametrize("unit", ["a", "中", "👩\u200d", "\0", "<s>"])
def test_a_token_of_100_000_characters_is_cut(tokenizers: dict[str, Tokenizer], unit: str) -> None:
    token = unit * (100_000 // len(unit))
    for kind in ("bert_cased", "roberta", "xlmr", "xlmr_saved"):
        before, rest = rows_of(tokenizers[kind].cut([token, "a"]))
        assert rest == rows_of(tokenizers[kind].cut(["a"]))[0]
        assert len(before) <= 400_000


def test_of_several_kinds_in_a_folder_the_first_is_taken(
    folders: Path, tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    kinds = ["roberta", "bert_cased", "electra_saved", "xlmr"]  # the last is preferred
    for number, kind in enumerate(kinds):
        for name in (path.name for path in (folders / kind).iterdir()):
            (tmp_path / name).write_bytes((folders / kind / name).read_bytes())
        (tmp_path / "tokenizer_config.json").unlink(missing_ok=True)
        found = read_tokenizer(tmp_path)
        assert found.num_pieces == tokenizers[kind].num_pieces, kinds[: number + 1]


def test_a_folder_of_links_is_read(folders: Path, tmp_path: Path) -> None:
    for path in (folders / "roberta").iterdir():
        (tmp_path / path.name).symlink_to(path)
    assert read_tokenizer(tmp_path).end == 2


def test_special_pieces_are_those_that_the_folder_names(folders: Path, tmp_path: Path) -> None:
    folder = copytree(folders / "bert_cased", tmp_path / "a")
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps({"cls_token": {"content": "[MASK]"}, "sep_token": "[PAD]"}))
    tokenizer = read_tokenizer(folder)
    assert (tokenizer.unknown, tokenizer.start, tokenizer.end) == (1, 4, 0)
    (folder / "special_tokens_map.json").write_text('{"sep_token": "[SEP]", "unk_token": null}')
    assert read_tokenizer(folder).end == 3
    config.write_text('{"unk_token": "a"}')
    tokenizer = read_tokenizer(folder)
    assert rows_of(tokenizer.cut(["a", "ꙮ"])) == [[tokenizer.unknown]] * 2


def test_truncation_and_padding_in_tokenizer_json_are_ignored(
    folders: Path, tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    from tokenizers import Tokenizer as Theirs

    folder = copytree(folders / "roberta_saved", tmp_path / "a")
    tokenizer = Theirs.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    expected = rows_of(tokenizers["roberta"].cut(HARD_STRINGS))
    assert rows_of(read_tokenizer(folder).cut(HARD_STRINGS)) == expected


def test_code_that_a_folder_names_is_not_run(folders: Path, tmp_path: Path) -> None:
    folder = copytree(folders / "bert_cased_saved", tmp_path / "a")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = {"auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}, "tokenizer_class": "own"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert read_tokenizer(folder).end == 3
    assert not (tmp_path / "ran").exists()


def edited(folder: Path, section: str, **values: Any) -> None:
    path = folder / "tokenizer.json"
    data = json.loads(path.read_bytes())
    data[section] = (data[section] or {}) | values
    path.write_text(json.dumps(data))


BROKEN = [
    ("xlmr", "sentencepiece.bpe.model", b"", "no model of sentencepiece"),
    ("xlmr", "sentencepiece.bpe.model", b"\x0a\x99", "no model of sentencepiece"),
    ("roberta", "merges.txt", b"\xc4\xa0 zz\n", "zz"),
    ("roberta", "merges.txt", b"\xff\n", "utf-8"),
    ("roberta", "vocab.json", b"[]", "expected an object, found a list"),
    ("roberta", "vocab.json", b'{"a": -1}', "expected u32"),
    ("roberta", "vocab.json", b"{", "is no JSON"),
    ("bert_cased", "vocab.txt", b"a\n", "unk_token: '[UNK]' is not among the pieces"),
    ("bert_cased", "vocab.txt", b"", "is not among the pieces"),
    ("bert_cased", "vocab.txt", b"\xff", "utf-8"),
    ("bert_cased", "tokenizer_config.json", b"[" * 100_000, "is no JSON"),
    ("bert_cased", "tokenizer_config.json", b'{"do_lower_case": "x"}', "Normalizer"),
    ("bert_cased", "special_tokens_map.json", b'{"sep_token": "[X]"}', "sep_token: '[X]' is not"),
    ("bert_cased_saved", "tokenizer.json", b"{}", "invalid type: null"),
    ("bert_cased_saved", "tokenizer.json", b'{"model": [], "normalizer": [1]}', "attribute"),
    ("bert_cased_saved", "tokenizer.json", b"\xff\xfe", "is no JSON"),
]


@pytest.mark.parametrize(("kind", "name", "content", "problem"), BROKEN)
def test_a_broken_file_is_one_line(
    folders: Path, tmp_path: Path, kind: str, name: str, content: bytes, problem: str
) -> None:
    folder = copytree(folders / kind, tmp_path / "a")
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        read_tokenizer(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder}/")
    assert "\n" not in message
    assert len(message) < 400


def test_what_makes_the_library_panic_or_end_the_process_is_one_line(
    folders: Path, tmp_path: Path
) -> None:
    folder = copytree(folders / "xlmr_saved", tmp_path / "a")
    edited(folder, "normalizer", type="Precompiled", precompiled_charsmap="AAAA")
    with pytest.raises(ValueError, match=r"tokenizer\.json: .*precompiled_charsmap"):
        read_tokenizer(folder)
    folder = copytree(folders / "roberta_saved", tmp_path / "b")
    edited(folder, "model", continuing_subword_prefix="a")
    with pytest.raises(ValueError, match="continuing_subword_prefix: expected none with BPE"):
        read_tokenizer(folder)


def test_without_a_tokenizer_or_with_another_sentencepiece_one_is_told(
    folders: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"no tokenizer found; expected one of sentencepiece\.bpe"):
        read_tokenizer(tmp_path)
    (tmp_path / "vocab.json").write_text("{}")  # without merges.txt
    with pytest.raises(ValueError, match=r"vocab\.json and merges\.txt"):
        read_tokenizer(tmp_path)
    write_sentencepiece(tmp_path, unk_id=2, bos_id=0, eos_id=1)
    with pytest.raises(ValueError, match=r"found \[2, 0, 1\]; it is no tokenizer of XLM-R"):
        read_tokenizer(tmp_path)


def test_without_the_library_one_line_says_how_to_install_it(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert read_tokenizer(folders / "xlmr").end == 2  # which does not need it
    with pytest.raises(ValueError, match=r'vocab\.txt: .*pip install -e "\.\[pretrained\]"'):
        read_tokenizer(folders / "bert_cased")
