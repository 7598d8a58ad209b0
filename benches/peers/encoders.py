"""CLIP ViT-B/32 in transformers on PyTorch and in ONNX Runtime, for comparison.

    python3 encoders.py make    --model vit-b-32 --tokenizer DIR
    python3 encoders.py torch   --model vit-b-32 --posters posters.csv --count 160
    python3 encoders.py onnx    --model vit-b-32 --summaries summaries.csv --count 160

`make` writes a model of random weights in Hugging Face layout, with the tokenizer of a
folder, and exports both of its towers with `torch.onnx.export`. Its linear maps are doubled,
so that its vectors differ. `torch` and `onnx` time encoding in batches of 32, pictures
decoded and prepared before, texts padded to 77 places as CLIP's processor does it, on as
many threads as the library takes. They print `images_per_s` or `texts_per_s`.
"""

import argparse
import csv
import shutil
import time
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

BATCH = 32
LENGTH = 77


class Tower(torch.nn.Module):
    """Pixels or token ids in, projected vectors out."""

    def __init__(self, tower, projection):
        super().__init__()
        self.tower, self.projection = tower, projection

    def forward(self, values):
        return self.projection(self.tower(values).pooler_output)


def towers(model):
    return {
        "image": Tower(model.vision_model, model.visual_projection).eval(),
        "text": Tower(model.text_model, model.text_projection).eval(),
    }


def make(folder, tokenizer):
    torch.manual_seed(1)
    config = CLIPConfig()
    # The end of a text by its token's name, as in OpenAI's own.
    config.text_config.eos_token_id = 49407
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight *= 2
    model.save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    shutil.copy(Path(tokenizer) / "tokenizer.json", folder)
    inputs = {
        "image": torch.zeros(2, 3, 224, 224),
        "text": torch.full((2, LENGTH), 49407),
    }
    for name, tower in towers(model).items():
        torch.onnx.export(
            tower,
            (inputs[name],),
            str(folder / f"{name}.onnx"),
            input_names=["values"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
        )


def pictures(path, count):
    from PIL import Image

    prepare = CLIPImageProcessor()
    with open(path, newline="") as file:
        names = [row["poster_path"] for row in csv.DictReader(file)][:count]
    images = [Image.open(Path(path).parent / name).convert("RGB") for name in names]
    return prepare(images, return_tensors="pt")["pixel_values"]


def texts(path, count, folder):
    tokens = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tokens.pad_token = "<|endoftext|>"
    with open(path, newline="") as file:
        plots = [row["summary"] for row in csv.DictReader(file)][:count]
    encoded = tokens(
        plots, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    )
    return encoded["input_ids"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["make", "torch", "onnx"])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer")
    parser.add_argument("--posters")
    parser.add_argument("--summaries")
    parser.add_argument("--count", type=int, default=160)
    args = parser.parse_args()
    if args.mode == "make":
        return make(args.model, args.tokenizer)
    kind, key = ("image", "images_per_s") if args.posters else ("text", "texts_per_s")
    if args.posters:
        values = pictures(args.posters, args.count)
    else:
        values = texts(args.summaries, args.count, args.model)
    if args.mode == "torch":
        encode = towers(CLIPModel.from_pretrained(args.model))[kind]
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(args.model / f"{kind}.onnx"))
        encode = lambda batch: session.run(None, {"values": batch.numpy()})
    batches = values.split(BATCH)
    with torch.inference_mode():
        encode(batches[0])
        start = time.perf_counter()
        for batch in batches:
            encode(batch)
        seconds = time.perf_counter() - start
    print(f"{key}={len(values) / seconds:.2f}")


if __name__ == "__main__":
    main()
