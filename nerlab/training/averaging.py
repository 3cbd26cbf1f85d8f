"""A moving average of the weights."""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def average_weights(tagger: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a tagger's weights (Polyak and Juditsky 1992).

    After n steps the decay of one step is ``min(decay, (1 + n) / (10 + n))``, so that the first
    weights are soon forgotten.
    """

    def update(averages: object, weights: object, _: object) -> None:
        steps = average.n_averaged.item()  # on the CPU, so no GPU has to be waited for
        get_ema_multi_avg_fn(min(decay, (1 + steps) / (10 + steps)))(averages, weights, steps)

    average = AveragedModel(tagger, multi_avg_fn=update)
    return average
