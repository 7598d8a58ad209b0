"""Times this workspace's programs and their peers turn by turn, and prints the table.

    python3 benches/peers/table.py --data DIR [--simd avx2] [--rounds 5] [--only posters,plots]

DIR holds `posters.csv` and `summaries.csv` of real posters and plots, and a folder with a
CLIP's `tokenizer.json` is named by `--tokenizer`. Needs torch, transformers, pillow, onnx,
onnxscript and onnxruntime. A ratio is of programs that ran in the same round, and the faster
of the peers counts. `--simd avx2` limits our loops and PyTorch's; ONNX Runtime takes what the
processor has and cannot be limited, so that it is shown and does not count then.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NEW_STORE = object()
# What PyTorch, oneDNN and MKL are told.
LIMITS = {
    None: {},
    "avx512": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "an unknown processor"


def rate(command, environment, things):
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    found = re.search(rf"\b(?:{things}_)?per_s=([0-9.]+)", done.stdout)
    if done.returncode != 0 or not found:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return float(found.group(1))


def spread(values, form):
    return f"{form(statistics.median(values))} ({form(min(values))} – {form(max(values))})"


def cases(args, folder):
    """Name, our command, what it counts, and the peers' commands by their names."""
    built = Path(args.target) / "release"
    model = args.model
    counted = {}
    for name in ("posters", "summaries"):
        lines = (Path(args.data) / f"{name}.csv").read_text().split("\n")
        counted[name] = folder / f"{name}.csv"
        lines = lines[: args.count + 1]
        if name == "posters":
            # Paths are relative to the file.
            where = Path(args.data).resolve()
            lines[1:] = [re.sub(r",", f",{where}/", line, count=1) for line in lines[1:]]
        counted[name].write_text("\n".join(lines) + "\n")
    for name, kind, key in (("posters", "posters", "images"), ("plots", "summaries", "texts")):
        ours = [built / "mmdlrm", "encode", f"--{kind}", counted[kind], "--clip", model]
        ours += ["--out", NEW_STORE]
        peer = [sys.executable, HERE / "encoders.py"]
        rest = ["--model", model, f"--{kind}", counted[kind], "--count", str(args.count)]
        yield f"{name} a second", ours, key, {
            "PyTorch": [*peer, "torch", *rest],
            "ONNX Runtime": [*peer, "onnx", *rest],
        }
    dlrm = [sys.executable, HERE / "torch_dlrm.py"]
    for batch in (8192, 2048):
        step = ["--batch", str(batch), "--optimizer", "adagrad"]
        yield f"training, Adagrad, {batch}", [built / "step_speed", *step], "samples", {
            "PyTorch": [*dlrm, "step", *step]
        }
    yield "scoring, 8192 pairs", [built / "step_speed", "--measure", "score"], "pairs", {
        "PyTorch": [*dlrm, "score"]
    }
    yield "ten best of all movies", [built / "step_speed", "--measure", "rank"], "pairs", {
        "PyTorch": [*dlrm, "rank"]
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--tokenizer", help="folder with tokenizer.json")
    parser.add_argument("--model", type=Path, default=Path("vit-b-32"), help="made if missing")
    parser.add_argument("--target", default=os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--simd", choices=["avx2", "avx512"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--only", default="", help="parts of names of rows, by commas")
    args = parser.parse_args()
    args.target = Path(args.target).resolve()
    build = "cargo build --release --bin mmdlrm --bin step_speed".split()
    subprocess.run(build, cwd=ROOT, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(args.target)})
    if not args.model.exists():
        if not args.tokenizer:
            parser.error(f"there is no {args.model}: --tokenizer is needed to make it")
        make = [sys.executable, HERE / "encoders.py", "make", "--model", args.model]
        subprocess.run([*make, "--tokenizer", args.tokenizer], check=True, stdout=subprocess.DEVNULL)
    ours_environment = {**os.environ, **({"MMDLRM_SIMD": args.simd} if args.simd else {})}
    theirs = {**os.environ, **LIMITS[args.simd]}
    print(f"{processor()}, {os.cpu_count()} cores, {args.simd or 'the widest instructions'}\n")
    print("| | mmdlrm: median (least – most) | peers | ratio to the faster |")
    print("| --- | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, ours, things, peers in cases(args, folder):
            if args.only and not any(part in name for part in args.only.split(",")):
                continue
            own, others, ratios = [], {peer: [] for peer in peers}, []
            for number in range(args.rounds):
                # A store that has all vectors would leave nothing to encode.
                out = folder / f"{things}-{number}.parquet"
                command = [out if part is NEW_STORE else part for part in ours]
                own.append(rate(command, ours_environment, things))
                for peer, command in peers.items():
                    others[peer].append(rate(command, theirs, things))
                counted = others if args.simd != "avx2" else {"PyTorch": others["PyTorch"]}
                ratios.append(own[-1] / max(rates[-1] for rates in counted.values()))
            form = lambda x: f"{x:,.0f}" if x >= 100 else f"{x:.1f}"
            peers = "; ".join(f"{peer} {spread(rates, form)}" for peer, rates in others.items())
            ratio = spread(ratios, lambda x: f"{x:.2f}")
            print(f"| {name} | {spread(own, form)} | {peers} | **{ratio}** |", flush=True)


if __name__ == "__main__":
    main()
