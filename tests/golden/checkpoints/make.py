"""Writes the checkpoints beside it, and expected.json: what their tensors are, by PyTorch.

python3 make.py (PyTorch 2.15, numpy 2)"""

import json
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(7)
FOLDER = Path(__file__).parent
OLD = {"_use_new_zipfile_serialization": False}
expected = {}


def numbers(tensor):
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return [float(x) for x in tensor.detach().to(torch.float64).flatten()]


def save(name, what, state, **options):
    """Saves `what`, whose model is `state`."""
    torch.save(what, FOLDER / name, **options)
    expect(name, state)


def expect(name, state):
    expected[name] = [
        {
            "name": key,
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
            "numbers": numbers(value),
        }
        for key, value in state.items()
    ]


def kinds():
    """Tensors of all types and layouts."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8 - 1
    return OrderedDict(
        f32=base,
        transposed=base.t(),
        part=base[1:3, 2:5],
        column=base[:, 4],
        permuted=torch.randn(2, 3, 4).permute(2, 0, 1),
        parameter=nn.Parameter(torch.randn(3)),
        half=torch.randn(5).half(),
        bfloat=torch.randn(2, 2).bfloat16(),
        double=torch.randn(3, dtype=torch.float64),
        long=torch.tensor([-1, 1 << 40]),
        int=torch.tensor([1, -2], dtype=torch.int32),
        short=torch.tensor([300, -2], dtype=torch.int16),
        char=torch.tensor([-3], dtype=torch.int8),
        byte=torch.tensor([200], dtype=torch.uint8),
        bool=torch.tensor([True, False]),
        complex=torch.randn(2, dtype=torch.complex64),
        scalar=torch.tensor(0.25),
        empty=torch.zeros(0, 3),
        one=torch.ones(1, 1, 3)[:, :, 1:],
    )


class Net(nn.Module):
    """With a module that is listed, one that is used twice, and buffers of both kinds."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.layers = nn.ModuleList([nn.Linear(3, 2), nn.BatchNorm1d(2)])
        self.again = self.layers[0]
        self.register_buffer("ids", torch.arange(3))
        self.register_buffer("passing", torch.zeros(2), persistent=False)
        self.register_parameter("none", None)

    def forward(self, x):
        return self.layers[1](self.layers[0](x)) * self.scale


state = kinds()
save("kinds.pt", state, state)
save("kinds-old.pt", state, state, **OLD)
save("kinds-4.pt", dict(state), state, pickle_protocol=4)
save("kinds-old-5.pt", dict(state), state, pickle_protocol=5, **OLD)
newer = {"u16": torch.tensor([1, 65535], dtype=torch.uint16), "f8": torch.randn(4).to(torch.float8_e4m3fn)}
save("newer.pt", newer, newer)

net = Net()
optimizer = torch.optim.Adam(net.parameters())
net(torch.randn(4, 3)).sum().backward()
optimizer.step()
net.eval()
wrapped = nn.DataParallel(net)
beside = {
    "epoch": 3,
    "best": torch.tensor(0.5),
    "loss": np.float64(0.25),
    "history": [0.5, 0.25],
    "seen": np.arange(5),
    "long": "x" * 5000,
    "tags": {"a", "b"},
    "optimizer": optimizer.state_dict(),
}
save("beside.pt", {**beside, "state_dict": wrapped.state_dict()}, net.state_dict())
save("beside-old.pt", {**beside, "model": net.state_dict()}, net.state_dict(), **OLD)
compiled = OrderedDict(("_orig_mod." + name, value) for name, value in net.state_dict().items())
save("compiled.pt", {"ema_of": "net", "of_unknown_name": compiled}, net.state_dict())
save("module.pt", wrapped, net.state_dict())
# Which keeps the source of each module, and where that lies.
serialization = torch.serialization
source_of = serialization.get_source_lines_and_file


def without_folder(thing):
    lines, number, path = source_of(thing)
    return lines, number, Path(path).name


serialization.get_source_lines_and_file = without_folder
save("module-old.pt", {"net": net}, net.state_dict(), **OLD)
# That a module is used twice is not kept by TorchScript's attributes, nor what is no state.
script = {**net.state_dict(), "passing": net.passing}
torch.jit.save(torch.jit.script(net), FOLDER / "script.pt")
expect("script.pt", script)
torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3)), FOLDER / "trace.pt")
expect("trace.pt", torch.jit.load(FOLDER / "trace.pt").state_dict())

# What is told.
layer = nn.Linear(2, 1)
torch.save({"generator": layer.state_dict(), "discriminator": net.state_dict()}, FOLDER / "two.pt")
odd = {
    "dense": torch.ones(2),
    "sparse": torch.eye(3).to_sparse(),
    "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "expanded": torch.ones(1, 3).expand(4, 3),
    "meta": torch.zeros(2, device="meta"),
    "conjugated": torch.ones(2, dtype=torch.complex64).conj(),
}
torch.save(odd, FOLDER / "odd.pt")
torch.save(odd, FOLDER / "odd-old.pt", **OLD)
torch.save({"epoch": 3, "loss": 0.5}, FOLDER / "no-tensors.pt")
torch.save(torch.ones(3), FOLDER / "one-tensor.pt")

(FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
