"""The linear-chain conditional random field: every sum, maximum and sample of it, exactly.

A path ``y`` of K tags over a sentence of L tokens has the score

    score(y) = start[y_1] + Σ_t emissions[t, y_t] + Σ_t transitions[y_{t-1}, y_t] + end[y_L]

and the probability ``exp(score(y)) / Z``, Z being the sum over all K^L paths (Lafferty, McCallum
and Pereira 2001). All that one wants to know of it follows from two recursions over the sentence,

    α_1 = exp(start) E_1,   α_t = (α_{t-1} A) E_t        the paths that lead to each tag, and
    β_L = exp(end) E_L,     β_t = (A β_{t+1}) E_t        those that go on from it, E_t included,

where ``A = exp(transitions)`` and ``E_t = exp(emissions_t)`` multiplies tag by tag:

    Z = Σ_j α_L(j) exp(end_j),    p(y_t = j) = (α_{t-1} A)(j) β_t(j) / Z,
    p(y_{t-1} = i, y_t = j) = α_{t-1}(i) A(i, j) β_t(j) / Z,
    p(y_t = j | y_{t-1} = i) = A(i, j) β_t(j) / Σ_k A(i, k) β_t(k).

These probabilities are also the gradient of log Z in the scores. Given a sentence the tags are a
Markov chain: by the last line one walks along it, to draw samples, to multiply the probability of
a span together, to add up the entropy.

**Sums.** β is α of the sentence turned around: one batched recursion does both, a matrix product
and a multiplication a step, without masks. The gradient is put together from α and β; no graph
over the steps is kept, memory is O(B T K), and T may be thousands. In float64, rescaled every 16
steps (Rabiner 1989), this is exact unless something underflows. That is seen afterwards, and such
a batch (none, as a rule) is done again in log space, with the same numbers.

**Maxima.** The best path takes max in place of Σ (Viterbi 1967), until both directions meet in the
middle, after half the steps. Only scores are kept; where the best one came from is found again
along the best path alone, by an arg max over K tags a step in place of K².

The folder needs torch alone and can be copied as a whole. Training and decoding take
``recursions.py`` and ``chain.py``; ``log_space.py``, ``best_paths.py`` and ``distribution.py`` are
for what the linear domain cannot hold, the k best paths, and all other questions.
"""

from .distribution import LinearChain, Spans
from .recursions import FORBIDDEN

__all__ = ["FORBIDDEN", "LinearChain", "Spans"]
