"""Writes a demonstration corpus from the sentence templates and name lists of a folder.

    python data/generate.py data/demo                rewrite train, dev and test
    python data/generate.py data/demo --check        exit with 1 if the files differ
    python data/generate.py data/demo --statistics   print the counts of the files

The folder holds `templates.txt` and `names/*.txt`: everything that belongs to one language is
there. All chance comes from `random.Random(text).random()`, so that every Python version writes
the same bytes.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from azerbaijani import inflected
from grammar import CALL, CHOICE, PLAN, Grammar, Section

SPLITS = ("train", "dev", "test")
SPAN = re.compile(r"\{([A-Z]+): ([^{}]*)\}")
Item = TypeVar("Item")
Sentence = list[tuple[str, str]]


def choose(rng: random.Random, items: Sequence[Item], weights: Sequence[float]) -> Item:
    """Draw one item with a chance in proportion to its weight."""
    point = rng.random() * sum(weights)
    for item, weight in zip(items, weights, strict=True):
        point -= weight
        if point < 0:
            return item
    return items[-1]


class Writer:
    """Draws the documents of one split."""

    def __init__(self, grammar: Grammar, split: str) -> None:
        self.grammar, self.split = grammar, split
        self.rng = random.Random(f"{grammar.settings['seed']} {split}")
        self.memory: dict[tuple[str, str], object] = {}  # what a key stands for in this document
        self.used: set[object] = set()  # names, templates and first mentions of this document
        self.fresh = 0

    def documents(self, wanted: int, counts: Counter[str], taken: set[str]) -> list[list[Sentence]]:
        """Documents up to a number of sentences; `taken` holds the sentences of other splits."""
        result: list[list[Sentence]] = []
        while sum(map(len, result)) < wanted:
            plans = self.grammar.plans
            plan = choose(self.rng, list(plans), list(plans.values()))
            self.memory, self.used = {}, set()
            document: list[Sentence] = []
            for name, mark, low, high in PLAN.findall(plan):
                span = (0, 1) if mark == "?" else (int(low or 1), int(high or 1))
                for _ in range(self._number(*span)):
                    document.extend(self._new_sentence(name, counts, taken))
            result.append(document)
        return result

    def _new_sentence(self, name: str, counts: Counter[str], taken: set[str]) -> list[Sentence]:
        """A sentence no other split has and this one has not yet, or none after some trials."""
        state = dict(self.memory), set(self.used)
        for _ in range(20):
            sentence = self._sentence(self.grammar.sections[name], name)
            words = " ".join(word for word, _ in sentence)
            if words not in taken and counts[words] < (3 if len(sentence) < 5 else 1):
                counts[words] += 1
                return [sentence]
            self.memory, self.used = dict(state[0]), set(state[1])
        return []

    def _sentence(self, section: Section, name: str) -> Sentence:
        """Expand a template of a section and set the case of its letters."""
        sentence = tagged(inflected(self._expand(self._template(name))))
        self.memory = {slot: it for slot, it in self.memory.items() if slot[0][:1] != "_"}
        point = self.rng.random() * 100
        upper, lower = (float(section.flags.get(flag) or 0) for flag in ("upper", "lower"))
        if point < upper + lower:
            return [(self.grammar.recase(word, point < upper), tag) for word, tag in sentence]
        for at, (word, tag) in enumerate(sentence):
            if word[0].isalnum():
                sentence[at] = self.grammar.recase(word[0], True) + word[1:], tag
                break
        return sentence

    def _expand(self, template: str, key: str = "", form: str = "") -> str:
        while match := CHOICE.search(template):
            option = self._option(match[1], key, form)
            template = template[: match.start()] + option + template[match.end() :]
        return CALL.sub(lambda call: self._call(call, key, form), template)

    def _option(self, options: str, key: str, form: str) -> str:
        """One of `a|b`, or of `a => b` the form that is due."""
        if "=>" not in options:
            several = options.split("|")
            return self._recall(key, options, lambda: choose(self.rng, several, [1] * len(several)))
        first, later = (option.strip() for option in options.split("=>"))
        told = (key, options)
        if form == "short" or (told in self.used and form != "full"):
            return later
        self.used.add(told)
        return first

    def _call(self, call: re.Match[str], scope: str, scope_form: str) -> str:
        name, key, form, low, high = call.groups()
        if low:
            number = self._number(int(low), int(high))
            return f"{number:0{len(low)}}" if low.startswith("0") else str(number)
        key = f"{scope}/{key}" if scope and key else scope or key or ""
        if name in self.grammar.names:
            forms = self.grammar.names[name].forms
            cells = self._recall(key, name, lambda: self._name(name))
            return cells[forms.index(form) if form else 0]
        if not key and "name" in self.grammar.sections[name].flags:
            self.fresh += 1
            key = f"_{self.fresh}"
        template = self._recall(key, name, lambda: self._template(name))
        return self._expand(template, key, form or scope_form)

    def _recall(self, key: str, slot: str, draw: Callable[[], Item]) -> Item:
        """What the key stands for; without a key, always a new draw."""
        if not key:
            return draw()
        if (key, slot) not in self.memory:
            self.memory[key, slot] = draw()
        return self.memory[key, slot]

    def _number(self, low: int, high: int) -> int:
        return low + int(self.rng.random() * (high - low + 1))

    def _percent(self, setting: str) -> bool:
        return self.rng.random() * 100 < int(self.grammar.settings[setting])

    def _name(self, name: str) -> tuple[str, ...]:
        """Draw a name, if possible one new to the document."""
        held = self.grammar.names[name].held
        own = self.split != "train" and held[self.split] and self._percent("use-held-names")
        names = held[self.split if own else "train"]
        for _ in range(10):
            cells = names[self._number(0, len(names) - 1)]
            if (name, cells) not in self.used:
                break
        self.used.add((name, cells))
        return cells

    def _template(self, name: str) -> str:
        """Draw a template; in a section marked `split`, one new to the document."""
        section = self.grammar.sections[name]
        held = section.held
        own = self.split != "train" and held[self.split] and self._percent("use-held-templates")
        every = held[self.split if own else "train"]
        rest = [it for it in every if it not in self.used] if "split" in section.flags else every
        template = choose(self.rng, rest or every, [section.weights[it] for it in rest or every])
        if "split" in section.flags:
            self.used.add(template)
        return template


def tagged(text: str) -> Sentence:
    """Split an expanded template at its blanks and tag the entities in IOB2."""
    sentence: Sentence = []
    at = 0
    for match in SPAN.finditer(text):
        sentence += [(word, "O") for word in text[at : match.start()].split()]
        words = match[2].split()
        sentence += [(word, f"{'I' if i else 'B'}-{match[1]}") for i, word in enumerate(words)]
        at = match.end()
    sentence += [(word, "O") for word in text[at:].split()]
    if wrong := next((word for word, _ in sentence if set(word) & set("{}<>[]")), ""):
        raise ValueError(f"entity within an entity at '{wrong}' in '{text.strip()}'")
    return sentence


def write_conll(documents: list[list[Sentence]]) -> str:
    """The documents as lines `token tag`, with a blank line after each sentence."""
    lines: list[str] = []
    for document in documents:
        for sentence in ([("-DOCSTART-", "O")], *document):
            lines += [f"{word} {tag}" for word, tag in sentence] + [""]
    return "\n".join(lines) + "\n"


def read_conll(path: Path) -> list[Sentence]:
    """The sentences of a file that `write_conll` filled."""
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    sentences = [[tuple(line.split(" ")) for line in block.split("\n")] for block in blocks]
    return [sentence for sentence in sentences if sentence[0][0] != "-DOCSTART-"]


def generate(folder: Path) -> dict[str, str]:
    """The text of the three files; no sentence stands in two of them."""
    grammar = Grammar(folder)
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for split in SPLITS:
        counts: Counter[str] = Counter()
        writer = Writer(grammar, split)
        texts[split] = write_conll(writer.documents(int(grammar.settings[split]), counts, taken))
        taken |= set(counts)
    return texts


def mentions(sentences: list[Sentence]) -> list[tuple[str, str]]:
    """Surface and type of every entity; an illegal IOB2 tag is a ValueError."""
    found: list[tuple[str, str]] = []
    for sentence in sentences:
        before = "O"
        for word, tag in sentence:
            if tag.startswith("I-"):
                if before[2:] != tag[2:]:
                    raise ValueError(f"illegal tag {tag} after {before} at '{word}'")
                found[-1] = f"{found[-1][0]} {word}", tag[2:]
            elif tag != "O":
                found.append((word, tag[2:]))
            before = tag
    return found


def statistics(folder: Path) -> str:
    """A table with the counts of the three files."""
    corpora = {split: read_conll(folder / f"{split}.conll") for split in SPLITS}
    names = {split: mentions(corpus) for split, corpus in corpora.items()}
    words = {split: [word for it in corpora[split] for word, _ in it] for split in SPLITS}
    rows: dict[str, list[object]] = {"": list(SPLITS)}
    rows["sentences"] = [len(corpora[split]) for split in SPLITS]
    rows["tokens"] = [len(words[split]) for split in SPLITS]
    rows["tokens a sentence"] = [f"{len(words[it]) / len(corpora[it]):.1f}" for it in SPLITS]
    rows["longest sentence"] = [max(map(len, corpora[split])) for split in SPLITS]
    rows["without a mention"] = [sum(not mentions([it]) for it in corpora[s]) for s in SPLITS]
    rows["mentions"] = [len(names[split]) for split in SPLITS]
    for kind in sorted({kind for _, kind in names["train"]}):
        rows[f"  {kind}"] = [sum(kind == it for _, it in names[split]) for split in SPLITS]
    rows["mentions unseen in train"] = [unseen(names[it], names["train"]) for it in SPLITS]
    rows["words unseen in train"] = [unseen(words[it], words["train"]) for it in SPLITS]
    return "\n".join(f"{k:26}" + "".join(f"{v:>9}" for v in row) for k, row in rows.items())


def unseen(items: Sequence[object], known: Sequence[object]) -> str:
    """The share of the items that are not known, in percent."""
    store = set(known)
    return f"{100 * sum(it not in store for it in items) / len(items):.1f} %"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write a demonstration corpus.")
    parser.add_argument("folder", type=Path, help="folder with templates.txt and names/")
    parser.add_argument("--check", action="store_true", help="compare with the files, write none")
    parser.add_argument("--statistics", action="store_true", help="count what the files hold")
    options = parser.parse_args()
    try:
        if options.statistics:
            print(statistics(options.folder))
            return
        texts = generate(options.folder)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    for split, text in texts.items():
        path = options.folder / f"{split}.conll"
        if not options.check:
            path.write_bytes(text.encode())
        elif not path.exists() or path.read_bytes() != text.encode():
            sys.exit(f"{path} differs from what generate.py writes")


if __name__ == "__main__":
    main()
