"""Writes `processors.json`: what transformers makes of a picture by several configurations of its
processors, without a model.

    pip install transformers pillow && python make_processors.py
"""

import json
import os
import tempfile

import numpy as np
import transformers
from PIL import Image
from transformers import AutoImageProcessor

here = os.path.dirname(os.path.abspath(__file__))
# Three different channels, with edges, where filters differ.
down, across = np.mgrid[0:37, 0:53]
pixels = np.stack([5 * across, 6 * down, 255 - 3 * (across + down) // 2], axis=-1)
pixels += 90 * ((across // 7 + down // 5) % 2)[:, :, None]
pixels = np.clip(pixels, 0, 255).astype(np.uint8)

clip = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 9}}
clip["crop_size"] = {"height": 8, "width": 8}
convnext = {"image_processor_type": "ConvNextImageProcessor"}
square = {"height": 8, "width": 8}
cases = {
    "clip": clip,
    "no mean": {**clip, "do_normalize": False},
    "no scale": {**clip, "do_rescale": False, "image_mean": [9, 8, 7], "image_std": [3, 2, 1]},
    "another scale": {**clip, "rescale_factor": 1 / 127.5},
    "as it is": {**clip, "do_resize": False},
    "warped": {**clip, "size": square, "do_center_crop": False},
    "warped, of a crop that is not made": {
        **clip,
        "size": square,
        "do_center_crop": False,
        "crop_size": {"height": 4, "width": 4},
    },
    "convnext": {**convnext, "size": {"shortest_edge": 8}},
    "convnext of a number": {**convnext, "size": 8, "resample": 2, "crop_pct": 0.5},
    **{f"filter {number}": {**clip, "resample": number} for number in (0, 1, 4, 5)},
    "bit": {**clip, "image_processor_type": "BitImageProcessor"},
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": square},
    "vit": {"image_processor_type": "ViTImageProcessor", "size": square},
    "an older name": {
        "feature_extractor_type": "ConvNextFeatureExtractor",
        "size": 8,
        "image_mean": [0.1, 0.2, 0.3],
    },
}
found = {}
for name, config in cases.items():
    for file in ("preprocessor_config.json", "processor_config.json"):
        with tempfile.TemporaryDirectory() as folder:
            content = config
            if file == "processor_config.json":
                content = {"image_processor": config, "processor_class": "CLIPProcessor"}
            json.dump(content, open(f"{folder}/{file}", "w"))
            processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
            values = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
            assert values.shape == (3, 8, 8), (name, values.shape)
            if name in found:
                assert np.array_equal(found[name], values), name
            found[name] = values
# Of 384 and more a ConvNext warps; a corner tells.
big = AutoImageProcessor.from_pretrained
with tempfile.TemporaryDirectory() as folder:
    json.dump({**convnext, "size": {"shortest_edge": 384}}, open(f"{folder}/preprocessor_config.json", "w"))
    values = big(folder, backend="pil")(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
    assert values.shape == (3, 384, 384)
    corner = values[:, ::48, ::48]
result = {
    "made_with": f"transformers {transformers.__version__}",
    "width": 53,
    "height": 37,
    "pixels": pixels.reshape(-1).tolist(),
    "cases": [
        {"name": name, "config": cases[name], "values": found[name].reshape(-1).tolist()}
        for name in cases
    ],
    "warped_at_384": {"every": 48, "values": corner.reshape(-1).tolist()},
}
with open(f"{here}/processors.json", "w") as file:
    json.dump(result, file)
