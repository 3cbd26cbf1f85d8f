"""What check finds: planted faults, the known ones of published corpora, and figures."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from corpora import DATA, ROOT, compose_data, real
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.commands.characters import has_loose_end, oddities
from nerlab.commands.check import CorpusCheck, as_json, as_text, check
from nerlab.commands.findings import EXAMPLES, Example, Finding
from nerlab.data.readers import conll
from nerlab.data.readers.messages import warn
from nerlab.data.sentence import Sentence
from nerlab.messages import visible
from nerlab.tags import spans_of

SPLITS = ("train", "dev", "test")
HELP = (ROOT / "conf" / "check.yaml").read_text(encoding="utf-8")


composed = cache(compose_data)  # composing takes longer than checking


def check_files(folder: Path, *overrides: str, **texts: str) -> CorpusCheck:
    """Check splits of these texts in columns."""
    for split, text in texts.items():
        (folder / split).write_bytes(text.encode("utf-8", "surrogatepass"))
    names = [f"data.{split}={split if split in texts else 'null'}" for split in SPLITS]
    return check(composed("data=conll", f"data.dir={folder}", *names, *overrides))


def found(report: CorpusCheck, kind: str, split: str | None) -> Finding:
    """The one finding of this kind in this split."""
    (finding,) = (f for f in report.findings if (f.kind, f.split) == (kind, split))
    return finding


def kinds(report: CorpusCheck) -> set[str]:
    return {finding.kind for finding in report.findings}


def columns(sentences: Sequence[Sequence[str]]) -> str:
    """Sentences of ``token/tag`` as lines."""
    return "\n".join("".join(f"{t.replace('/', ' ')}\n" for t in s) for s in sentences)


GOOD = columns([("Anna/B-PER", "met/O", "Eve/B-PER")])


def test_a_clean_corpus_has_nothing_but_rare_types(tmp_path: Path) -> None:
    report = check_files(tmp_path, train=GOOD, dev="Omar B-PER\nslept O\n")
    assert kinds(report) == {"rare-type"}
    assert report.count("error") == 0


@pytest.mark.parametrize("repair", [False, True])
def test_illegal_tags_are_errors_unless_they_are_repaired(tmp_path: Path, repair: bool) -> None:
    text = columns([("a/O", "b/I-X", "c/I-X"), ("d/B-X", "e/I-Y", "f/E-Y")])
    report = check_files(tmp_path, f"data.repair={str(repair).lower()}", train=text)
    finding = found(report, "illegal-tag", "train")
    assert (finding.severity, finding.count) == ("warning" if repair else "error", 3)
    assert [example.where for example in finding.examples] == [
        f"{tmp_path}/train:{line}" for line in (2, 6, 7)
    ]
    assert finding.examples[0].text == "tag 'I-X' follows 'O', which iob2 forbids"
    assert "data.repair=true" in finding.remedy
    assert report.facts["train"]["entities_per_type"] == {"X": 2, "Y": 1}  # as conlleval reads them


def test_a_word_in_place_of_a_tag_is_an_error_with_and_without_repair(tmp_path: Path) -> None:
    text = "a PERSON\nb I-X\n\nc B-X\n"
    for override in ("data.repair=true", "data.repair=false"):
        report = check_files(tmp_path, override, train=text)
        finding = found(report, "unknown-tag", "train")
        assert (finding.severity, finding.count) == ("error", 1)
        assert finding.examples[0].where == f"{tmp_path}/train:1"
        assert "tag_column, say" in finding.remedy
        assert "data.reader.comment" in finding.remedy
        assert report.facts["train"]["entities"] == 1


def test_a_split_that_cannot_be_read_is_one_error_and_the_others_are_checked(
    tmp_path: Path,
) -> None:
    report = check_files(tmp_path, "data.test=nowhere", train="a O\nb\n", dev=GOOD)
    messages = {f.split: f.message for f in report.findings if f.kind == "unreadable"}
    assert messages.keys() == {"train", "test"}
    assert messages["train"].startswith(f"{tmp_path}/train:2: expected 2 columns or more, found 1")
    assert messages["test"].startswith(f"{tmp_path}/nowhere: no such file")
    assert list(report.facts) == ["dev"]
    assert report.facts["dev"]["unseen"] is None


def test_a_test_file_that_is_not_there_is_a_warning_and_others_are_errors(tmp_path: Path) -> None:
    report = check_files(tmp_path, "data.test=nowhere", "data.dev=nowhere", train=GOOD)
    severities = {f.split: f.severity for f in report.findings if f.kind == "unreadable"}
    assert severities == {"test": "warning", "dev": "error"}
    (tmp_path / "test").write_text("a\n")
    report = check_files(tmp_path, "data.test=test", train=GOOD, dev=GOOD)
    assert [f.severity for f in report.findings if f.kind == "unreadable"] == ["error"]


def test_what_is_wrong_with_the_file_of_all_splits_is_said_once(tmp_path: Path) -> None:
    report = check_files(tmp_path, "data.split=hash", train="a O\nb\n")
    assert [(f.kind, f.split) for f in report.findings] == [("unreadable", "train")]


def test_a_folder_in_place_of_a_file_and_a_wrong_encoding_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "train").write_bytes(b"caf\xe9 O\n")
    data = compose_data("data=conll", f"data.dir={tmp_path}", "data.train=train", "data.dev=dev")
    findings = check(data).findings
    assert [finding.kind for finding in findings] == ["unreadable", "unreadable"]
    assert not any("\n" in finding.message for finding in findings)


def test_what_a_reader_warns_of_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def warning(*arguments: Any, **options: Any) -> Iterator[Sentence]:
        yield from plain(*arguments, **options)
        warn("3 rows passed over")

    plain = conll.read
    monkeypatch.setattr(conll, "read", warning)
    warning.__module__ = plain.__module__
    text = "\n".join(f"w{i} B-X\n" for i in range(40))
    report = check_files(tmp_path, "data.split=hash", train=text)
    assert report.facts.keys() == set(SPLITS)  # three times the one file
    assert [f.message for f in report.findings if f.kind == "reader"] == ["3 rows passed over"]
    assert caplog.records == []


def test_rare_and_missing_types(tmp_path: Path) -> None:
    train = columns([("a/B-OFTEN",)] * 50 + [("b/B-RARE",)] * 49)
    report = check_files(tmp_path, train=train, dev=columns([("c/B-OFTEN", "d/B-NEW")]))
    assert [e.text for e in found(report, "rare-type", "train").examples] == ["RARE: 49"]
    missing = found(report, "missing-type", "train")
    assert [e.text for e in missing.examples] == ["NEW: 0 in train, 1 in dev"]
    missing = found(report, "missing-type", "dev")
    assert [e.text for e in missing.examples] == ["RARE: 49 in train, 0 in dev"]


def test_ambiguous_forms_are_told_with_their_labels(tmp_path: Path) -> None:
    sentences = [("Jordan/B-PER", "Air/B-ORG", "Jordan/I-ORG")] * 2 + [("Jordan/B-LOC", "Air/O")]
    report = check_files(tmp_path, train=columns(sentences), dev=columns([("Jordan/O",)]))
    ambiguous = found(report, "ambiguous", None)
    assert [e.text for e in ambiguous.examples] == ["Jordan: PER 2, LOC 1"]
    partly = found(report, "partly-labelled", None)
    assert [e.text for e in partly.examples] == ["Jordan: PER 2, LOC 1, O 1"]


def test_sentences_that_occur_again_are_counted_within_and_between_splits(tmp_path: Path) -> None:
    a, b, c, d = (columns([(f"{word}/O", "./O")]) for word in "abcd")
    report = check_files(
        tmp_path, train="\n".join([a, b, a, a, c, c]), dev="\n".join([a, d, a]), test=b
    )
    within = found(report, "duplicate", "train")
    assert (within.count, "(2 distinct)" in within.message) == (3, True)
    assert within.examples[0] == Example(f"{tmp_path}/train:7", "'a .', train line 1 (2 times)")
    shared = found(report, "shared", "dev")
    assert (shared.count, "(1 distinct)" in shared.message) == (2, True)
    assert shared.examples == (Example(f"{tmp_path}/dev:1", "'a .', train line 1 (2 times)"),)
    assert found(report, "shared", "test").count == 1


def test_odd_sentences_and_tokens_are_found_with_their_lines(tmp_path: Path) -> None:
    text = columns(
        [
            tuple(["word/O"] * 501),
            ("pаypal/O", "x\u200by/O", "\ufe0f/O", "a\x85b/O", "\ufffd/B-X", "\x07/O", "\ue000/O"),
            ("Paris/B-X", ",/I-X"),
            ("Paris/B-X", ",/I-X"),
        ]
    )
    report = check_files(tmp_path, train=text)
    assert found(report, "long-sentence", "train").examples[0].where == f"{tmp_path}/train:1"
    for line, (oddity, token) in enumerate(
        [
            ("mixed-scripts", "pаypal"),
            ("zero-width", "x\u200by"),
            ("invisible", "\ufe0f"),
            ("white-space", "a\x85b"),
            ("replacement", "\ufffd"),
            ("control", "\x07"),
            ("private-use", "\ue000"),
        ],
        start=503,
    ):
        examples = found(report, f"{oddity}-characters", "train").examples
        assert Example(f"{tmp_path}/train:{line}", token) in examples
    loose = found(report, "loose-end", "train")
    assert (loose.count, loose.examples[-1].text) == (2, "'Paris ,' X (2 times)")


def test_a_corpus_without_entities_is_said_to_have_none(tmp_path: Path) -> None:
    report = check_files(tmp_path, train="a O\n", dev="b B-X\n")
    assert [f.split for f in report.findings if f.kind == "no-entity"] == ["train"]


def test_a_long_list_is_cut_and_says_so(tmp_path: Path) -> None:
    text = columns([("a/O", "b/I-X")] * 30)
    finding = found(check_files(tmp_path, train=text), "illegal-tag", "train")
    assert (finding.count, len(finding.examples), finding.more) == (30, EXAMPLES, 20)


words = st.sampled_from(["a", "b", "A", "c1", "c2", "é"])
tags = st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"])
splits = st.lists(st.lists(st.tuples(words, tags), min_size=1, max_size=4), min_size=1, max_size=8)


@settings(max_examples=40)
@given(train=splits, dev=splits)
def test_the_figures_are_those_of_a_slower_count(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[list[tuple[str, str]]],
    dev: list[list[tuple[str, str]]],
) -> None:
    folder = tmp_path_factory.getbasetemp()
    both = {"train": train, "dev": dev}
    files = {
        split: "-DOCSTART- O\n\n" + columns([tuple(f"{w}/{t}" for w, t in s) for s in sentences])
        for split, sentences in both.items()
    }
    report = check_files(folder, "data.repair=true", **files)
    entities = {
        split: [
            (tuple(word for word, _ in sentence[start:end]), label)
            for sentence in sentences
            for start, end, label in spans_of([tag for _, tag in sentence])
        ]
        for split, sentences in both.items()
    }
    look_up = str.maketrans("Ac12", "ac00")
    for split, sentences in both.items():
        facts = report.facts[split]
        tokens = [word for sentence in sentences for word, _ in sentence]
        assert (facts["sentences"], facts["documents"]) == (len(sentences), 1)
        assert (facts["tokens"], facts["distinct_tokens"]) == (len(tokens), len(set(tokens)))
        assert facts["entities"] == len(entities[split])
        assert facts["entities_per_type"] == Counter(label for _, label in entities[split])
        assert facts["sentences_without_entity"] == sum(
            all(tag == "O" for _, tag in sentence) for sentence in sentences
        )
        lengths = sorted(map(len, sentences), reverse=True)
        assert [long["tokens"] for long in facts["longest"]] == lengths[:5]
    unseen = report.facts["dev"]["unseen"]
    assert unseen is not None
    known = {word.translate(look_up) for sentence in train for word, _ in sentence}
    assert unseen["words"] == sum(
        word.translate(look_up) not in known for sentence in dev for word, _ in sentence
    )
    assert unseen["entities"] == sum(entity not in entities["train"] for entity in entities["dev"])
    plain = {split: [[w for w, _ in s] for s in sentences] for split, sentences in both.items()}
    shared = [f.count for f in report.findings if f.kind == "shared"]
    assert sum(shared) == sum(sentence in plain["train"] for sentence in plain["dev"])
    for split, texts in plain.items():
        again = sum(text in texts[:i] for i, text in enumerate(texts))
        counts = [f.count for f in report.findings if (f.kind, f.split) == ("duplicate", split)]
        assert sum(counts) == again


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("U.S.-led", ""),
        ("naïve", ""),
        ("Ελλάδα", ""),
        ("T恤", ""),
        ("می\u200cخواهم", ""),  # Persian
        ("👩\u200d👩", ""),
        ("e\u0301", ""),
        ("Хüsusi", "mixed-scripts"),  # its first letter is Cyrillic
        ("\u200b", "invisible zero-width"),
        ("\ufeffx", "zero-width"),
        ("x\u200d", "zero-width"),
        ("\xa0", "invisible white-space"),
        ("5\xa0storm", "white-space"),
        ("a b", "white-space"),
        ("\x00", "control invisible"),
        ("\ud800", "surrogate"),
        ("\uffff", "unassigned"),
    ],
)
def test_what_is_odd_about_a_token(token: str, expected: str) -> None:
    assert " ".join(oddities(token)) == expected


@pytest.mark.parametrize(
    "text",
    ["Paris ,", ", Inc.", "' s", "Friday -", '" Caliph', "Patchogue)", "@ voxd", "x\xa0", "Rep ."],
)
def test_a_loose_end_is_found(text: str) -> None:
    assert has_loose_end(text.split(" "))


@pytest.mark.parametrize(
    "text",
    ["U.S.", "@voxd", "#tag", "10%", '" ADA " Universiteti', "Mladost ( L )", "“ A ” B", "a . b"],
)
def test_a_mark_that_belongs_to_a_name_is_no_loose_end(text: str) -> None:
    assert not has_loose_end(text.split(" "))


@given(st.text(st.characters(exclude_characters="\\")))
def test_what_is_made_visible_can_be_written_and_read_back(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    shown.encode()
    # The escapes are Python's.
    assert (
        re.sub(
            r"\\(?:x..|u....|U.{8}|[nrt])",
            lambda match: match[0].encode().decode("unicode_escape"),
            shown,
        )
        == text
    )


def test_the_json_holds_what_the_report_holds_and_its_kinds_are_documented(
    tmp_path: Path,
) -> None:
    report = check_files(
        tmp_path, "data.repair=true", train=GOOD + "\nx\u200b PERSON\n", dev="a I-X\n", test="a O\n"
    )
    document = json.loads(as_json(report))
    assert document["errors"] == report.count("error")
    assert document["warnings"] == report.count("warning")
    assert document["splits"]["dev"]["entities_per_type"] == {"X": 1}
    assert document["splits"]["dev"]["unseen"] == {"entities": 1, "words": 1}
    for plain, finding in zip(document["findings"], report.findings, strict=True):
        assert plain["kind"] == finding.kind
        assert [Example(**example) for example in plain["examples"]] == list(finding.examples)
        oddity, hyphen, _ = finding.kind.rpartition("-characters")
        assert (f"<oddity>{hyphen}" if hyphen else finding.kind) in HELP
        assert oddity in (oddities.__doc__ or "")


def test_the_text_holds_what_the_report_holds(tmp_path: Path) -> None:
    strange = columns([(f"[red]:100:{i}\u200b/B-[b]:x:",) for i in range(12)])
    report = check_files(tmp_path, train=GOOD + "\n" + strange, dev="a I-X\n")
    lines = as_text(report, 120).split("\n")
    errors = [line for line in lines if line.startswith("error    ")]
    assert errors == [
        "error    dev: tags that iob2 forbids: 1; set data.scheme to the scheme of the file, or "
        "data.repair=true"
    ]
    assert sum(line.startswith("warning  ") for line in lines) == report.count("warning")
    assert lines[-2] == f"1 error, {report.count('warning')} warnings"
    for finding in report.findings:
        for example in finding.examples:
            place = f"{example.where}: " if example.where else ""
            assert visible(f"         {place}{example.text}") in lines
        assert not finding.more or f"         and {finding.more} more" in lines
    assert rf"         {tmp_path}/train:5: [red]:100:0\u200b" in lines
    (row,) = (line.split() for line in lines if line.startswith("  [b]:x:"))
    assert row == ["[b]:x:", "12", "0"]


# Published corpora.


def check_real(preset: str, folder: str, *overrides: str) -> CorpusCheck:
    return check(compose_data(f"data={preset}", f"data.dir={DATA / folder}", *overrides))


def orphans(path: Path) -> list[int]:
    """The lines of a file of tags that hold an I- behind neither B- nor I- of its type."""
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        before = "O"
        for tag in line.split():
            if tag.startswith("I-") and before not in (tag, "B-" + tag[2:]):
                lines.append(number)
            before = tag
    return lines


@pytest.mark.parametrize("repair", ["true", "false"])
def test_the_illegal_tags_of_the_azerbaijani_corpus_are_found(repair: str) -> None:
    expected = {"train": orphans(real("azerbaijani/train_tags"))}
    expected["dev"] = orphans(real("azerbaijani/valid_tags"))
    assert [len(lines) for lines in expected.values()] == [7, 3]
    report = check_real("azerbaijani", "azerbaijani", f"data.repair={repair}")
    for split, lines in expected.items():
        finding = found(report, "illegal-tag", split)
        assert finding.count == len(lines)
        assert [int((e.where or "").rpartition(":")[2]) for e in finding.examples] == lines
    assert report.count("error") == (0 if repair == "true" else 2)


def test_the_orphan_tags_and_the_lost_characters_of_weibo_are_found() -> None:
    text = real("weibo_zh/weiboNER_2nd_conll.train").read_text(encoding="utf-8")
    report = check_real("weibo", "weibo_zh")
    assert found(report, "illegal-tag", "train").count == 10
    replacement = found(report, "replacement-characters", "train")
    assert replacement.count == sum("\ufffd" in line for line in text.split("\n"))


@pytest.mark.long
def test_the_duplicates_of_gmb_are_found() -> None:
    real("gmb/ner_dataset.csv.gz")
    whole = ("data.split=null", "data.dev=null", "data.test=null")
    report = check_real("gmb", "gmb", *whole)
    assert found(report, "duplicate", "train").count == 384
    odd = found(report, "white-space-characters", "train").examples
    assert "5\xa0storm" in [example.text for example in odd]


def test_the_sentences_that_conll2003_shares_are_found() -> None:
    real("conll2003/train.txt")
    report = check_real("conll2003", "conll2003", "data.test=null")
    assert "(129 distinct)" in found(report, "shared", "dev").message
    assert report.count("error") == 0


def test_the_zero_width_tokens_of_wnut17_are_found() -> None:
    real("wnut17/emerging.dev.conll")
    report = check_real("wnut17", "wnut17")
    finding = found(report, "invisible-characters", "dev")
    assert (finding.count, finding.examples[0].text) == (4, "\ufe0f (4 times)")
    unseen = report.facts["dev"]["unseen"]
    assert unseen is not None
    assert unseen["entities"] == 836  # none of its entities occurs in train: it was made so
