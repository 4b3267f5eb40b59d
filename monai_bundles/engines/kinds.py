"""The engines: eager PyTorch, PyTorch with channels last, ONNX Runtime, OpenVINO; each as a module that takes a window.

They compute in float32, except "openvino_bf16" where the processor has bfloat16: it takes less than half the time, and
like every other it is taken only where its labels are equal. All have as many threads as PyTorch. A network is compiled
for one window; OpenVINO computes two windows at once, each with half of the threads, which leaves fewer of them idle.
"""

import copy
import importlib.util
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["EAGER", "ENGINES", "EngineNetwork", "available_engines", "supported_engines"]

EAGER = "eager"

AT_ONCE = 2
"""Windows that OpenVINO computes at the same time; each needs memory of its own."""

Shape = Sequence[int]


class EngineNetwork(nn.Module):
    """A compiled network in the place of a module.

    Parameters
    ----------
    engine
        Its name.
    compute
        From a window (1, C, ...) to its output.
    each
        From windows to their outputs, as `EngineNetwork.each`; None computes one after the other.
    """

    def __init__(
        self,
        engine: str,
        compute: Callable[[Tensor], Tensor],
        each: Callable[[Iterable[Tensor]], Iterator[Tensor]] | None = None,
    ) -> None:
        super().__init__()
        self.engine = engine
        self._compute = compute
        self._each = each

    def forward(self, windows: Tensor) -> Tensor:
        """The outputs of a batch of windows."""
        outputs = [self._compute(windows[n : n + 1]) for n in range(len(windows))]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def each(self, windows: Iterable[Tensor]) -> Iterator[Tensor]:
        """The outputs of windows (1, C, ...) in their order; some windows are taken ahead.

        An output holds until the next one is asked for: its memory is used again.
        """
        return map(self._compute, windows) if self._each is None else self._each(windows)


def _eager(network: nn.Module, shape: Shape) -> EngineNetwork:
    del shape
    return EngineNetwork(EAGER, network)


def _channels_last(network: nn.Module, shape: Shape) -> EngineNetwork:
    """A copy of the network whose weights and inputs have their channels last in memory."""
    layout = torch.channels_last_3d if len(shape) == 5 else torch.channels_last
    laid_out = copy.deepcopy(network)
    for parameter in laid_out.parameters():
        if parameter.ndim == len(shape):
            parameter.data = parameter.data.contiguous(memory_format=layout)
    return EngineNetwork("channels_last", lambda window: laid_out(window.contiguous(memory_format=layout)))


def _openvino(network: nn.Module, shape: Shape) -> EngineNetwork:
    return _compiled(network, shape, "openvino", "f32")


def _openvino_bf16(network: nn.Module, shape: Shape) -> EngineNetwork:
    return _compiled(network, shape, "openvino_bf16", "bf16")


def _compiled(network: nn.Module, shape: Shape, name: str, precision: str) -> EngineNetwork:
    """The network compiled by OpenVINO for windows of one shape."""
    import openvino

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every size that it takes as fixed, which it is here
        model = openvino.convert_model(network, example_input=torch.zeros(tuple(shape)), input=[list(shape)])
    threads = torch.get_num_threads()
    streams = min(AT_ONCE, threads)
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": str(streams),
    }
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    queue = Requests([compiled.create_infer_request() for _ in range(streams + 1)])
    return EngineNetwork(name, queue.one, queue.each)


class Requests:
    """OpenVINO's requests in a row: while one result is read, the others are computed.

    Parameters
    ----------
    requests
        One more than are computed at once, so that no core waits for the reader.
    """

    def __init__(self, requests: Sequence[Any]) -> None:
        self._requests = requests
        self._turn = threading.Lock()

    def one(self, window: Tensor) -> Tensor:
        """The output of one window, in memory of its own."""
        (output,) = [output.clone() for output in self.each([window])]
        return output

    def each(self, windows: Iterable[Tensor]) -> Iterator[Tensor]:
        """The outputs of windows, in their order; see `EngineNetwork.each`."""
        with self._turn:
            free, running = deque(self._requests), deque[tuple[Any, Any]]()
            try:
                for window in windows:
                    if not free:
                        yield self._finished(running)
                        free.append(running.popleft()[0])
                    request, values = free.popleft(), window.contiguous().numpy()
                    request.start_async([values], share_inputs=True)
                    running.append((request, values))  # the values must live as long as they are read
                while running:
                    yield self._finished(running)
                    running.popleft()
            finally:
                for request, _ in running:
                    request.wait()

    @staticmethod
    def _finished(running: deque[tuple[Any, Any]]) -> Tensor:
        request = running[0][0]
        request.wait()
        return torch.from_numpy(request.get_output_tensor(0).data)


def _onnxruntime(network: nn.Module, shape: Shape) -> EngineNetwork:
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="radgate-") as folder:
        path = Path(folder) / "network.onnx"
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network, (torch.zeros(tuple(shape)),), str(path), dynamo=False, input_names=["x"], output_names=["y"]
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return EngineNetwork(
        "onnxruntime", lambda window: torch.from_numpy(session.run(["y"], {"x": window.contiguous().numpy()})[0])
    )


ENGINES: dict[str, tuple[str, Callable[[nn.Module, Shape], Any]]] = {
    EAGER: ("torch", _eager),
    "channels_last": ("torch", _channels_last),
    "openvino": ("openvino", _openvino),
    "openvino_bf16": ("openvino", _openvino_bf16),
    "onnxruntime": ("onnxruntime", _onnxruntime),
}
"""The package that an engine needs, and what makes it from a network and the shape of a window."""


def supported_engines() -> tuple[str, ...]:
    """Names of the engines for which the processor has the arithmetic."""
    return tuple(name for name in ENGINES if name != "openvino_bf16" or torch.ops.mkldnn._is_mkldnn_bf16_supported())


def available_engines() -> tuple[str, ...]:
    """Names of those among them whose packages are installed."""
    return tuple(name for name in supported_engines() if importlib.util.find_spec(ENGINES[name][0]) is not None)
