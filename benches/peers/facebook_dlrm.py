"""facebookresearch/dlrm beside `benches/click_speed`: the same losses, and its speed.

    click_speed --write FOLDER --steps 200 --most-rows 100000 [--optimizer adagrad] [--batch 128]
    python3 facebook_dlrm.py --dlrm CHECKOUT losses FOLDER [--optimizer adagrad]

    python3 facebook_dlrm.py --dlrm CHECKOUT speed [--batch 128] [--optimizer sgd]

CHECKOUT is a copy of https://github.com/facebookresearch/dlrm; its `DLRM_Net` is used as it is.
`losses` takes the weights and batches that were written, goes through the same steps, and prints
how far its losses are from those written. `speed` times steps at the shapes of its `kaggle`
benchmark, ids drawn as `click_speed` draws them. Needs torch, numpy, safetensors, scikit-learn,
tensorboard and tqdm.
"""

import argparse
import contextlib
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

# Distinct values of the 26 categories of Criteo's Kaggle data.
ROWS = [
    1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194,
    27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
]  # fmt: skip
DENSE, DIM = 13, 16
BATCHES, WARM_UP = 20, 5


def network(checkout, rows):
    sys.path.insert(0, str(checkout))
    with contextlib.redirect_stdout(io.StringIO()):
        from dlrm_s_pytorch import DLRM_Net

    bottom = np.array([DENSE, 512, 256, 64, DIM])
    vectors = len(rows) + 1
    top = np.array([DIM + vectors * (vectors - 1) // 2, 512, 256, 1])
    return DLRM_Net(
        DIM,
        np.array(rows),
        bottom,
        top,
        arch_interaction_op="dot",
        sigmoid_bot=-1,
        sigmoid_top=top.size - 2,
        ndevices=-1,
        loss_function="bce",
    )


def optimizer_of(net, args):
    kinds = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad}
    return kinds[args.optimizer](net.parameters(), lr=args.rate)


def step(net, optimizer, dense, ids, targets):
    """As the loop of `dlrm_s_pytorch.py` has it."""
    offsets = torch.arange(len(dense)).expand(len(ids), -1).contiguous()
    predicted = net(dense, offsets, ids)
    loss = net.loss_fn(predicted, targets[:, None])
    value = loss.detach().cpu().numpy()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(value)


def losses(args):
    from safetensors.torch import load_file

    weights = load_file(args.folder / "weights.safetensors")
    batches = load_file(args.folder / "batches.safetensors")
    written = json.loads((args.folder / "losses.json").read_text())
    rows = [len(weights[f"emb_l.{table}.weight"]) for table in range(len(ROWS))]
    net = network(args.dlrm, rows)
    net.load_state_dict(weights)
    optimizer = optimizer_of(net, args)
    steps = zip(batches["dense"], batches["ids"].long(), batches["targets"])
    found = [step(net, optimizer, *batch) for batch in steps]
    apart = [abs(a - b) / abs(b) for a, b in zip(written, found, strict=True)]
    print(
        f"steps={len(found)} first={found[0]:.6f} last={found[-1]:.6f} "
        f"furthest_apart={max(apart):.2e} at_step={int(np.argmax(apart))}"
    )


def speed(args):
    torch.manual_seed(1)
    np.random.seed(1)
    rows = [min(count, args.most_rows) for count in ROWS]
    net = network(args.dlrm, rows)

    def draw(count):
        if args.ids == "even":
            return torch.randint(0, count, (args.batch,))
        return (count ** torch.rand(args.batch, dtype=torch.float64)).long().clamp(max=count) - 1

    def batch():
        ids = torch.stack([draw(count) for count in rows])
        return 6 * torch.rand(args.batch, DENSE), ids, (torch.rand(args.batch) < 0.25).float()

    batches = [batch() for _ in range(BATCHES)]
    optimizer = optimizer_of(net, args)
    seconds = []
    for number in range(args.steps + WARM_UP):
        start = time.perf_counter()
        step(net, optimizer, *batches[number % BATCHES])
        seconds.append(time.perf_counter() - start)
    median = sorted(seconds[WARM_UP:])[args.steps // 2]
    print(f"samples_per_s={args.batch / median:.0f} step_ms={median * 1e3:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dlrm", type=Path, required=True)
    modes = parser.add_subparsers(required=True)
    same = modes.add_parser("losses")
    same.add_argument("folder", type=Path)
    same.set_defaults(run=losses)
    timed = modes.add_parser("speed")
    timed.add_argument("--batch", type=int, default=2048)
    timed.add_argument("--steps", type=int, default=100)
    timed.add_argument("--ids", choices=["skewed", "even"], default="skewed")
    timed.add_argument("--most-rows", type=int, default=sys.maxsize)
    timed.set_defaults(run=speed)
    for mode in (same, timed):
        mode.add_argument("--optimizer", choices=["sgd", "adagrad"], default="sgd")
        mode.add_argument("--rate", type=float, default=0.1)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
