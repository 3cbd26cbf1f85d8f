"""Emissions as an ONNX graph, whose weights are those in the ``model.safetensors`` beside it.

The inputs are named as in :func:`inputs_of`, those that a model does not look at left out, and the
output is ``emissions (B, T, K)``. The graph holds what a batch of any size goes through, windows
over long sentences too; decoding stays with nerlab.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nerlab.data.batch import Batch
from nerlab.data.vocabulary import Vocabulary
from nerlab.models.checkpoint import EMISSIONS, WEIGHTS
from nerlab.models.forward import example_batch
from nerlab.models.tagger import Tagger
from nerlab.modules.transformer import LearnedPositions

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_OPSET = 17  # of August 2022; the first that has layer norm
_TOLERANCE = 1e-4
_OUTPUT = "emissions"
_FIXED = {"token_index": "BT", "lengths": "B", "positions": "S"}  # the axes of each
_SHORT = 8


def inputs_of(batch: Batch) -> dict[str, Tensor]:
    """What a graph takes of a batch: ``token_index (B, T)``, ``lengths (B,)``, ``positions (S,)``
    and, as ``<embedder>.<array>``, the features ``(U, ...)``. All are whole numbers of 64 bits but
    for what an indexer says otherwise."""
    features = {
        f"{embedder}.{name}": array
        for embedder, arrays in batch.features.items()
        for name, array in arrays.items()
    }
    fixed = {name: getattr(batch, name) for name in _FIXED}
    return fixed | features


def run_emissions(session: "InferenceSession", batch: Batch) -> Tensor:
    """The score of each tag at each token ``(B, T, K)``, as onnxruntime computes it."""
    wanted = {node.name for node in session.get_inputs()}
    feed = {name: x.numpy() for name, x in inputs_of(batch).items() if name in wanted}
    return torch.from_numpy(session.run([_OUTPUT], feed)[0])


def start_session(file: Path) -> "InferenceSession":
    """Load a graph. Each batch is computed by one thread; several batches may be at once.

    ``ValueError``: the library is missing, or the file is broken.
    """
    with _needing("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong is raised; do not write it too
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have nothing in common
        reason = " ".join(str(error).split())
        raise ValueError(f"{file}: onnxruntime cannot load it ({reason})") from error


def export_emissions(tagger: Tagger, vocabulary: Vocabulary, folder: Path) -> None:
    """Write ``emissions.onnx`` beside the weights in a folder, and see that onnxruntime computes
    the same of batches of other sizes, within 1e-4.

    Args:
        tagger: on the CPU, in evaluation mode; its emissions are computed in float32.
        vocabulary: that of the tagger.
        folder: holds ``model.safetensors`` with the weights of the tagger.

    Raises:
        ValueError: a library is missing, or ONNX cannot carry a part of the model, which is named.
    """
    with _needing("onnx"):
        import onnx
    # A sentence with more tokens than positions goes through all that there is.
    positions = (m.count for m in tagger.modules() if isinstance(m, LearnedPositions))
    longest = max(positions, default=_SHORT)
    traced, *others = (
        example_batch(vocabulary, lengths)
        for lengths in ((longest + 1, 3), (1,), (2, longest + 200, 40))
    )
    module, path = _Emissions(tagger, traced).eval(), folder / EMISSIONS
    with _blaming(tagger), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is traced; the others show whether rightly
        inputs = inputs_of(traced)
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=[_OUTPUT],
            dynamic_axes={name: _axes(name, x) for name, x in inputs.items()},
            opset_version=_OPSET,
            export_params=False,
            do_constant_folding=False,
            dynamo=False,  # the other exporter cannot do an LSTM over sentences of any length
        )
        graph = onnx.load(path)
        _name_weights(graph.graph, module, folder / WEIGHTS)
        path.write_bytes(graph.SerializeToString())
        session = start_session(path)
        for batch in others:
            _compare(run_emissions(session, batch), tagger.emissions(batch), batch.lengths)


class _Emissions(nn.Module):
    """:meth:`Tagger.emissions` of a batch that is given tensor by tensor."""

    def __init__(self, tagger: Tagger, batch: Batch) -> None:
        super().__init__()
        self.tagger = tagger
        self.names = {embedder: list(arrays) for embedder, arrays in batch.features.items()}

    def forward(
        self, token_index: Tensor, lengths: Tensor, positions: Tensor, *arrays: Tensor
    ) -> Tensor:
        rest = iter(arrays)
        features = {part: {n: next(rest) for n in names} for part, names in self.names.items()}
        batch = Batch(
            features=features,
            tags=None,
            lengths=lengths,
            sentence_ids=torch.arange(lengths.shape[0]),
            document_ids=None,
            distinct=torch.arange(arrays[0].shape[0]),
            token_index=token_index,
            positions=positions,
        )
        return self.tagger.emissions(batch)


def _axes(name: str, x: Tensor) -> dict[int, str]:
    """The names of the axes of an input, all of which may have any length."""
    if name in _FIXED:
        return dict(enumerate(_FIXED[name]))
    return {axis: f"{name}.{axis}" if axis else "U" for axis in range(x.ndim)}


def _name_weights(graph: Any, module: nn.Module, file: Path) -> None:
    """Let the weights, which stand in the graph as inputs without values, lie in a file of
    safetensors, as its header says: its length in 8 bytes, then names with first and last byte.
    Tensors that are not saved there, as they follow from others, are written into the graph."""
    from onnx import TensorProto, numpy_helper

    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        places: Mapping[str, Any] = json.loads(stream.read(size))
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for node in [node for node in graph.input if node.name in tensors]:
        graph.input.remove(node)
        tensor, place = tensors[node.name], places.get(node.name.removeprefix("tagger."))
        if place is None:
            graph.initializer.append(numpy_helper.from_array(tensor.numpy(force=True), node.name))
            continue
        first, last = place["data_offsets"]
        where = {"location": WEIGHTS, "offset": 8 + size + first, "length": last - first}
        weights = graph.initializer.add(
            name=node.name,
            dims=tensor.shape,
            data_type=TensorProto.FLOAT,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in where.items():
            weights.external_data.add(key=key, value=str(value))


def _compare(found: Tensor, expected: Tensor, lengths: Tensor) -> None:
    inside = torch.arange(expected.shape[1]) < lengths[:, None]
    difference = float((found - expected)[inside].abs().max())
    if not difference <= _TOLERANCE:
        raise ValueError(
            f"emissions of {len(lengths)} sentences of up to {expected.shape[1]} tokens differ by "
            f"{difference:.2g}, expected {_TOLERANCE} at most"
        )


@contextmanager
def _blaming(tagger: Tagger) -> Iterator[None]:
    """What ONNX cannot carry is a part that is not nerlab's, where there is one."""
    parts = {**dict(tagger.embedder.items()), **dict(tagger.stages.items())}
    own = {n: type(p) for n, p in parts.items() if not type(p).__module__.startswith("nerlab.")}
    names = ", ".join(f"{name} ({c.__module__}.{c.__qualname__})" for name, c in own.items())
    try:
        for name, part in parts.items():
            if name in own and (_sees_batch(part)):
                raise ValueError(f"{name} looks at the whole batch, of which the graph has a part")
        yield
    except OSError:
        raise
    except Exception as error:  # what the tracer makes of a part may raise anything
        reason = " ".join(str(error).split())[:200]
        what = f"a part of your own, {names}" if own else "the model"
        raise ValueError(f"format=onnx: ONNX cannot carry {what}: {reason}") from error


def _sees_batch(part: nn.Module) -> bool:
    return getattr(part, "contextual", False) or getattr(part, "takes_batch", False)


@contextmanager
def _needing(library: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ValueError(
            f"format=onnx needs {library} ({error}); install it: pip install 'nerlab[onnx]'"
        ) from None
