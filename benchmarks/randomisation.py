"""How long the randomisation test takes: three runs a side, 50,000 sentences, 10,000 rounds.

``python benchmarks/randomisation.py``: the counts of two systems are made up; exits with 1 if the
test takes more than ten seconds of CPU.
"""

import sys
from time import process_time

import numpy as np

from nerlab.evaluation.randomisation import ROUNDS, randomisation_test

_SENTENCES = 50_000
_MOST_S = 10.0


def main() -> None:
    """Print the seconds."""
    random = np.random.default_rng(0)
    gold = random.integers(0, 4, _SENTENCES)
    systems = []
    for skill in (0.7, 0.69):
        correct = random.binomial(gold, skill, size=(3, _SENTENCES))
        wrong = random.binomial(2, 0.3, size=(3, _SENTENCES))
        systems.append(np.stack([correct, correct + wrong], axis=-1))
    start = process_time()
    p = randomisation_test(systems[0], systems[1], gold)
    seconds = process_time() - start
    print(f"{_SENTENCES:,} sentences, {ROUNDS:,} rounds: {seconds:.1f} s of CPU, p = {p:.4f}")
    if seconds > _MOST_S:
        sys.exit(f"expected {_MOST_S:.0f} s at most")


if __name__ == "__main__":
    main()
